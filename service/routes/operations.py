"""What operators ask: is it up, can it answer, what does it serve, how does it fare."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.responses import JSONResponse

from feedrank import __version__
from service.monitoring import metrics
from service.routes.replies import desk_of
from service.routes.schemas import Health, Ready, Versions
from service.serving.model_slot import Slot

router = APIRouter(tags=["operation"])


@router.get("/health", response_model=Health, response_description="The process is up.")
async def health() -> JSONResponse:
    """The process is up."""
    return JSONResponse({"status": "ok"})


@router.get(
    "/ready",
    response_model=Ready,
    responses={503: {"model": Ready, "description": "The service is ending."}},
    response_description="The artifact that answers.",
)
async def ready(request: Request) -> JSONResponse:
    """An artifact is loaded and answered its golden requests as stored; 503 once it is ending."""
    version = desk_of(request).slots["control"].current.version
    if request.app.state.leaving.has_begun:
        return JSONResponse({"status": "leaving", "artifact": version}, 503)
    return JSONResponse({"status": "ready", "artifact": version})


@router.get("/version", response_model=Versions, response_description="One artifact, or two.")
async def version(request: Request) -> JSONResponse:
    """Which artifact answers, its age and manifest, and whether a newer one was refused."""
    artifacts = [_version(slot) for slot in desk_of(request).slots.values()]
    return JSONResponse({"service": __version__, "artifacts": artifacts})


@router.get("/metrics", response_class=Response, response_description="Prometheus' text format.")
async def get_metrics(request: Request) -> Response:
    """All metrics in Prometheus' text format."""
    desk_of(request).publish()
    return Response(metrics.exposition(), media_type=metrics.CONTENT_TYPE)


def _version(slot: Slot) -> dict[str, Any]:
    model = slot.current
    manifest = model.artifact.manifest
    as_of = datetime.fromisoformat(manifest["as_of"])
    age = datetime.now(UTC).replace(tzinfo=None) - as_of
    return {
        "exp_group": slot.group,
        "artifact": model.version,
        "as_of": manifest["as_of"],
        "as_of_age_days": round(age.total_seconds() / 86_400, 3),
        "loaded_at": model.loaded_at.isoformat(timespec="seconds"),
        "refused": slot.refused.reason if slot.refused else None,
        "manifest": manifest,
    }
