"""Access log: request id, log line and time of every request."""

from __future__ import annotations

import logging
import re
import secrets
from time import perf_counter

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.monitoring import metrics
from service.serving.shutdown import Shutdown

logger = logging.getLogger("feedrank.service")
GIVEN_ID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
OUTCOMES = {
    200: "ok", 304: "ok", 401: "unauthorised", 403: "unauthorised", 404: "not_found",
    405: "not_allowed", 411: "invalid", 413: "invalid", 414: "invalid", 422: "invalid",
    500: "error", 503: "busy", 507: "error",
}  # fmt: skip


class AccessLog:
    """Measures the application inside it, and gives each answer an `X-Request-ID`.

    A caller's own id is kept if it has at most 64 letters, digits, dots, dashes and underscores,
    so that a request can be traced through several services.

    Args:
        app: that answers.
        shutdown: closes connections while draining.
    """

    def __init__(self, app: ASGIApp, shutdown: Shutdown) -> None:
        self._app = app
        self._shutdown = shutdown

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = perf_counter(), 500
        request_id = _request_id(scope)

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode())]
            self._shutdown.close_connection(message)
            await send(message)

        try:
            await self._app(scope, receive, sending)
        finally:
            _record(scope, request_id, status, perf_counter() - began)


def _request_id(scope: Scope) -> str:
    given = Headers(scope=scope).get("x-request-id", "")
    return given if GIVEN_ID.fullmatch(given) else secrets.token_hex(8)


def _record(scope: Scope, request_id: str, status: int, seconds: float) -> None:
    # The route's template, not the path: callers must not be able to add values of a label.
    route = getattr(scope.get("route"), "path", "other")
    outcome = OUTCOMES.get(status, f"{status // 100}xx")
    metrics.REQUEST_SECONDS.labels(route).observe(seconds)
    metrics.ANSWERS.labels(route, outcome).inc()
    if not logger.isEnabledFor(logging.INFO):
        return
    ms = round(seconds * 1000, 3)
    extra = {"request_id": request_id, "route": route, "status": status, "ms": ms}
    if "user_id" in scope:
        extra["user_id"] = scope["user_id"]
    logger.info("answered", extra=extra)
