"""Worker registry: a file for each running worker, whose time is the worker's heartbeat."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from feedrank.io.files import private_directory, write_whole

HEARTBEAT_SECONDS = 1.0
# Anything from 3 s (a loop that is busy with a swap skips beats) to the wait of a deploy, 120 s.
EXPIRY_SECONDS = 6.0


@dataclass(frozen=True)
class WorkerState:
    """State of one worker.

    Attributes:
        pid: of its process.
        version: of the artifact that answers.
        prepared: version of the artifact that is loaded beside it.
        refused: version of a new artifact that failed its checks.
        reason: of the refusal.
    """

    pid: int
    version: str
    prepared: str | None = None
    refused: str | None = None
    reason: str | None = None


class Registration:
    """Entry of this worker in the registry of all that serve an artifact's path.

    Args:
        state: directory of all registries.
        path: of the artifact.

    Raises:
        FeedrankError: a directory cannot be made, or is not this user's alone.
    """

    def __init__(self, state: Path, path: Path) -> None:
        self._registry = _registry(state, path)
        self._file = self._registry / f"{os.getpid()}-{secrets.token_hex(4)}.json"
        self._last: WorkerState | None = None
        self._make_room()

    def update(self, worker: WorkerState) -> None:
        """Write the state of this worker if it changed, or if somebody removed the directory."""
        if worker != self._last or not self._file.exists():
            self._make_room()
            write_whole(self._file, json.dumps(asdict(worker)).encode())
            self._last = worker

    def _make_room(self) -> None:
        private_directory(self._registry.parent)
        private_directory(self._registry)

    def beat(self) -> None:
        """Renew the heartbeat."""
        with suppress(FileNotFoundError):  # the next update writes it again
            os.utime(self._file)

    def remove(self) -> None:
        """Remove the entry."""
        self._file.unlink(missing_ok=True)


def _registry(state: Path, path: Path) -> Path:
    name = hashlib.sha256(str(path.absolute()).encode()).hexdigest()[:16]
    return state / f"workers-{name}"


def live_workers(state: Path, path: Path) -> list[WorkerState]:
    """States of all workers with a recent heartbeat, in order of their process ids.

    Raises:
        FeedrankError: the directory is not this user's alone.
    """
    found = []
    files = _registry(private_directory(state), path).glob("*.json")
    for file in files:
        try:
            # A heartbeat from the future is an old one too: the clock was set back since.
            if abs(time.time() - file.stat().st_mtime) <= EXPIRY_SECONDS:
                found.append(WorkerState(**json.loads(file.read_text())))
        except FileNotFoundError:
            continue  # its worker has just shut down
    return sorted(found, key=lambda worker: worker.pid)
