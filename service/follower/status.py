"""Status of the follower, in a file that every worker reads."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from feedrank.errors import printable
from feedrank.io.files import write_whole


@dataclass(frozen=True)
class FollowerStatus:
    """How far the follower has come.

    Attributes:
        pid: of its process.
        caught_up_at: Unix time of the last poll after which the delta log held all that the source
            did; of the follower's start, before the first such poll.
        n_events: new events since its start.
        error: why the last poll failed; None if it did not.
    """

    pid: int
    caught_up_at: float
    n_events: int = 0
    error: str | None = None

    def behind_seconds(self) -> float:
        """Seconds for which rows of the source may be missing."""
        return max(0.0, time.time() - self.caught_up_at)

    def write(self, delta_log: Path) -> None:
        """Put it beside a delta log."""
        write_whole(_path(delta_log), json.dumps(asdict(self)).encode())

    @classmethod
    def read(cls, delta_log: Path) -> FollowerStatus | None:
        """That of the follower of a delta log; None if it has none, or it has shut down.

        One that cannot be read is a follower that has failed for as long as its file is old.
        """
        path = _path(delta_log)
        try:
            return cls(**json.loads(path.read_bytes()))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError) as error:
            reason = f"'{path}' cannot be read ({error}). Start the follower again."
            return cls(0, path.lstat().st_mtime, error=printable(reason))

    @staticmethod
    def remove(delta_log: Path) -> None:
        """Say that nothing is followed any more."""
        _path(delta_log).unlink(missing_ok=True)


def _path(delta_log: Path) -> Path:
    return delta_log.with_suffix(".follower.json")
