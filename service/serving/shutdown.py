"""Graceful shutdown: report not ready, finish open requests, close."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable

from starlette.types import Message


class Shutdown:
    """Draining state of this worker.

    A server that closes its socket at once resets connections that wait to be accepted. So the
    worker drains first: `/ready` sends load balancers away and answers close their connections.
    """

    def __init__(self) -> None:
        self.is_draining = False

    def listen(self, drain_seconds: float) -> None:
        """Drain at SIGTERM before the server's own handler runs; at a second SIGTERM run it."""
        loop, handler = asyncio.get_running_loop(), signal.getsignal(signal.SIGTERM)
        if not callable(handler):
            return  # the signal has no handler: it ends the process

        def drain() -> None:
            wait = 0.0 if self.is_draining else drain_seconds
            self.is_draining = True
            loop.call_later(wait, handler, signal.SIGTERM, None)

        on_signal(signal.SIGTERM, drain)

    def close_connection(self, message: Message) -> None:
        """Let an answer close its connection while draining."""
        if self.is_draining and message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], (b"connection", b"close")]


def on_signal(number: signal.Signals, action: Callable[[], None]) -> None:
    """Run an action in the event loop at a signal; outside the main thread there are none."""
    try:
        asyncio.get_running_loop().add_signal_handler(number, action)
    except (NotImplementedError, RuntimeError, ValueError):
        return
