"""`/healthz`, `/readyz`, `/metrics` and `/api/cameras`: how the server is, what its cameras are called and see."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from pydantic import BaseModel, ConfigDict

from ..callers import allow
from ..camera_id import require_camera_id
from ..errors import Unavailable
from .auth import ADMIN, METRICS, STAFF, VIEW, CallerDep
from .parts import PartsDep

router = APIRouter(tags=["status"])


class CameraName(BaseModel):
    """What to call a camera."""

    model_config = ConfigDict(extra="forbid")

    name: str


@router.get("/healthz")
async def health() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


@router.get("/readyz")
async def ready(parts: PartsDep) -> dict[str, Any]:
    """The database answers too; recognition's state is told, but the video does not wait for it."""
    try:
        await parts.people.revision()
    except Exception as error:  # whatever ails the database, the answer is the same
        raise Unavailable("The database does not answer.", headers={"Retry-After": "5"}) from error
    return {"status": "ready", **asdict(parts.health.now())}


@router.get("/metrics", dependencies=[METRICS])
async def metrics(parts: PartsDep) -> Response:
    """Counters, gauges and histograms in the Prometheus text format."""
    parts.metrics.tasks.set(len(asyncio.all_tasks()))
    return Response(parts.metrics.render(), media_type="text/plain; version=0.0.4; charset=utf-8")


@router.get("/openapi.json", dependencies=[ADMIN], include_in_schema=False)
async def description(request: Request) -> dict[str, Any]:
    """Every route as OpenAPI has it."""
    app: FastAPI = request.app
    return app.openapi()


@router.get("/api/cameras", dependencies=[VIEW])
async def cameras(parts: PartsDep, caller: CallerDep) -> list[dict[str, Any]]:
    """Every camera that the caller may watch."""
    return [camera.status() for camera in parts.cameras.all() if caller.may("view", camera.id)]


@router.get("/api/cameras/{camera_id}/snapshot.jpg", dependencies=[VIEW])
async def snapshot(camera_id: str, parts: PartsDep, caller: CallerDep) -> Response:
    """The camera's picture of this moment, with boxes and names; the slate when it is offline."""
    camera = parts.cameras.get(camera_id)
    allow(caller, "view", camera.id)
    jpeg = await parts.snapshots.take(camera)
    parts.audit.later("watched", f"Camera {camera.id} was watched.", once=True)
    return Response(jpeg, media_type="image/jpeg", headers={"Cache-Control": "no-store"})


@router.put("/api/cameras/{camera_id}", dependencies=[STAFF])
async def rename(camera_id: str, body: CameraName, parts: PartsDep) -> dict[str, str]:
    """Call a camera so from now on, also one that has never published."""
    require_camera_id(camera_id)
    name = await parts.camera_names.store(camera_id, body.name)
    parts.cameras.rename(camera_id, name)
    return {"id": camera_id, "name": name}
