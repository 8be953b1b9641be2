"""What each worker serves, noted in files, so that one command can see them all."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from feedrank.io.files import write_whole

FRESH_SECONDS = 6.0  # a worker that was silent for longer is gone


@dataclass(frozen=True)
class Report:
    """What one worker serves.

    Attributes:
        pid: of its process.
        version: of the artifact that answers.
        prepared: version of the one that is loaded beside it.
        refused: version of a new one that is not served.
        reason: why not.
    """

    pid: int
    version: str
    prepared: str | None = None
    refused: str | None = None
    reason: str | None = None


class Roster:
    """One worker's line in the roster of all that serve an artifact's path.

    Args:
        state: directory of all rosters.
        path: of the artifact.
    """

    def __init__(self, state: Path, path: Path) -> None:
        directory = roster_of(state, path)
        directory.mkdir(parents=True, exist_ok=True)
        self._file = directory / f"{os.getpid()}-{secrets.token_hex(4)}.json"
        self._last: Report | None = None

    def report(self, report: Report) -> None:
        """Note what this worker serves, if it changed."""
        if report != self._last:
            write_whole(self._file, json.dumps(asdict(report)).encode())
            self._last = report

    def beat(self) -> None:
        """Show that this worker lives."""
        if self._file.exists():
            os.utime(self._file)

    def sign_off(self) -> None:
        """Leave the roster."""
        self._file.unlink(missing_ok=True)


def roster_of(state: Path, path: Path) -> Path:
    """Directory of the workers that serve an artifact's path."""
    name = hashlib.sha256(str(path.absolute()).encode()).hexdigest()[:16]
    return state / f"workers-{name}"


def workers(state: Path, path: Path) -> list[Report]:
    """Reports of all workers that live, in order of their process ids."""
    found = []
    for file in roster_of(state, path).glob("*.json"):
        try:
            if time.time() - file.stat().st_mtime <= FRESH_SECONDS:
                found.append(Report(**json.loads(file.read_text())))
        except FileNotFoundError:
            continue  # it has just signed off
    return sorted(found, key=lambda report: report.pid)
