"""Open log: the delta log of a service, opened at its first use."""

from __future__ import annotations

from pathlib import Path
from threading import Lock

from feedrank.io.files import private_directory
from feedrank.live.delta_log import DeltaLog, delta_log_of


class OpenLog:
    """The delta log of an artifact's link.

    Args:
        state: directory that it lies in.
        artifact: the link.
    """

    def __init__(self, state: Path, artifact: Path) -> None:
        self.path = delta_log_of(state, artifact)
        self._opening = Lock()
        self._log: DeltaLog | None = None

    @property
    def log(self) -> DeltaLog:
        """The delta log, made at its first use, and again after it was moved away.

        Raises:
            FeedrankError: it cannot be used.
        """
        with self._opening:
            if self._log is None or not self._log.is_there:
                private_directory(self.path.parent)
                self._log = DeltaLog(self.path)
            return self._log

    def to_read(self) -> DeltaLog | None:
        """The delta log, if there is one."""
        return self.log if self.path.exists() else None

    def close(self) -> None:
        """Close the file, if it was opened."""
        if self._log is not None:
            self._log.close()
