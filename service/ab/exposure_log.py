"""Exposure log: the returned lists, one line of JSON each, a file a worker and day."""

from __future__ import annotations

import errno
import json
import logging
import os
import secrets
from collections import deque
from pathlib import Path
from threading import Lock, Thread
from typing import IO

from feedrank.errors import FeedrankError
from feedrank.log.exposures import Exposure
from service.monitoring import metrics
from service.server.clock import Clock, system_clock

logger = logging.getLogger("feedrank.service")
# At the end, for lists that wait: longer than a write of them takes, and well within the 10 s after
# which a container's manager kills.
CLOSE_SECONDS = 3.0
LONGEST_LINE = 1 << 16  # bytes; one of 100 posts has 3,000
# Some 30 MB of lines: minutes of the load that one worker answers. Beyond it the oldest are
# dropped, and counted.
MOST_WAITING = 100_000


class ExposureLog:
    """Queue of returned lists, which `write` appends to files that `service.ab_report` reads.

    A request only queues its line, so that a slow or full disk never fails or delays an answer.

    Args:
        directory: created if it is missing.
        clock: of `served_at`, and of the day in a file's name.
    """

    def __init__(self, directory: Path, clock: Clock = system_clock) -> None:
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FeedrankError(
                f"no exposures can be kept in '{directory}' ({error.strerror}). Set "
                "FEEDRANK_EXPOSURES to a directory that this user may write into, or unset it."
            ) from error
        self._directory = directory
        self._clock = clock
        # Host, day and process id come again, on a fresh disk or in another container.
        self._token = secrets.token_hex(4)
        self._waiting: deque[bytes] = deque()
        self._open: deque[bytes] = deque()  # being written
        self._queue, self._file = Lock(), Lock()  # held while the queue, or the file, changes

    def append(self, exposure: Exposure) -> None:
        """Queue one list."""
        line = {
            **vars(exposure),
            "served_at": self._clock().isoformat(timespec="milliseconds"),
            "at": exposure.at.isoformat(),
            "propensity": round(exposure.propensity, 6),
            "probability": [round(p, 6) for p in exposure.probability],
            "slot_propensity": [float(f"{p:.6g}") for p in exposure.slots],
        }
        self._wait(json.dumps(line, separators=(",", ":")).encode() + b"\n")

    def write(self) -> None:
        """Append all queued lines, whole or not at all; raises `OSError` and keeps them.

        Another thread may queue meanwhile, however long the disk takes.
        """
        with self._file:
            with self._queue:
                self._open, self._waiting = self._waiting, deque()
            try:
                self._append(b"".join(self._open))
            except OSError:
                with self._queue:
                    later, self._waiting = self._waiting, self._open
                self._wait(*later)
                raise
            finally:
                self._open = deque()

    def _append(self, lines: bytes) -> None:
        if not lines:
            return
        name = f"exposures-{self._clock():%Y-%m-%d}-{os.getpid()}-{self._token}.jsonl"
        path = self._directory / name
        with path.open("a+b", buffering=0) as file:
            end = _cut_to_whole_lines(file)
            try:
                if file.write(lines) != len(lines):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
            except OSError:
                file.truncate(end)
                raise

    def _wait(self, *lines: bytes) -> None:
        with self._queue:
            self._waiting.extend(lines)
            while len(self._waiting) > MOST_WAITING:
                self._waiting.popleft()
                metrics.EXPOSURES_DROPPED.inc()

    def close(self) -> None:
        """Write what still waits; what cannot be written in time is lost, counted and said."""
        reasons = [f"the disk did not answer within {CLOSE_SECONDS:g} s"]

        def write() -> None:
            try:
                self.write()
                reasons.clear()
            except OSError as error:
                reasons[0] = str(error)

        # A daemon: a disk that hangs must not hold up the end of the process.
        last = Thread(target=write, daemon=True)
        last.start()
        last.join(CLOSE_SECONDS)
        for reason in reasons:
            n_lost = len(self._waiting) + len(self._open)
            metrics.EXPOSURES_DROPPED.inc(n_lost)
            logger.warning("%d exposures are lost: %s", n_lost, reason)


def _cut_to_whole_lines(file: IO[bytes]) -> int:
    """Take off the part of a line that a failed write left; the file's size."""
    end = file.seek(0, os.SEEK_END)
    file.seek(max(0, end - LONGEST_LINE))
    tail = file.read()
    if tail and not tail.endswith(b"\n"):
        end -= len(tail) - (tail.rfind(b"\n") + 1)
        file.truncate(end)
    return end
