"""Concurrency limiter: one request at a time, a bounded queue, load shedding beyond it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager


class BusyError(Exception):
    """More requests are open than can be answered soon."""


class Limiter:
    """Admits requests one by one.

    Scoring holds the interpreter for a millisecond, so two requests at once would both be
    late. The queue is bounded: a caller who is refused can ask another worker or retry.

    Args:
        most: open requests.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = asyncio.Lock()
        self.n_open = 0

    @asynccontextmanager
    async def admit(self) -> AsyncIterator[None]:
        """Wait until this request is next; raises `BusyError` if too many are open already."""
        with self.opened():
            async with self.turn():
                yield

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Count a request as open; raises `BusyError` if too many are already."""
        if self.n_open >= self._most:
            raise BusyError
        self.n_open += 1
        try:
            yield
        finally:
            self.n_open -= 1

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait until this request is next; a request of several parts waits for each."""
        async with self._lock:
            # One turn of the event loop: requests that arrived meanwhile are counted or shed.
            await asyncio.sleep(0)
            yield
