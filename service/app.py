"""The service: what `python -m service` serves."""

from __future__ import annotations

import faulthandler
import gc
import signal
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import FileResponse, RedirectResponse
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send
from threadpoolctl import threadpool_limits

from feedrank import __version__
from feedrank.errors import FeedrankError
from feedrank.state.catalogue import are_text
from service.middleware.access_log import AccessLog
from service.middleware.security import Security
from service.monitoring import metrics
from service.monitoring.logs import log_json
from service.routes import feed, finding, operations, page, posts, recommendations
from service.routes.errors import add_error_answers
from service.server.clock import Clock, system_clock
from service.server.listener import SETTINGS
from service.serving.background import Background
from service.serving.inference import Inference
from service.serving.shutdown import Shutdown, on_signal
from service.settings import Settings

EXPOSED = (
    "X-Unknown-User",
    "X-Artifact",
    "X-Exp-Group",
    "X-Known-Until",
    "X-Request-ID",
    "Retry-After",
)
PROBES = ["GET", "HEAD"]  # probes and proxies ask by HEAD; the server leaves the body out
STATIC = Path(__file__).parent / "static"


class Service(FastAPI):
    """The application, which starts with a checked artifact or not at all.

    Args:
        settings: None to read them from the environment at the start.
        clock: the time of day.
    """

    def __init__(self, settings: Settings | None = None, clock: Clock = system_clock) -> None:
        super().__init__(
            title="feedrank",
            summary="Which posts should this user see at this moment?",
            version=__version__,
            docs_url=None,  # FastAPI's pages load scripts from another host; ours is at /docs
            redoc_url=None,
            redirect_slashes=False,  # a redirect would need to know the proxy's scheme and prefix
        )
        self._settings = settings
        self._clock = clock
        self._app: ASGIApp = super().__call__

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or run one start and stop."""
        if scope["type"] == "lifespan":
            await self._run(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def openapi(self) -> dict[str, Any]:
        """The document, in which ids are of the kind that the artifact's users and posts have."""
        document = super().openapi()
        catalogue = self.state.inference.catalogue
        ids = {"type": "array", "items": {"type": "string"}}
        text: dict[tuple[str, str], dict[str, Any]] = {}
        if are_text(catalogue.user_ids):
            text[("query", "id")] = {"type": "string"}
        if are_text(catalogue.post_ids):
            text |= {("query", "exclude"): ids, ("query", "candidates"): ids}
            text[("path", "id")] = {"type": "string"}
        methods = (about for route in document["paths"].values() for about in route.values())
        for parameter in (p for about in methods for p in about.get("parameters", ())):
            place = parameter["in"], parameter["name"]
            parameter["schema"] = text.get(place, parameter["schema"])
        return document

    async def _run(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        try:
            background = self._start()
        except FeedrankError as error:
            # The server prints the message and leaves with an exit code; no traceback helps.
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        scope.setdefault("state", {})[SETTINGS] = self.state.inference.settings
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await background.stop()
        self.state.inference.close()
        await send({"type": "lifespan.shutdown.complete"})

    def _start(self) -> Background:
        settings = self._settings
        if settings is None:
            settings = Settings.from_environment()
            log_json(settings.log_level)
            faulthandler.enable()  # the first artifact is not proved: a crash says where at least
        metrics.warn_if_not_shared()
        # Several threads wait for each other where a worker has less than a processor for each: a
        # state took 236 ms beside requests, not 67. One also gives the bits of the features stage.
        threadpool_limits(1, user_api="blas")
        inference = Inference(settings, self._clock)
        shutdown = Shutdown(getattr(self.state, "listener", None))
        self.state.inference, self.state.shutdown = inference, shutdown
        self._app = AccessLog(self._secured(settings), shutdown)
        shutdown.listen(settings.drain_seconds)
        background = Background(inference)
        background.start()
        self.state.supervisor = background.supervisor
        on_signal(signal.SIGHUP, background.poll_now)  # unhandled it would end the process
        gc.collect()
        gc.freeze()  # loaded objects stay: collections need not traverse them
        return background

    def _secured(self, settings: Settings) -> ASGIApp:
        origins = settings.cors_origins
        app = Security(super().__call__, settings.api_key, bool(origins))
        if not origins:
            return app
        # Around the key's check: a preflight carries no key, and a refusal must be readable too.
        return CORSMiddleware(
            app,
            origins,
            allow_methods=["GET", "POST", "PUT", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "X-API-Key"],
            expose_headers=list(EXPOSED),
        )


def create_app(settings: Settings | None = None, clock: Clock = system_clock) -> Service:
    """The service, not yet started."""
    app = Service(settings, clock)
    add_error_answers(app)
    for path, handler in (
        ("/", _page(STATIC / "index.html")),
        ("/docs", _page(STATIC / "docs.html")),
        ("/docs/", _docs),
    ):
        app.add_api_route(path, handler, methods=PROBES, include_in_schema=False)
    routed = (recommendations, posts, finding, page, feed, operations)
    for router in (module.router for module in routed):
        app.include_router(router)
        for route in router.routes:
            if isinstance(route, APIRoute):
                methods = PROBES if "GET" in (route.methods or ()) else list(route.methods or ())
                for path in (route.path, _other_end(route.path)):
                    app.router.add_api_route(
                        path,
                        route.endpoint,
                        methods=methods,
                        include_in_schema=False,
                        route_class_override=type(route),
                    )
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    return app


def _other_end(path: str) -> str:
    """A path without its slash at the end, or with one."""
    return path[:-1] if path.endswith("/") else f"{path}/"


def _page(file: Path) -> Any:
    async def page() -> FileResponse:
        return FileResponse(file, headers={"Cache-Control": "no-cache"})

    return page


async def _docs() -> RedirectResponse:
    # Relative, as the page's own links are: the proxy's scheme and prefix are not known here.
    return RedirectResponse("../docs")


app = create_app()
