"""A day's attendance: who was there, who was not, and how many only count.

Everything here runs inside a transaction of the caller's, on the database's thread.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date as Date  # noqa: N812 - a field's name is `date`
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from .events import AttendanceMarked
from .marking import Marking
from .tables import AnonymousAttendance, AttendanceProof, AttendanceRow, FacePhoto, NoConsent, Person


@dataclass(frozen=True, slots=True)
class Filters:
    """What to show of a day; None shows everything."""

    class_name: str | None = None
    camera_id: str | None = None
    session: str | None = None


@dataclass(frozen=True, slots=True)
class AbsentPerson:
    """Someone who could have been recognised, and was not marked."""

    person_id: int
    name: str
    roll_no: str | None
    class_name: str | None


@dataclass(frozen=True, slots=True)
class DayAttendance:
    """One day. `anonymous` counts marks of people who were deleted since.

    `sessions` are those of the settings, then others that rows of the day have; `classes` and `cameras` are all of the
    day, whatever is filtered.
    """

    date: Date
    sessions: list[str]
    present: list[AttendanceMarked]
    absent: list[AbsentPerson]
    anonymous: int
    classes: list[str]
    cameras: list[str]


def present(session: Session, marking: Marking, day: Date, filters: Filters) -> list[AttendanceMarked]:
    """Who was there, in the order they were seen."""
    return [row for row in _rows(session, marking, day) if _shows(filters, row)]


def whole_day(session: Session, marking: Marking, day: Date, filters: Filters) -> DayAttendance:
    """Who was there and who was not."""
    _, end = marking.days.bounds(day)
    rows, enrolled = _rows(session, marking, day), _enrolled(session, end)
    there = {row.person_id for row in rows if filters.session in (None, row.session)}
    absent = [person for person in enrolled if person.person_id not in there]
    classes = {row.class_name for row in rows} | {person.class_name for person in enrolled}
    return DayAttendance(
        date=day,
        sessions=list(dict.fromkeys((*marking.days.sessions, *(row.session for row in rows if row.session)))),
        present=[row for row in rows if _shows(filters, row)],
        absent=[person for person in absent if filters.class_name in (None, person.class_name)],
        anonymous=_anonymous(session, day, filters),
        classes=sorted(name for name in classes if name),
        cameras=sorted({row.camera_id for row in rows if row.camera_id}),
    )


def _rows(session: Session, marking: Marking, day: Date) -> list[AttendanceMarked]:
    """One row for a person and session: ours, or the first of the school's own program."""
    begin, end = marking.days.bounds(day)
    is_schools = (AttendanceRow.day.is_(None)) & (AttendanceRow.timestamp >= begin) & (AttendanceRow.timestamp < end)
    found = session.execute(
        select(AttendanceRow, Person, AttendanceProof.source)
        .join(Person, Person.id == AttendanceRow.student_id)
        .outerjoin(AttendanceProof, AttendanceProof.attendance_id == AttendanceRow.id)
        .where((AttendanceRow.day == day) | is_schools)
        .order_by(AttendanceRow.timestamp, AttendanceRow.id)
    )
    rows = [marking.read(*each) for each in found]
    once: dict[tuple[int, str], AttendanceMarked] = {}
    for row in sorted(rows, key=lambda row: row.source == "school"):
        once.setdefault((row.person_id, row.session), row)
    return [row for row in rows if once[row.person_id, row.session] is row]


def _enrolled(session: Session, before: datetime) -> list[AbsentPerson]:
    """Who had a photo then; nobody is absent on the days before."""
    known = select(FacePhoto.student_id).where(FacePhoto.created_at < before)
    hidden = select(NoConsent.student_id)
    people = session.scalars(
        select(Person).where(Person.id.in_(known), Person.id.not_in(hidden)).order_by(Person.name, Person.id)
    )
    return [AbsentPerson(person.id, person.name, person.roll_no, person.class_name) for person in people]


def _anonymous(session: Session, day: Date, filters: Filters) -> int:
    if filters.camera_id is not None:  # which it was is not kept
        return 0
    count = select(func.count(AnonymousAttendance.id)).where(AnonymousAttendance.day == day)
    if filters.class_name is not None:
        count = count.where(AnonymousAttendance.class_name == filters.class_name)
    if filters.session is not None:
        count = count.where(AnonymousAttendance.session == filters.session)
    return session.scalar(count) or 0


def _shows(filters: Filters, row: AttendanceMarked) -> bool:
    return (
        filters.class_name in (None, row.class_name)
        and filters.camera_id in (None, row.camera_id)
        and filters.session in (None, row.session)
    )
