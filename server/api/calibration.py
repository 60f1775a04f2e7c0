"""`/api/calibration`: will it work with the people enrolled. Computed on request, beside the event loop."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from ..recognition.calibration import Assumptions, Calibration, calibrate
from ..recognition.chart import chart
from .auth import STAFF
from .parts import PartsDep

router = APIRouter(tags=["calibration"], dependencies=[STAFF])


async def assumed(
    parts: PartsDep,
    risk: Annotated[float, Query(description="acceptable false marks a day")] = 0.01,
    strangers: Annotated[float, Query(description="strangers in the picture a day")] = 20.0,
    threshold: Annotated[float | None, Query(ge=0.2, le=0.8, description="instead of the one in force")] = None,
) -> Assumptions:
    """What the query asks for, and the settings."""
    in_force = parts.settings.recognition_distance
    return Assumptions(in_force if threshold is None else threshold, parts.settings.recognition_margin, strangers, risk)


async def found(parts: PartsDep, asked: Annotated[Assumptions, Depends(assumed)]) -> Calibration:
    """The calibration; the event loop goes on meanwhile."""
    return await asyncio.to_thread(calibrate, await parts.compared.get(), asked)


Found = Annotated[Calibration, Depends(found)]


@router.get("/api/calibration")
async def calibration(found: Found, response: Response) -> Calibration:
    """Who may be missed, who looks alike, false marks a day, and the threshold for a risk."""
    response.headers["Cache-Control"] = "no-store"
    return found


@router.get("/api/calibration.svg")
async def calibration_svg(found: Found) -> Response:
    """The plot."""
    headers = {"Cache-Control": "no-store"}
    return Response(chart(found), media_type="image/svg+xml", headers=headers)
