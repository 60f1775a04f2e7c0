"""Why a row of attendance was written, and taking back one that is wrong.

Everything here runs inside a transaction of the caller's, on the database's thread.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import delete, or_, select, update
from sqlalchemy.orm import Session

from . import audit
from .errors import Conflict, NotFound
from .events import AttendanceMarked, AttendanceRemoved
from .marking import Marking
from .tables import AttendanceProof, AttendanceRow, NotThem, Person


@dataclass(frozen=True, slots=True)
class Proof:
    """The row, and what it rests on; None where that was not measured, or is not kept any more.

    `margin` is how much nearer the person was than the second-best one, `threshold` the largest distance that counted.
    `has_face`: the face's measurements are still here, so "not them" can be remembered.
    """

    row: AttendanceMarked
    track_id: int | None = None
    margin: float | None = None
    looks: int | None = None
    model: str | None = None
    threshold: float | None = None
    has_crop: bool = False
    has_face: bool = False


@dataclass(frozen=True, slots=True)
class TakenBack:
    """A row that is gone, and whether its face is remembered as not the person's."""

    removed: AttendanceRemoved
    is_remembered: bool
    row: AttendanceMarked


def proof_of(session: Session, marking: Marking, row_id: int) -> Proof:
    """Everything that is known about a row.

    Raises:
        NotFound: there is no such row.
    """
    marked, proof = _find(session, marking, row_id)
    if proof is None:
        return Proof(marked)
    return Proof(
        marked,
        proof.track_id,
        proof.margin,
        proof.looks,
        proof.model,
        proof.threshold,
        has_crop=proof.crop is not None,
        has_face=proof.embedding is not None,
    )


def crop_of(session: Session, row_id: int) -> bytes:
    """The sealed JPEG of the face that was seen.

    Raises:
        NotFound: there is no such row, or no picture of it (any more).
    """
    proof = session.get(AttendanceProof, row_id)
    if proof is None or proof.crop is None:
        raise NotFound("There is no picture of this mark, or it is not kept any more.", reason="no_crop")
    return proof.crop


def take_back_wrong(session: Session, marking: Marking, row_id: int) -> TakenBack:
    """Remove a row that names the wrong person, and remember the face as not theirs where it is still known.

    Raises:
        NotFound: there is no such row.
        Conflict: the school's own program wrote it.
    """
    marked, proof = _find_ours(session, marking, row_id)
    face = None if proof is None else proof.embedding
    if face is not None:
        sealed = marking.vault.seal(marking.vault.open(face))
        session.add(NotThem(student_id=marked.person_id, embedding=sealed, created_at=datetime.now(UTC)))
    remembered = "the face is remembered as someone else's" if face else "the face is not known any more"
    return _take_back(session, marked, f"Wrong person; {remembered}", is_remembered=face is not None)


def take_back_by_hand(session: Session, marking: Marking, row_id: int) -> TakenBack:
    """Remove a row that was marked by hand.

    Raises:
        NotFound: there is no such row.
        Conflict: it was not marked by hand.
    """
    marked, _ = _find_ours(session, marking, row_id)
    if marked.source != "manual":
        raise Conflict(
            "Recognition made this mark, and would make it again. If it is someone else, say 'Wrong person'.",
            reason="recognised",
        )
    return _take_back(session, marked, "Removed a mark made by hand", is_remembered=False)


def purge(session: Session, before: datetime) -> int:
    """Remove pictures and embeddings of rows older than `before`; returns of how many rows."""
    old = select(AttendanceRow.id).where(AttendanceRow.timestamp < before)
    kept = or_(AttendanceProof.embedding.is_not(None), AttendanceProof.crop.is_not(None))
    purged = session.scalars(
        update(AttendanceProof)
        .where(AttendanceProof.attendance_id.in_(old), kept)
        .values(embedding=None, crop=None)
        .returning(AttendanceProof.attendance_id)
        .execution_options(synchronize_session=False)
    )
    return len(purged.all())


def _find(session: Session, marking: Marking, row_id: int) -> tuple[AttendanceMarked, AttendanceProof | None]:
    found = session.execute(
        select(AttendanceRow, Person, AttendanceProof)
        .join(Person, Person.id == AttendanceRow.student_id)
        .outerjoin(AttendanceProof, AttendanceProof.attendance_id == AttendanceRow.id)
        .where(AttendanceRow.id == row_id)
    ).first()
    if found is None:
        raise NotFound("There is no such mark; it may have been removed already.")
    row, person, proof = found
    return marking.read(row, person, proof.source if proof else None), proof


def _find_ours(session: Session, marking: Marking, row_id: int) -> tuple[AttendanceMarked, AttendanceProof | None]:
    marked, proof = _find(session, marking, row_id)
    if marked.source == "school":
        raise Conflict("The school's own program wrote this mark; remove it there.", reason="school")
    return marked, proof


def _take_back(session: Session, marked: AttendanceMarked, why: str, *, is_remembered: bool) -> TakenBack:
    session.execute(delete(AttendanceProof).where(AttendanceProof.attendance_id == marked.id))
    gone = session.execute(delete(AttendanceRow).where(AttendanceRow.id == marked.id).returning(AttendanceRow.id))
    if gone.first() is None:  # PostgreSQL: another request was faster
        raise NotFound("There is no such mark; it may have been removed already.")
    where = f", camera {marked.camera_id}" if marked.camera_id else ""
    audit.note(
        session, "attendance_removed", f"{why}: {marked.timestamp[:16].replace('T', ' ')}{where}", marked.person_id
    )
    return TakenBack(AttendanceRemoved(marked.id, marked.person_id, marked.camera_id), is_remembered, marked)
