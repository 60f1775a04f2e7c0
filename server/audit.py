"""The audit: a line for everything staff did to people and attendance, written in the transaction of the deed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from .database import Database
from .tables import AuditLine

AuditAction = Literal[
    "person_added",
    "person_changed",
    "person_deleted",
    "photo_added",
    "photo_deleted",
    "attendance_marked",
    "attendance_removed",
    "visitor_enrolled",
    "visitor_ignored",
    "visitor_deleted",
    "camera_named",
]


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One deed. `at` is UTC; `person_id` is None where it concerns nobody enrolled, or nobody any more."""

    id: int
    at: datetime
    action: str
    person_id: int | None
    words: str


def note(session: Session, action: AuditAction, words: str, person_id: int | None = None) -> None:
    """Add a line to the transaction. `words` must not hold a name: the line outlives the person."""
    session.add(AuditLine(at=datetime.now(UTC), action=action, student_id=person_id, words=words))


def forget_person(session: Session, person_id: int) -> None:
    """Let a deleted person's lines lead to nobody."""
    session.execute(update(AuditLine).where(AuditLine.student_id == person_id).values(student_id=None))


class AuditStore:
    """Reads the audit, and removes what is old."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def recent(self, limit: int) -> list[AuditRecord]:
        """The newest lines, newest first."""
        return await self._database.read(lambda session: _recent(session, limit))

    async def purge(self, days: int) -> int:
        """Remove lines older than `days`; returns how many."""
        before = datetime.now(UTC) - timedelta(days=days)
        return await self._database.run(lambda session: _purge(session, before))


def _recent(session: Session, limit: int) -> list[AuditRecord]:
    rows = session.scalars(select(AuditLine).order_by(AuditLine.id.desc()).limit(limit))
    return [AuditRecord(row.id, row.at, row.action, row.student_id, row.words) for row in rows]


def _purge(session: Session, before: datetime) -> int:
    return len(session.scalars(delete(AuditLine).where(AuditLine.at < before).returning(AuditLine.id)).all())
