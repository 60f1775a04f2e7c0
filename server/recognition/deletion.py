"""Deleting a person: everything biometric always goes, attendance as the school has configured; with a receipt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, delete, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from .. import audit
from ..config import Settings
from ..tables import (
    AnonymousAttendance,
    AttendanceProof,
    AttendanceRow,
    FacePhoto,
    NoConsent,
    NotThem,
    Person,
    Visitor,
    VisitorFace,
)
from ..vault import Vault
from .enrolment import embeddings_of, enrolled, forget_evidence
from .gallery import Embedding
from .lookalikes import is_like
from .stored import to_embedding

_ATTENDANCE_WORDS = {"anonymise": "anonymised", "keep": "kept", "delete": "deleted"}


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was deleted of a person, for the person.

    `photos` counts pictures of the face, `embeddings` its measurements wherever they were, `evidence` pictures that
    proved attendance, `not_them` faces once taken for theirs, `visitors` unknown faces that were theirs. `attendance`
    says how many rows were "deleted", "anonymised" or "kept". `record` tells whether name and number are gone too, or
    "kept": as configured, or because records of the school's own refer to them. `deleted_at` is UTC.
    """

    person_id: int
    name: str
    roll_no: str | None
    class_name: str | None
    deleted_at: datetime
    photos: int
    embeddings: int
    evidence: int
    not_them: int
    visitors: int
    attendance: Mapping[str, int]
    record: str


class Deletion:
    """One person to delete; the result of calling it with a session is the receipt."""

    def __init__(self, person_id: int, settings: Settings, vault: Vault) -> None:
        self._person_id = person_id
        self._on_delete = settings.on_delete
        self._like = settings.recognition_distance
        self._zone = ZoneInfo(settings.timezone) if settings.timezone else None
        self._vault = vault

    def __call__(self, session: Session) -> Receipt:
        """Delete.

        Raises:
            NotFound: nobody of this id is enrolled.
        """
        person = enrolled(session, self._person_id)
        about = (person.id, person.name, person.roll_no, person.class_name, datetime.now(UTC))
        faces = embeddings_of(session, person.id, self._vault)
        crops, proofs = self._count_evidence(session)
        elsewhere = self._delete_elsewhere(session, faces)
        # In this order and not by cascade: the school's own attendance_logs may have been made without one.
        photos = _delete(session, FacePhoto, FacePhoto.student_id == person.id)
        not_them = _delete(session, NotThem, NotThem.student_id == person.id)
        _delete(session, NoConsent, NoConsent.student_id == person.id)
        attendance = self._end_attendance(session, person.class_name)
        is_gone = self._on_delete != "keep" and _delete_record(session, person)
        audit.note(session, "person_deleted", f"Deleted with {photos} photos; attendance {attendance}.")
        if is_gone:
            audit.forget_person(session, self._person_id)
        embeddings = photos + not_them + proofs + sum(elsewhere)
        words = {_ATTENDANCE_WORDS[self._on_delete]: attendance}
        record = "deleted" if is_gone else "kept"
        return Receipt(*about, photos, embeddings, crops, not_them + elsewhere[0], elsewhere[1], words, record)

    def _count_evidence(self, session: Session) -> tuple[int, int]:
        """How many proofs hold a picture of the person's face, and how many its measurements."""
        found = session.execute(
            select(func.count(AttendanceProof.crop), func.count(AttendanceProof.embedding)).where(self._proofs())
        ).one()
        return found[0], found[1]

    def _delete_elsewhere(self, session: Session, faces: Sequence[Embedding]) -> tuple[int, int]:
        """The person's face where it has no name: not_them of others (it was taken for them), and among visitors."""
        others = session.execute(select(NotThem.id, NotThem.embedding).where(NotThem.student_id != self._person_id))
        mistaken = self._theirs(others.all(), faces)
        seen = self._theirs(session.execute(select(VisitorFace.id, VisitorFace.embedding)).all(), faces)
        not_them = _delete(session, NotThem, NotThem.id.in_(mistaken))
        groups = session.scalars(select(VisitorFace.visitor_id).where(VisitorFace.id.in_(seen)).distinct()).all()
        visitors = _delete(session, VisitorFace, VisitorFace.id.in_(seen))
        has_faces = Visitor.id.in_(select(VisitorFace.visitor_id))
        _delete(session, Visitor, Visitor.id.in_(groups) & ~has_faces)
        return not_them, visitors

    def _theirs(self, rows: Sequence[tuple[int, bytes]], faces: Sequence[Embedding]) -> list[int]:
        """The ids of those rows whose embedding is like one of `faces`."""
        found = ((row_id, to_embedding(stored, self._vault)) for row_id, stored in rows)
        return [row_id for row_id, face in found if face is not None and is_like(face, faces, self._like)]

    def _end_attendance(self, session: Session, class_name: str | None) -> int:
        rows = session.scalars(select(AttendanceRow).where(AttendanceRow.student_id == self._person_id)).all()
        if self._on_delete == "keep":
            forget_evidence(session, self._person_id)
            return len(rows)
        if self._on_delete == "anonymise":
            session.add_all(_anonymous(row, class_name, self._zone) for row in rows if row.day or row.timestamp)
        _delete(session, AttendanceProof, self._proofs())
        _delete(session, AttendanceRow, AttendanceRow.student_id == self._person_id)
        return len(rows)

    def _proofs(self) -> ColumnElement[bool]:
        theirs = select(AttendanceRow.id).where(AttendanceRow.student_id == self._person_id)
        return AttendanceProof.attendance_id.in_(theirs)


def _anonymous(row: AttendanceRow, class_name: str | None, zone: tzinfo | None) -> AnonymousAttendance:
    """That somebody of the class was there; the school's own rows have no day but that of their timestamp."""
    day = row.day or row.timestamp.astimezone(zone).date()
    return AnonymousAttendance(day=day, session=row.session, class_name=class_name)


def _delete(session: Session, table: type, condition: ColumnElement[bool]) -> int:
    """Delete rows; returns how many."""
    return int(session.execute(delete(table).where(condition)).rowcount)  # type: ignore[attr-defined]


def _delete_record(session: Session, person: Person) -> bool:
    """Delete the row of `students`, unless tables of the school's own refer to it."""
    try:
        with session.begin_nested():
            session.execute(delete(Person).where(Person.id == person.id))
    except IntegrityError:
        return False
    return True
