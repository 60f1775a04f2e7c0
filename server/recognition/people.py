"""The people who are enrolled, in the database.

Privacy: of an enrolment photo only the embedding and a small picture of the face are kept, never the photo itself; and
deleting a person removes these and the attendance, from the disk too.
"""

from __future__ import annotations

import logging
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from sqlalchemy import Row, delete, func, select, text
from sqlalchemy.exc import DataError, IntegrityError
from sqlalchemy.orm import Session

from ..database import Database
from ..errors import Conflict, NotFound, Unprocessable
from ..tables import AttendanceRow, FacePhoto, NoConsent, NotThem, Person
from ..vault import Vault
from .gallery import Embedding, Known, KnownFace, as_embedding
from .photos import ExaminedPhoto

MAX_NAME_CHARACTERS = 100
MAX_ROLL_NO_CHARACTERS = 50

# Little-endian whatever the machine, so that a data folder can move.
_STORED = np.dtype("<f8")

# Lone surrogates cannot be stored; control characters and direction overrides could pass one name off as another.
_FORBIDDEN_CATEGORIES = {"Cc", "Cs", "Zl", "Zp"}
_DIRECTION_OVERRIDES = set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")

logger = logging.getLogger("surveillx.people")


@dataclass(frozen=True, slots=True)
class PersonRecord:
    """Someone enrolled; `photos` is how many, `created_at` (UTC) when the first was added."""

    id: int
    name: str
    roll_no: str | None
    photos: int
    created_at: datetime


Records = list[PersonRecord]


class PeopleStore:
    """Adds, lists and deletes people. Use it from the event loop; the `_sync` twins are for the command line."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, name: str, roll_no: str | None, photos: Sequence[ExaminedPhoto]) -> PersonRecord:
        """Enrol a person.

        Raises:
            Unprocessable: the name or roll number is empty, too long or has control characters; there is no photo.
            Conflict: the roll number is taken, or the name is and no roll number tells the two apart.
        """
        return await self._database.run(_Addition(name, roll_no, photos, self._database.vault))

    def add_sync(self, name: str, roll_no: str | None, photos: Sequence[ExaminedPhoto]) -> PersonRecord:
        """`add`, blocking."""
        return self._database.run_sync(_Addition(name, roll_no, photos, self._database.vault))

    async def list(self) -> Records:
        """Everyone enrolled, by name. Students of the school's own table without a photo are not."""
        return await self._database.read(_list)

    def list_sync(self) -> Records:
        """`list`, blocking."""
        return self._database.run_sync(_list)

    async def delete(self, person_id: int) -> None:
        """Remove a person with photos, embeddings and attendance, from the tables and from the disk.

        Raises:
            NotFound: there is no such person.
        """
        await self._database.run(lambda session: _delete(session, person_id))
        await self._database.forget_deleted()

    async def known(self) -> Known:
        """Every stored face, for a `Gallery`."""
        return await self._database.read(lambda session: _known(session, self._database.vault))

    async def revision(self) -> int | str:
        """A value that changes whenever any program adds, renames or deletes a person; cheap to ask each second."""
        return await self._database.read(_revision)

    async def thumbnail(self, person_id: int) -> bytes:
        """The JPEG of the person's first face.

        Raises:
            NotFound: there is no such person, or no photo.
        """
        return self._database.vault.open(await self._database.read(lambda session: _thumbnail(session, person_id)))


class _Addition:
    """One person to add: checked when made, written when called with a session."""

    def __init__(self, name: str, roll_no: str | None, photos: Sequence[ExaminedPhoto], vault: Vault) -> None:
        self._name, self._roll_no = identity(name, roll_no)
        if not photos:
            raise Unprocessable("At least one photo is needed.", reason="no_photo")
        self._faces = [(vault.seal(_to_bytes(photo.embedding)), vault.seal(photo.thumbnail)) for photo in photos]

    def __call__(self, session: Session) -> PersonRecord:
        try:
            person = self._row(session)
        except IntegrityError:  # another program was faster; SQLite's write lock excludes that, PostgreSQL does not
            raise _taken() from None
        except DataError:  # PostgreSQL: the school's own columns may be narrower than ours
            raise Unprocessable("The name or roll number is too long for the school's table.", reason="name") from None
        now = datetime.now(UTC)
        session.add_all(
            FacePhoto(student_id=person.id, embedding=embedding, thumbnail=thumbnail, created_at=now)
            for embedding, thumbnail in self._faces
        )
        return PersonRecord(person.id, person.name, person.roll_no, len(self._faces), now)

    def _row(self, session: Session) -> Person:
        """The person's new row, or the one the school's own table holds for a student without photos."""
        if self._roll_no is not None:
            holder = session.scalars(select(Person).where(Person.roll_no == self._roll_no).limit(1)).first()
            if holder is not None:
                return self._enrollable(session, holder)
        elif session.scalars(select(Person.id).where(Person.name == self._name).limit(1)).first() is not None:
            raise Conflict(
                "There is a person of this name already. If this is someone else, give a roll number.",
                reason="name_taken",
            )
        person = Person(name=self._name, roll_no=self._roll_no)
        session.add(person)
        session.flush()
        return person

    def _enrollable(self, session: Session, holder: Person) -> Person:
        photos = session.scalar(select(func.count(FacePhoto.id)).where(FacePhoto.student_id == holder.id))
        if photos or holder.name != self._name:
            raise _taken()
        return holder


