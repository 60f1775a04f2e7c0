"""Attendance, and the ONE rule for "already marked": at most one row per person and local day of the school.

The rule is the database's unique index on (student_id, day); every insert says ON CONFLICT DO NOTHING, so two cameras,
two servers or a clock set back cannot make a second row. What is remembered here only saves asking again. Nothing is
announced before it is on the disk. Use it from one event loop.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from .database import Database
from .errors import ConfigError, Unavailable
from .events import AttendanceMarked
from .tables import AttendanceRow, Person

RETRY_S = 0.2  # between two attempts while the database is locked, full or away
MAX_PENDING = 1000  # marks that wait for the database

logger = logging.getLogger("surveillx.attendance")


class AttendanceStore:
    """Marks who was seen, and tells who was there."""

    def __init__(self, database: Database, timezone: str) -> None:
        """`timezone` is the school's, such as Europe/Berlin; empty means this machine's.

        Raises:
            ConfigError: there is no such time zone.
        """
        self._database = database
        self._zone = _zone(timezone)
        self._remembered_day: date | None = None
        self._remembered: set[int] = set()
        self._pending: set[tuple[int, date]] = set()
        self._turn = asyncio.Lock()  # first come, first written

    def today(self) -> date:
        """The day it is at the school."""
        return self._local(datetime.now(UTC)).date()

    async def mark(
        self, person_id: int, camera_id: str, distance: float | None, at: datetime | None = None
    ) -> AttendanceMarked | None:
        """Mark a person as present on the local day of `at` (aware; now unless given).

        Returns the row once it is on the disk, however long the database is locked or away; None when the person is
        already marked that day, is about to be by another call, or was deleted meanwhile. A call that is cancelled
        while it waits may still have written its row.

        Raises:
            Unavailable: the database was closed, or `MAX_PENDING` marks are waiting for it.
        """
        seen = _Sighting(person_id, camera_id, distance, self._local(at or datetime.now(UTC)))
        if self._is_remembered(seen) or seen.key in self._pending:
            return None
        if len(self._pending) >= MAX_PENDING:
            raise Unavailable(f"{MAX_PENDING} attendance marks are waiting for the database already.")
        self._pending.add(seen.key)
        try:
            async with self._turn:
                marked = await self._write(seen)
        finally:
            self._pending.discard(seen.key)
        self._remember(seen)
        return marked

    async def of_day(self, day: date) -> list[AttendanceMarked]:
        """Everyone marked on `day`, in the order they were seen."""
        return await self._database.read(lambda session: self._rows(session, day))

    async def _write(self, seen: _Sighting) -> AttendanceMarked | None:
        failures = 0
        while True:
            try:
                marked = await self._database.run(seen.insert)
            except Unavailable as error:
                if self._database.closed:
                    raise
                failures += 1
                if failures == 1:
                    logger.warning("attendance waits for the database: %s", error.detail)
                await asyncio.sleep(RETRY_S)
            else:
                if failures:
                    logger.info("attendance is written again, after %d failed attempts", failures)
                return marked

    def _rows(self, session: Session, day: date) -> list[AttendanceMarked]:
        rows = session.execute(
            select(AttendanceRow, Person)
            .join(Person, Person.id == AttendanceRow.student_id)
            .where(AttendanceRow.day == day)
            .order_by(AttendanceRow.timestamp, AttendanceRow.id)
        )
        return [
            _marked(row.id, person, row.camera_id or "", self._local(row.timestamp), row.distance)
            for row, person in rows
        ]

    def _local(self, at: datetime) -> datetime:
        return at.astimezone(self._zone)

    def _is_remembered(self, seen: _Sighting) -> bool:
        return seen.day == self._remembered_day and seen.person_id in self._remembered

    def _remember(self, seen: _Sighting) -> None:
        if seen.day != self._remembered_day:
            self._remembered_day = seen.day
            self._remembered.clear()
        self._remembered.add(seen.person_id)


@dataclass(frozen=True, slots=True)
class _Sighting:
    """A person seen by a camera; `at` is in the school's zone."""

    person_id: int
    camera_id: str
    distance: float | None
    at: datetime

    @property
    def day(self) -> date:
        return self.at.date()

    @property
    def key(self) -> tuple[int, date]:
        return self.person_id, self.day

    def insert(self, session: Session) -> AttendanceMarked | None:
        """Write the row unless there is one; None then, or when the person is gone."""
        # The share lock (PostgreSQL; SQLite's transaction locks anyway) keeps the person until the row is in.
        person = session.scalars(select(Person).where(Person.id == self.person_id).with_for_update(read=True)).first()
        if person is None:
            return None
        row_id = session.scalar(_INSERT_ONCE[session.get_bind().dialect.name], self._values())
        if row_id is None:
            return None
        return _marked(row_id, person, self.camera_id, self.at, self.distance)

    def _values(self) -> dict[str, object]:
        return {
            "student_id": self.person_id,
            "day": self.day,
            "session": "",
            "camera_id": self.camera_id,
            "timestamp": self.at,
            "distance": self.distance,
        }


_ONCE_A_SESSION = ("student_id", "day", "session")
_INSERT_ONCE = {
    "sqlite": sqlite.insert(AttendanceRow)
    .on_conflict_do_nothing(index_elements=_ONCE_A_SESSION)
    .returning(AttendanceRow.id),
    "postgresql": postgresql.insert(AttendanceRow)
    .on_conflict_do_nothing(index_elements=_ONCE_A_SESSION)
    .returning(AttendanceRow.id),
}


def _zone(name: str) -> ZoneInfo | None:
    if not name:
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ConfigError(f"Setting timezone = {name!r}: there is no such zone. An example: Europe/Berlin.") from error


def _marked(row_id: int, person: Person, camera_id: str, at: datetime, distance: float | None) -> AttendanceMarked:
    timestamp = at.isoformat(timespec="seconds")
    return AttendanceMarked(row_id, person.id, person.name, person.roll_no, camera_id, timestamp, distance)
