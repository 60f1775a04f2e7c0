"""`/api/system`: how the whole server is, for the System page and for programs that watch over it."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from .auth import STAFF
from .parts import PartsDep

router = APIRouter(tags=["status"])


@router.get("/api/system", dependencies=[STAFF])
async def system(parts: PartsDep) -> dict[str, Any]:
    """Cameras, recognition, database, machine and versions, and every problem in words with what to do about it."""
    return await parts.overview.now()
