"""Operation: liveness, readiness, versions and metrics."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from fastapi import APIRouter, HTTPException, Request, Response
from starlette.responses import FileResponse, HTMLResponse, JSONResponse

from feedrank import __version__
from feedrank.log.metadata import SECONDS_A_DAY
from service.monitoring import metrics
from service.routes.replies import Running
from service.routes.schemas import Health, Problem, Ready, Versions
from service.serving.model_slot import Slot

router = APIRouter(tags=["operation"])
# The report is one file with its styles in it; like all pages it may load and run nothing else.
STYLED = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}


@router.get("/health", response_model=Health, response_description="The process is up.")
async def health() -> JSONResponse:
    """The process is up."""
    return JSONResponse({"status": "ok"})


@router.get(
    "/ready",
    response_model=Ready,
    responses={503: {"model": Ready, "description": "The service is draining before its end."}},
    response_description="The artifact that answers.",
)
async def ready(http: Request, inference: Running) -> JSONResponse:
    """An artifact is loaded and answered its golden requests as stored; 503 while draining.

    `failing` names background tasks whose last turn failed: lists are served, but a newer
    artifact may not be. `follower` says how far the follower of the database is behind.
    """
    version = inference.slots["control"].current.version
    found = {
        "artifact": version,
        "failing": http.app.state.supervisor.failing,
        "follower": inference.followed(),
    }
    if http.app.state.shutdown.is_draining:
        return JSONResponse({"status": "draining", **found}, 503)
    return JSONResponse({"status": "ready", **found})


@router.get("/version", response_model=Versions, response_description="One artifact, or two.")
async def version(inference: Running) -> JSONResponse:
    """Version of the service; each artifact's age and manifest, and why a newer one is refused."""
    now = inference.clock()
    artifacts = [_version(slot, now) for slot in inference.slots.values()]
    return JSONResponse({"service": __version__, "artifacts": artifacts})


@router.get("/metrics", response_class=Response, response_description="Prometheus' text format.")
async def get_metrics(inference: Running) -> Response:
    """All metrics in Prometheus' text format."""
    inference.publish()
    return Response(metrics.exposition(), media_type=metrics.CONTENT_TYPE)


@router.get(
    "/report",
    response_class=HTMLResponse,
    responses={404: {"model": Problem, "description": "There is no report."}},
    response_description="The page of validation.",
)
async def report(inference: Running) -> FileResponse:
    """The report of the last `dvc repro`: hit rates, baselines, warnings."""
    path = inference.settings.report
    if not inference.settings.has_report:
        raise HTTPException(
            404,
            f"there is no file '{path}' that the service may read. Run 'dvc repro', or name the "
            "page in FEEDRANK_REPORT.",
        )
    return FileResponse(path, media_type="text/html", headers=STYLED)


def _version(slot: Slot, now: datetime) -> dict[str, Any]:
    loaded = slot.current
    as_of = loaded.artifact.as_of
    age = now - loaded.artifact.as_of_utc
    return {
        "exp_group": slot.arm,
        "artifact": loaded.version,
        "as_of": as_of.isoformat(),
        "as_of_age_days": round(age.total_seconds() / SECONDS_A_DAY, 3),
        "loaded_at": loaded.loaded_at.isoformat(timespec="seconds"),
        "refused": slot.refused.reason if slot.refused else None,
        "manifest": loaded.artifact.manifest,
    }
