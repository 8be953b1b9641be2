"""Exposure log: the returned lists, one line of JSON each, a file a worker and day."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from feedrank.errors import SchemaError
from service.ab.assignment import Arm


@dataclass(frozen=True)
class Exposure:
    """One returned list.

    Attributes:
        user_id: of the request.
        at: moment of the request on the log's clock.
        exp_group: arm of the user.
        propensity: assignment probability of this arm.
        artifact: version of the artifact that made the list.
        posts: ids, best first.
        probability: of a like, of each post.
    """

    user_id: int
    at: datetime
    exp_group: Arm
    propensity: float
    artifact: str
    posts: list[int]
    probability: list[float]

    @property
    def test_share(self) -> float:
        """Planned share of the users in the arm `test`."""
        share = self.propensity if self.exp_group == "test" else 1 - self.propensity
        return round(share, 6)


class ExposureLog:
    """Appends exposures to files, which `service.ab_report` reads.

    Args:
        directory: created if it is missing.
    """

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._file: TextIO | None = None

    def append(self, exposure: Exposure) -> None:
        """Append one list."""
        now = datetime.now(UTC)
        line = {
            "served_at": now.isoformat(timespec="milliseconds"),
            **asdict(exposure),
            "at": exposure.at.isoformat(),
            "propensity": round(exposure.propensity, 6),
            "probability": [round(p, 6) for p in exposure.probability],
        }
        file = self._open(self._directory / f"exposures-{now:%Y-%m-%d}-{os.getpid()}.jsonl")
        file.write(json.dumps(line, separators=(",", ":")) + "\n")
        file.flush()

    def close(self) -> None:
        """Close the file of the day."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _open(self, path: Path) -> TextIO:
        if self._file is None or self._file.name != str(path):
            self.close()
            self._file = path.open("a", encoding="utf-8")
        return self._file


def read_exposures(directory: Path) -> Iterator[Exposure]:
    """All lists logged in a directory; raises `SchemaError` for no file or a broken line."""
    files = sorted(directory.glob("exposures-*.jsonl"))
    if not files:
        raise SchemaError(
            f"'{directory}' holds no exposures. Start the service with FEEDRANK_EXPOSURES set to "
            "this directory."
        )
    for file in files:
        for number, line in enumerate(file.read_text().split("\n"), start=1):
            if line:
                yield _parsed(line, f"line {number} of '{file}'")


def _parsed(line: str, place: str) -> Exposure:
    try:
        found = json.loads(line)
    except json.JSONDecodeError as error:
        raise SchemaError(f"{place} is not JSON: {error}. Remove this line.") from error
    del found["served_at"]
    return Exposure(**{**found, "at": datetime.fromisoformat(found["at"])})
