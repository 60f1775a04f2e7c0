"""The audit: who did what.

What changes people, attendance or accounts writes its line in the transaction of the deed. What changes nothing, such
as watching, is written soon after: nobody waits for it, and it waits where the database is away.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict, deque
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, get_args

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from .callers import acting
from .database import Database
from .errors import Unavailable
from .tables import AuditLine

Deed = Literal[
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
# For administrators: who came in, and who may.
OfAccess = Literal[
    "account_added",
    "account_removed",
    "password_changed",
    "token_added",
    "token_revoked",
    "signed_in",
    "sign_in_refused",
    "signed_out",
    "published",
    "watched",
]
AuditAction = Deed | OfAccess

# A player that comes back after a break, or a page that is opened again, watches on: one line in this time.
SAME_FOR_S = 600.0
WAITING_MOST = 1000
RETRY_S = 2.0

logger = logging.getLogger("surveillx.audit")


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One deed. `at` is UTC; `person_id` is None where it concerns nobody enrolled, or nobody any more."""

    id: int
    at: datetime
    action: str
    person_id: int | None
    words: str
    who: str | None


def note(session: Session, action: AuditAction, words: str, person_id: int | None = None) -> None:
    """Add a line to the transaction. `words` must not hold a name: the line outlives the person."""
    who = session.info.get("who") or None
    session.add(AuditLine(at=datetime.now(UTC), action=action, student_id=person_id, words=words, who=who))


def forget_person(session: Session, person_id: int) -> None:
    """Let a deleted person's lines lead to nobody."""
    session.execute(update(AuditLine).where(AuditLine.student_id == person_id).values(student_id=None))


class AuditStore:
    """Reads the audit, writes what happens beside the database, and removes what is old."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: deque[dict[str, object]] = deque(maxlen=WAITING_MOST)
        self._any_waiting = asyncio.Event()
        self._told: OrderedDict[tuple[str, str, str], float] = OrderedDict()

    async def run(self, ready: asyncio.Event) -> None:
        """Write what is noted with `later`, until cancelled; then what is left."""
        ready.set()
        try:
            while True:
                await self._any_waiting.wait()
                try:
                    await self._write()
                except Unavailable:
                    await asyncio.sleep(RETRY_S)
        except asyncio.CancelledError:
            await self._write_last()
            raise

    def later(self, action: AuditAction, words: str, *, once: bool = False) -> None:
        """Note what the acting caller did; with `once`, not again within `SAME_FOR_S`."""
        who = acting.get()
        if once and self._was_told((action, words, who)):
            return
        if len(self._waiting) == WAITING_MOST:
            logger.warning("the audit loses a line: too many wait for the database")
        self._waiting.append({"at": datetime.now(UTC), "action": action, "words": words, "who": who or None})
        self._any_waiting.set()

    def _was_told(self, line: tuple[str, str, str]) -> bool:
        now = time.monotonic()
        if now - self._told.get(line, -SAME_FOR_S) < SAME_FOR_S:
            return True
        self._told[line] = now
        self._told.move_to_end(line)
        if len(self._told) > WAITING_MOST:
            self._told.popitem(last=False)
        return False

    async def _write(self) -> None:
        lines = list(self._waiting)
        self._waiting.clear()
        self._any_waiting.clear()
        try:
            await self._database.run(lambda session: session.add_all(AuditLine(**line) for line in lines))
        except Unavailable:
            self._waiting.extendleft(reversed(lines))
            self._any_waiting.set()
            raise

    async def _write_last(self) -> None:
        try:
            if self._waiting:
                await self._write()
        except Unavailable:
            logger.warning("the audit loses %d lines: the database is away", len(self._waiting))

    async def recent(self, limit: int, *, of_access: bool = True) -> list[AuditRecord]:
        """The newest lines, newest first; with `of_access`, also who came in and watched."""
        return await self._database.read(lambda session: _recent(session, limit, of_access=of_access))

    async def purge(self, days: int) -> int:
        """Remove lines older than `days`; returns how many."""
        before = datetime.now(UTC) - timedelta(days=days)
        return await self._database.run(lambda session: _purge(session, before))


def _recent(session: Session, limit: int, *, of_access: bool) -> list[AuditRecord]:
    chosen = select(AuditLine) if of_access else select(AuditLine).where(AuditLine.action.not_in(get_args(OfAccess)))
    rows = session.scalars(chosen.order_by(AuditLine.id.desc()).limit(limit))
    return [AuditRecord(row.id, row.at, row.action, row.student_id, row.words, row.who) for row in rows]


def _purge(session: Session, before: datetime) -> int:
    return len(session.scalars(delete(AuditLine).where(AuditLine.at < before).returning(AuditLine.id)).all())
