"""Attendance's ONE rule: at most one row per person in a session of a local day of the school.

The rule is the database's unique index on (student_id, day, session); every insert says ON CONFLICT DO NOTHING, so two
cameras, two servers or a clock set back cannot make a second row. A row that the school's own program wrote in that
session counts as well. Everything here runs inside a transaction of the caller's, on the database's thread.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import bindparam, exists, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from . import audit
from .days import DaySession, SchoolDay
from .errors import Conflict, NotFound
from .events import AttendanceMarked, AttendanceSource, Sighting
from .spool import Mark
from .tables import AttendanceProof, AttendanceRow, NoConsent, NotThem, Person
from .vault import Vault

# The row; or why there is none: there was one already, or this must not become one.
Outcome = AttendanceMarked | Literal["already", "refused"]

_STORED = np.dtype("<f8")
EMBEDDING_BYTES = 128 * _STORED.itemsize

logger = logging.getLogger("surveillx.attendance")


@dataclass(frozen=True, slots=True)
class Marking:
    """Writes marks. A face within `not_them` of one that was marked as not the person is refused."""

    days: SchoolDay
    vault: Vault
    not_them: float

    def by_sight(self, session: Session, mark: Mark) -> Outcome:
        """Write the row and its proof. Refused: the person is gone or gave no consent, or this is not them."""
        seen = mark.seen
        standing = None if seen.person_id is None else _hold(session, seen.person_id)
        if standing is None or standing.is_hidden:
            return "refused"
        person = standing.person
        if standing.has_not_them and self._is_not_them(session, person.id, seen):
            return "refused"
        entry = _Entry(person, self.days.of(mark.at), self.days.local(mark.at), seen.camera_id, seen.distance)
        row_id = self._insert(session, entry)
        if row_id is None:
            return "already"
        session.add(self._proof(row_id, seen))
        return entry.marked(row_id, "recognised")

    def by_hand(self, session: Session, person_id: int, when: DaySession, at: datetime) -> AttendanceMarked:
        """Write a row that a member of staff vouches for.

        Raises:
            NotFound: there is no such person.
            Conflict: there is a row already, or the person gave no consent.
        """
        standing = _hold(session, person_id)
        if standing is None:
            raise NotFound("There is no such person; the list may have changed.")
        person = standing.person
        if standing.is_hidden:
            raise Conflict("This person gave no consent and is never marked.", reason="no_consent")
        entry = _Entry(person, when, self.days.local(at), "", None)
        row_id = self._insert(session, entry)
        if row_id is None:
            raise Conflict("This person is marked as present already.", reason="already_marked")
        session.add(AttendanceProof(attendance_id=row_id, source="manual"))
        audit.note(session, "attendance_marked", f"Marked by hand for {_words(when)}", person_id)
        return entry.marked(row_id, "manual")

    def read(self, row: AttendanceRow, person: Person, source: str | None) -> AttendanceMarked:
        """A stored row; `source` is that of its proof, if there is one."""
        when = self.days.of(row.timestamp) if row.day is None else DaySession(row.day, row.session)
        entry = _Entry(person, when, self.days.local(row.timestamp), row.camera_id or "", row.distance)
        is_schools = row.day is None
        return entry.marked(row.id, "school" if is_schools else cast("AttendanceSource", source or "recognised"))

    def _insert(self, session: Session, entry: _Entry) -> int | None:
        """The new row's id, or None where there is one already."""
        begin, end = self.days.bounds(entry.when.day, entry.when.session)
        if session.scalar(_BY_SCHOOL, {"person_id": entry.person.id, "begin": begin, "end": end}):
            return None
        return session.scalar(_INSERT_ONCE[session.get_bind().dialect.name], entry.values())

    def _is_not_them(self, session: Session, person_id: int, seen: Sighting) -> bool:
        """As `Gallery` has it: very near to a face that is not theirs, or nearer to it than to their own."""
        face = np.frombuffer(seen.embedding, _STORED)
        reach = max(self.not_them, seen.distance or 0.0)
        return any(np.linalg.norm(face - other) <= reach for other in self._others(session, person_id))

    def _others(self, session: Session, person_id: int) -> Iterator[NDArray[np.float64]]:
        rows = session.execute(select(NotThem.id, NotThem.embedding).where(NotThem.student_id == person_id))
        for row_id, stored in rows:
            embedding = self.vault.open(stored)
            if len(embedding) == EMBEDDING_BYTES:
                yield np.frombuffer(embedding, _STORED)
            else:
                logger.error("row %d of not_them is damaged and not used", row_id)

    def _proof(self, row_id: int, seen: Sighting) -> AttendanceProof:
        return AttendanceProof(
            attendance_id=row_id,
            source="recognised",
            track_id=seen.track_id,
            margin=seen.margin,
            looks=seen.looks,
            model=seen.model,
            threshold=seen.threshold,
            embedding=self.vault.seal(seen.embedding),
            crop=self.vault.seal(seen.crop) if seen.crop else None,
        )


@dataclass(frozen=True, slots=True)
class _Entry:
    """What a row says; `at` is in the school's zone."""

    person: Person
    when: DaySession
    at: datetime
    camera_id: str
    distance: float | None

    def values(self) -> dict[str, object]:
        return {
            "student_id": self.person.id,
            "day": self.when.day,
            "session": self.when.session,
            "camera_id": self.camera_id,
            "timestamp": self.at,
            "distance": self.distance,
        }

    def marked(self, row_id: int, source: AttendanceSource) -> AttendanceMarked:
        return AttendanceMarked(
            id=row_id,
            person_id=self.person.id,
            name=self.person.name,
            roll_no=self.person.roll_no,
            camera_id=self.camera_id,
            timestamp=self.at.isoformat(timespec="seconds"),
            distance=self.distance,
            class_name=self.person.class_name,
            session=self.when.session,
            source=source,
        )


_ONCE = ("student_id", "day", "session")
_INSERT_ONCE = {
    "sqlite": sqlite.insert(AttendanceRow).on_conflict_do_nothing(index_elements=_ONCE).returning(AttendanceRow.id),
    "postgresql": postgresql.insert(AttendanceRow)
    .on_conflict_do_nothing(index_elements=_ONCE)
    .returning(AttendanceRow.id),
}


# Made once: a thousand waiting marks are written by the same few statements.
_BY_SCHOOL = select(
    exists().where(
        AttendanceRow.student_id == bindparam("person_id"),
        AttendanceRow.day.is_(None),
        AttendanceRow.timestamp >= bindparam("begin"),
        AttendanceRow.timestamp < bindparam("end"),
    )
)
_STANDING = (
    select(
        Person,
        exists().where(NoConsent.student_id == Person.id),
        exists().where(NotThem.student_id == Person.id),
    )
    .where(Person.id == bindparam("person_id"))
    .with_for_update(read=True, of=Person)
)


@dataclass(frozen=True, slots=True)
class _Standing:
    """A person, and what could keep them from being marked."""

    person: Person
    is_hidden: bool
    has_not_them: bool


def _hold(session: Session, person_id: int) -> _Standing | None:
    """The person, who stays until the transaction ends (PostgreSQL's share lock; SQLite locks anyway)."""
    row = session.execute(_STANDING, {"person_id": person_id}).first()
    return None if row is None else _Standing(*row)


def _words(when: DaySession) -> str:
    return f"{when.day.isoformat()}, {when.session}" if when.session else when.day.isoformat()
