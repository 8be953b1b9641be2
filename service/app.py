"""The service: `uvicorn service.app:app`."""

from __future__ import annotations

import asyncio
import gc
import signal
from pathlib import Path

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import FileResponse
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from feedrank import __version__
from feedrank.errors import FeedrankError
from service.middleware.access_log import Telemetry
from service.middleware.security import Guard
from service.monitoring.logs import write_json_lines
from service.routes import operations, page, recommendations
from service.routes.errors import answer_problems
from service.serving.background import Watch
from service.serving.inference import Desk
from service.serving.shutdown import Leaving
from service.settings import Settings

STATIC = Path(__file__).parent / "static"


class Service(FastAPI):
    """The application, which starts with a checked artifact or not at all.

    Args:
        settings: None to read them from the environment when it starts.
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
        self._leaving = Leaving()
        self._outer: ASGIApp = super().__call__
        self._watch: Watch | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or live through one start and stop."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        else:
            await self._outer(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            await self._start()
        except FeedrankError as error:
            # The server prints the message and leaves with an exit code; no traceback helps.
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._stop()
        await send({"type": "lifespan.shutdown.complete"})

    async def _start(self) -> None:
        if self._settings is None:
            settings = Settings.from_environment()
            write_json_lines(settings.log_level)
        else:
            settings = self._settings
        desk = Desk(settings)
        inner: ASGIApp = super().__call__
        if settings.cors_origins:
            inner = CORSMiddleware(inner, settings.cors_origins, allow_headers=["X-API-Key"])
        guard = Guard(inner, settings.api_key, bool(settings.cors_origins))
        self._outer = Telemetry(guard, self._leaving)
        self.state.desk, self.state.leaving = desk, self._leaving
        self._leaving.listen(settings.drain_seconds)
        self._watch = Watch(desk)
        self._watch.start()
        _listen_to_hangup(self._watch)
        gc.collect()
        gc.freeze()  # what was loaded stays: collections need not look through it

    async def _stop(self) -> None:
        if self._watch is not None:
            await self._watch.stop()
        self.state.desk.close()


def _listen_to_hangup(watch: Watch) -> None:
    """Let SIGHUP mean: look for a new artifact now. By itself it would end the process."""
    try:
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, watch.look_now)
    except (NotImplementedError, RuntimeError, ValueError):
        return  # not the main thread, as in tests: there are no signals to listen to


def create_app(settings: Settings | None = None) -> Service:
    """The service, not yet started."""
    app = Service(settings)
    answer_problems(app)
    for router in (recommendations.router, page.router, operations.router):
        app.include_router(router)
    app.add_api_route("/", _page("index.html"), include_in_schema=False)
    app.add_api_route("/docs", _page("docs.html"), include_in_schema=False)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    return app


def _page(name: str):  # type: ignore[no-untyped-def]
    async def page() -> FileResponse:
        return FileResponse(STATIC / name, headers={"Cache-Control": "no-cache"})

    return page


app = create_app()
