"""Connection: uvicorn's, with time-outs, a limit, and an end without resets."""

from __future__ import annotations

import asyncio
import sys
from array import array
from fcntl import ioctl
from termios import TIOCOUTQ

from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.monitoring import metrics
from service.server.listener import REFUSABLE, SETTINGS

# At a shutdown, from the listener's end to the end of idle connections: longer than the way of a
# request that was sent when its client could not know of the end.
LAST_REQUEST_SECONDS = 1.0


class Connection(HttpToolsProtocol):
    """One connection.

    It is closed if it sends no whole header within the time-out, from its begin or from the first
    byte after an answer, or if for so long it neither sends more of a body nor takes more of an
    answer. One beyond the limit gets a 503. A client that has sent its request and closed its own
    side (half-closed) is answered.
    """

    _timer: asyncio.TimerHandle | None = None
    _watch: asyncio.TimerHandle | None = None
    _n_received = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Admit, refuse or close a new connection."""
        super().connection_made(transport)
        self._settings = self.app_state[SETTINGS]
        excess = len(self.connections) - self._settings.max_connections
        if excess > 0:
            self.app = too_many_connections
            metrics.CONNECTIONS_REFUSED.inc()
        if excess > REFUSABLE:
            transport.abort()
        else:
            self._await_request()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timers."""
        self._stop_timer()
        if self._watch is not None:
            self._watch.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read; uvicorn's time-out for idle connections ends here, so that of headers begins."""
        if self.transport.is_closing():
            return
        self._n_received += len(data)
        super().data_received(data)
        if self._is_idle and self._timer is None:
            self._await_request()

    def on_headers_complete(self) -> None:
        """Begin to answer a request."""
        self._stop_timer()
        super().on_headers_complete()
        if self._watch is None:
            self._begin_watch()

    def on_response_complete(self) -> None:
        """End an answer; uvicorn's time-out for idle connections begins."""
        self._stop_timer()
        super().on_response_complete()

    def eof_received(self) -> bool:  # type: ignore[override]
        """Whether an answer is still to be written to a client that sends no more."""
        if self._is_idle:
            return False
        self.cycle.keep_alive = False  # the newest request's: earlier ones are answered before it
        return True

    def shutdown(self) -> None:
        """Close after the open request, or after one that is already on its way."""
        if self._is_idle:
            self.loop.call_later(LAST_REQUEST_SECONDS, self._close_if_idle)
        else:
            super().shutdown()

    @property
    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _await_request(self) -> None:
        self._timer = self.loop.call_later(self._settings.header_seconds, self._close_if_idle)

    def _close_if_idle(self) -> None:
        if self._is_idle:
            self.transport.close()
        else:
            super().shutdown()

    def _begin_watch(self) -> None:
        seconds = self._settings.header_seconds
        self._watch = self.loop.call_later(seconds, self._end_if_stuck, self._progress())

    def _end_if_stuck(self, before: tuple[int, int, int]) -> None:
        """End a connection that waits for its client, which has done nothing since `before`."""
        self._watch = None
        n_unsent = self.transport.get_write_buffer_size()
        if self._is_idle and not n_unsent:
            return
        is_waiting = n_unsent or (self.cycle.more_body and not self.flow.read_paused)
        if is_waiting and self._progress() == before:
            self.transport.abort()  # to close would wait until all is sent
        else:
            self._begin_watch()

    def _progress(self) -> tuple[int, int, int]:
        """Bytes that the client has sent, and those that it has yet to take: ours, the kernel's."""
        unread = array("i", [0])
        if sys.platform == "linux" and not self.transport.is_closing():
            ioctl(self.transport.get_extra_info("socket").fileno(), TIOCOUTQ, unread)
        return self._n_received, self.transport.get_write_buffer_size(), unread[0]

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


async def too_many_connections(scope: Scope, receive: Receive, send: Send) -> None:
    """The answer to a connection beyond the limit."""
    detail = {"detail": "too many open connections; retry in a second."}
    headers = {"Retry-After": "1", "Connection": "close"}
    await JSONResponse(detail, 503, headers)(scope, receive, send)
