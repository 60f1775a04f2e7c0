"""`GET /api/audit`: what was done to people and attendance; for administrators also who came in and who watched."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from ..audit import AuditRecord
from .auth import STAFF, CallerDep
from .parts import PartsDep

router = APIRouter(tags=["audit"], dependencies=[STAFF])


@router.get("/api/audit")
async def audit(
    parts: PartsDep, caller: CallerDep, limit: Annotated[int, Query(ge=1, le=1000)] = 100
) -> list[AuditRecord]:
    """The newest lines, newest first."""
    return await parts.audit.recent(limit, of_access=caller.may("admin"))
