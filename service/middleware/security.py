"""Security: API key, length of the query, and security headers, for every route."""

from __future__ import annotations

import hmac

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LONGEST_QUERY = 16_384  # bytes: 400 uuids to exclude; longer lists go into a body
LONGEST_BODY = 4 * 2**20  # bytes: 10,000 events of 400, each of which takes some 120
OPEN = frozenset({"/health", "/ready", "/", "/docs"})
OPEN_FILES = "/static/"
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'",
    "Cache-Control": "no-store",
}


class Security:
    """Refuses a long query or a missing key, and adds the security headers to every answer.

    Args:
        app: that answers admitted requests.
        api_key: required in `X-API-Key` or as a bearer token; None for no key.
        is_shared: answers may be read by pages of other hosts (CORS is on).
    """

    def __init__(self, app: ASGIApp, api_key: str | None, is_shared: bool = False) -> None:
        self._app = app
        self._api_key = None if api_key is None else api_key.encode(errors="surrogateescape")
        shared = {"Cross-Origin-Resource-Policy": "cross-origin"} if is_shared else {}
        self._headers = Headers(HEADERS | shared).raw

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on one request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [*message["headers"]]
                given = {name for name, _ in headers}
                message["headers"] = headers + [h for h in self._headers if h[0] not in given]
            await send(message)

        refusal = self._refusal(scope)
        await (refusal or self._app)(scope, receive, sending)

    def _refusal(self, scope: Scope) -> JSONResponse | None:
        if len(scope["query_string"]) > LONGEST_QUERY:
            detail = f"the query is longer than {LONGEST_QUERY} bytes; send fewer ids in it."
            return JSONResponse({"detail": detail}, 414)
        if refusal := _length_refusal(Headers(scope=scope)):
            return refusal
        if (
            self._api_key is None
            or is_open(_route_path(scope))
            or self._has_key(Headers(scope=scope))
        ):
            return None
        detail = "send the service's API key in the header 'X-API-Key'."
        return JSONResponse({"detail": detail}, 401, {"WWW-Authenticate": "Bearer"})

    def _has_key(self, headers: Headers) -> bool:
        kind, _, token = headers.get("authorization", "").partition(" ")
        given = headers.get("x-api-key") or (token if kind.lower() == "bearer" else "")
        # A header's bytes are read as Latin-1, whatever letters they mean.
        return hmac.compare_digest(given.encode("latin-1"), self._api_key or b"")


def _length_refusal(headers: Headers) -> JSONResponse | None:
    """An answer to a body that is too long, or whose length is told by its end alone."""
    length = headers.get("content-length", "0")
    if "transfer-encoding" in headers or not length.isdecimal():
        return JSONResponse({"detail": "send the body's length in 'Content-Length'."}, 411)
    if int(length) > LONGEST_BODY:
        detail = f"the body is longer than {LONGEST_BODY:,} bytes; send it in parts."
        return JSONResponse({"detail": detail}, 413)
    return None


def _route_path(scope: Scope) -> str:
    """The path after the prefix that a proxy has taken off, and the server has put back."""
    return str(scope["path"]).removeprefix(scope.get("root_path", ""))


def is_open(path: str) -> bool:
    """Whether a path needs no key: probes and the pages' own files, which hold nothing of users."""
    return (path.rstrip("/") or "/") in OPEN or path.startswith(OPEN_FILES)
