"""Graceful shutdown: report not ready, finish open requests, close."""

from __future__ import annotations

import asyncio
import multiprocessing
import signal
import socket
from collections.abc import Callable
from functools import partial

from starlette.types import Message

from service.server.listener import SETTLE_SECONDS, refuse_newcomers


class Shutdown:
    """Draining state of this worker.

    A server that closes its socket at once resets connections that wait to be accepted. So the
    worker drains first: `/ready` sends load balancers away and answers close their connections.
    Then no connection begins any more, and those that have begun are accepted before the end.

    Args:
        listener: that only this process accepts from, and ends; None if another process does.
    """

    def __init__(self, listener: socket.socket | None = None) -> None:
        self.is_draining = False
        self._listener = listener

    def listen(self, drain_seconds: float) -> None:
        """Drain at SIGTERM, or when the supervisor is gone, before the server's own handler runs.

        A second SIGTERM runs it at once.
        """
        loop, handler = asyncio.get_running_loop(), signal.getsignal(signal.SIGTERM)
        if not callable(handler):
            return  # the signal has no handler: it ends the process
        end = partial(handler, signal.SIGTERM, None)

        def at_signal() -> None:
            if self.is_draining:
                end()
            else:
                self._drain(drain_seconds, end)

        def orphaned(sentinel: int) -> None:
            # Left to itself the worker would hold the port against the next supervisor.
            loop.remove_reader(sentinel)
            if not self.is_draining:
                self._drain(drain_seconds, end)

        on_signal(signal.SIGTERM, at_signal)
        if (supervisor := multiprocessing.parent_process()) is not None:
            loop.add_reader(supervisor.sentinel, orphaned, supervisor.sentinel)

    def _drain(self, seconds: float, end: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()

        def settle() -> None:
            if self._listener is not None:
                refuse_newcomers(self._listener)
            loop.call_later(SETTLE_SECONDS, end)

        self.is_draining = True
        loop.call_later(seconds, settle)

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
