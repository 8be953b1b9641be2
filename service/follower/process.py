"""Process of the follower, beside the workers of a service, started again whenever it ends."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

logger = logging.getLogger("feedrank.service")
ORPHAN = "--with-parent"
PAUSE_SECONDS = 1.0  # before another start, so that one that cannot start costs little
PATIENCE_SECONDS = 10.0  # from SIGTERM; what it had not appended is read again next time


def dsn_to_follow() -> str:
    """FEED_DSN; raises `SourceError` if it names no database that could be followed."""
    from feedrank.extraction.environment import own_dsn  # with drivers that no other service needs

    found = "there is no database to follow: the demo's does not grow"
    return own_dsn(found, "or start without `--follow` and FEEDRANK_FOLLOW")


@contextmanager
def following() -> Iterator[None]:
    """A follower's process as long as the context lasts; killed, it is started again."""
    is_over = threading.Event()
    keeper = _Keeper(is_over)
    keeper.start()
    try:
        yield
    finally:
        is_over.set()
        keeper.end()


class _Keeper(threading.Thread):
    def __init__(self, is_over: threading.Event) -> None:
        super().__init__(daemon=True, name="follower")
        self._is_over, self._lock = is_over, threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def run(self) -> None:
        while (process := self._launched()) is not None:
            code = process.wait()
            if not self._is_over.wait(PAUSE_SECONDS):
                logger.error("the follower ended and is started again", extra={"code": code})

    def end(self) -> None:
        with self._lock:
            process = self._process
        if process is None:
            return
        process.terminate()
        try:
            process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _launched(self) -> subprocess.Popen[bytes] | None:
        with self._lock:
            if self._is_over.is_set():
                return None
            # The pipe to its input ends with this process, however it ends, and the follower too.
            command = [sys.executable, "-m", "service.follower", ORPHAN]
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE)
            return self._process
