"""Which lists were returned to whom: one line of JSON each, a file a worker and day."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO


class Exposures:
    """Appends what was returned; the files are read by `service.ab_report`.

    Args:
        directory: created if it is missing.
    """

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._name = ""
        self._file: TextIO | None = None

    def note(
        self,
        user_id: int,
        at: datetime,
        group: str,
        share: float,
        version: str,
        posts: list[int],
        probability: list[float],
    ) -> None:
        """Append one list.

        Args:
            user_id: who asked.
            at: the moment asked about, on the log's clock.
            group: control or test.
            share: of the users who are in this group: the propensity of the assignment.
            version: of the artifact.
            posts: ids, best first.
            probability: of a like, of each post.
        """
        now = datetime.now(UTC)
        line = {
            "served_at": now.isoformat(timespec="milliseconds"),
            "user_id": user_id,
            "at": at.isoformat(),
            "exp_group": group,
            "propensity": round(share, 6),
            "artifact": version,
            "posts": posts,
            "probability": [round(p, 6) for p in probability],
        }
        file = self._open(f"exposures-{now:%Y-%m-%d}-{os.getpid()}.jsonl")
        file.write(json.dumps(line, separators=(",", ":")) + "\n")
        file.flush()

    def close(self) -> None:
        """Close the file of the day."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _open(self, name: str) -> TextIO:
        if self._file is None or name != self._name:
            self.close()
            self._file = (self._directory / name).open("a", encoding="utf-8")
            self._name = name
        return self._file
