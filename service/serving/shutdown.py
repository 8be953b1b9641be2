"""SIGTERM: say so to whoever asks, answer what still comes, then close."""

from __future__ import annotations

import asyncio
import signal

from starlette.types import Message


class Leaving:
    """Whether this worker has been told to end.

    A server that closes its socket at once resets connections that wait to be accepted. So it goes
    on for a moment, while `/ready` sends load balancers away and answers close their connections.
    """

    def __init__(self) -> None:
        self.has_begun = False

    def listen(self, seconds: float) -> None:
        """Put this moment before what the server itself does at SIGTERM."""
        loop, former = asyncio.get_running_loop(), signal.getsignal(signal.SIGTERM)
        if not callable(former):
            return  # nothing listens to the signal: it ends the process as ever

        def leave() -> None:
            wait = 0.0 if self.has_begun else seconds
            self.has_begun = True
            loop.call_later(wait, former, signal.SIGTERM, None)

        try:
            loop.add_signal_handler(signal.SIGTERM, leave)
        except (NotImplementedError, RuntimeError, ValueError):
            return  # not the main thread, as in tests: there are no signals to listen to

    def part(self, message: Message) -> None:
        """Let an answer close its connection, once the end has begun."""
        if self.has_begun and message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], (b"connection", b"close")]
