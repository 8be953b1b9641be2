"""Connection: uvicorn's, with a time-out for headers, a limit, and an end without resets."""

from __future__ import annotations

import asyncio

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
    byte after an answer. One beyond the limit gets a 503. A client that has sent its request and
    closed its own side (half-closed) is answered.
    """

    _timer: asyncio.TimerHandle | None = None

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
        """Forget the timer."""
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read; uvicorn's time-out for idle connections ends here, so that of headers begins."""
        if self.transport.is_closing():
            return
        super().data_received(data)
        if self._is_idle and self._timer is None:
            self._await_request()

    def on_headers_complete(self) -> None:
        """Begin to answer a request."""
        self._stop_timer()
        super().on_headers_complete()

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

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


async def too_many_connections(scope: Scope, receive: Receive, send: Send) -> None:
    """The answer to a connection beyond the limit."""
    detail = {"detail": "too many open connections; retry in a second."}
    headers = {"Retry-After": "1", "Connection": "close"}
    await JSONResponse(detail, 503, headers)(scope, receive, send)
