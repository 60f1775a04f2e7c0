"""`GET /api/audit`: what staff did to people and attendance."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from ..audit import AuditRecord
from .auth import require_view
from .parts import PartsDep

router = APIRouter(tags=["audit"], dependencies=[Depends(require_view)])


@router.get("/api/audit")
async def audit(parts: PartsDep, limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> list[AuditRecord]:
    """The newest lines, newest first."""
    return await parts.audit.recent(limit)
