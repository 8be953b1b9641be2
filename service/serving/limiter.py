"""A short queue: work is done one request at a time, and what is too much is refused at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class BusyError(Exception):
    """More requests wait than can be answered soon."""


class Gate:
    """Lets requests in one by one.

    Scoring holds the interpreter for a few milliseconds, so doing two at once would make both
    late. What waits is bounded: a caller who is refused can go elsewhere or come again.

    Args:
        most: requests that wait or are worked on.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._turn = asyncio.Lock()
        self.n_inside = 0

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Waits for this request's turn; raises `BusyError` if too many wait already."""
        if self.n_inside >= self._most:
            raise BusyError
        self.n_inside += 1
        try:
            async with self._turn:
                # Once around the loop, so that whatever arrived meanwhile is counted, or refused.
                await asyncio.sleep(0)
                yield
        finally:
            self.n_inside -= 1
