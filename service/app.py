"""The service: `uvicorn service.app:app`."""

from __future__ import annotations

import gc
import signal
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import FileResponse
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from feedrank import __version__
from feedrank.errors import FeedrankError
from service.middleware.access_log import AccessLog
from service.middleware.security import Security
from service.monitoring import metrics
from service.monitoring.logs import write_json_lines
from service.routes import operations, page, recommendations
from service.routes.errors import add_error_answers
from service.serving.background import Background
from service.serving.inference import Inference
from service.serving.shutdown import Shutdown, on_signal
from service.settings import Settings

EXPOSED = ("X-Artifact", "X-Exp-Group", "X-Known-Until", "X-Request-ID", "Retry-After")
STATIC = Path(__file__).parent / "static"


class Service(FastAPI):
    """The application, which starts with a checked artifact or not at all.

    Args:
        settings: None to read them from the environment at the start.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        super().__init__(
            title="feedrank",
            summary="Which posts should this user see at this moment?",
            version=__version__,
            docs_url=None,  # FastAPI's pages load scripts from another host; ours is at /docs
            redoc_url=None,
        )
        self._settings = settings
        self._app: ASGIApp = super().__call__

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or run one start and stop."""
        if scope["type"] == "lifespan":
            await self._run(receive, send)
        else:
            await self._app(scope, receive, send)

    async def _run(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            background = self._start()
        except FeedrankError as error:
            # The server prints the message and leaves with an exit code; no traceback helps.
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await background.stop()
        self.state.inference.close()
        await send({"type": "lifespan.shutdown.complete"})

    def _start(self) -> Background:
        settings = self._settings
        if settings is None:
            settings = Settings.from_environment()
            write_json_lines(settings.log_level)
        metrics.warn_if_not_shared()
        inference, shutdown = Inference(settings), Shutdown()
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
            allow_headers=["Authorization", "X-API-Key"],
            expose_headers=list(EXPOSED),
        )


def create_app(settings: Settings | None = None) -> Service:
    """The service, not yet started."""
    app = Service(settings)
    add_error_answers(app)
    routes = [*recommendations.router.routes, *page.router.routes, *operations.router.routes]
    for router in (recommendations.router, page.router, operations.router):
        app.include_router(router)
    for path, name in (("/", "index.html"), ("/docs", "docs.html")):
        routes.append(APIRoute(path, _page(STATIC / name), include_in_schema=False))
        app.router.routes.append(routes[-1])
    for route in routes:
        # Probes and proxies ask by HEAD; the server leaves the body out.
        if isinstance(route, APIRoute) and "GET" in (route.methods or ()):
            app.add_api_route(route.path, route.endpoint, methods=["HEAD"], include_in_schema=False)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    return app


def _page(file: Path) -> Any:
    async def page() -> FileResponse:
        return FileResponse(file, headers={"Cache-Control": "no-cache"})

    return page


app = create_app()