def identity(name: str, roll_no: str | None) -> tuple[str, str | None]:
    """Name and roll number as they are stored; an empty roll number is none.

    Raises:
        Unprocessable: one of them is empty, too long or has control characters.
    """
    number = _clean(roll_no, "roll_no", MAX_ROLL_NO_CHARACTERS) if roll_no and roll_no.strip() else None
    return _clean(name, "name", MAX_NAME_CHARACTERS), number


def _taken() -> Conflict:
    return Conflict("This roll number belongs to someone already.", reason="roll_no_taken")


def _clean(value: str, field: str, max_characters: int) -> str:
    """Trim and compose (NFC, so that é typed in two ways is one name); any script, and markup is just text."""
    words = {"name": "name", "roll_no": "roll number"}[field]
    cleaned = unicodedata.normalize("NFC", value).strip()
    if not 1 <= len(cleaned) <= max_characters:
        raise Unprocessable(f"The {words} needs 1 to {max_characters} characters.", reason=field)
    if any(unicodedata.category(each) in _FORBIDDEN_CATEGORIES or each in _DIRECTION_OVERRIDES for each in cleaned):
        raise Unprocessable(f"The {words} contains control characters.", reason=field)
    return cleaned


def _to_bytes(embedding: Embedding) -> bytes:
    return as_embedding(embedding).astype(_STORED).tobytes()


def _list(session: Session) -> Records:
    rows = session.execute(
        select(Person.id, Person.name, Person.roll_no, func.count(FacePhoto.id), func.min(FacePhoto.created_at))
        .join(FacePhoto, FacePhoto.student_id == Person.id)
        .group_by(Person.id, Person.name, Person.roll_no)
        .order_by(Person.name, Person.id)
    )
    return [PersonRecord(*row) for row in rows]


def _delete(session: Session, person_id: int) -> None:
    # In this order and not by cascade: the school's own attendance_logs may have been made without one.
    session.execute(delete(FacePhoto).where(FacePhoto.student_id == person_id))
    session.execute(delete(AttendanceRow).where(AttendanceRow.student_id == person_id))
    deleted = session.scalars(delete(Person).where(Person.id == person_id).returning(Person.id)).all()
    if not deleted:
        raise _no_person()


def _known(session: Session, vault: Vault) -> Known:
    hidden = set(session.scalars(select(NoConsent.student_id)))

    def faces(table: type[FacePhoto | NotThem]) -> tuple[KnownFace, ...]:
        rows = session.execute(
            select(Person.id, Person.name, table.embedding).join(table, table.student_id == Person.id)
        )
        return tuple(_readable(rows, vault, hidden))

    return Known(faces(FacePhoto), faces(NotThem))


def _readable(rows: Iterable[Row[int, str, bytes]], vault: Vault, hidden: set[int]) -> Iterable[KnownFace]:
    """One damaged row costs one photo, not everybody's recognition."""
    for person_id, name, stored in rows:
        try:
            embedding = as_embedding(np.frombuffer(vault.open(stored), _STORED))
        except ValueError:
            logger.exception("A stored face of person %d is damaged and not used; enrol the person again.", person_id)
            continue
        yield KnownFace(person_id, name, embedding, person_id in hidden)


# SQLite counts by triggers (see server.migrations). PostgreSQL gets none into the school's tables: it sums up instead.
_REVISION = {
    "sqlite": text("SELECT revision FROM people_revision"),
    "postgresql": text(
        "SELECT md5(concat_ws(' ',"
        " (SELECT string_agg(photo.id || ' ' || person.name, ',' ORDER BY photo.id)"
        " FROM face_photos photo JOIN students person ON person.id = photo.student_id),"
        " '|', (SELECT string_agg(student_id::text, ',' ORDER BY student_id) FROM no_consent),"
        " '|', (SELECT string_agg(id::text, ',' ORDER BY id) FROM not_them)))"
    ),
}


def _revision(session: Session) -> int | str:
    revision: int | str = session.execute(_REVISION[session.get_bind().dialect.name]).scalar_one()
    return revision


def _thumbnail(session: Session, person_id: int) -> bytes:
    first = select(FacePhoto.thumbnail).where(FacePhoto.student_id == person_id).order_by(FacePhoto.id).limit(1)
    thumbnail = session.scalars(first).first()
    if thumbnail is None:
        raise _no_person()
    return thumbnail


def _no_person() -> NotFound:
    return NotFound("There is no such person; the list may have changed.")
