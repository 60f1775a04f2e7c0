"""The people who are enrolled, in the database.

Privacy: of an enrolment photo only the embedding and a small picture of the face are kept, sealed, never the photo
itself. Adding and changing are in `enrolment`, deleting in `deletion`, the comparison of faces in `lookalikes`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Row, func, select, text
from sqlalchemy.orm import Session

from ..config import Settings
from ..database import Database
from ..tables import FacePhoto, NoConsent, NotThem, Person
from ..vault import Vault
from .deletion import Deletion, Receipt
from .enrolment import Addition, NewPhotos, PersonChanges, change, delete_photo, no_person, no_photo
from .gallery import Known, KnownFace
from .identity import identity
from .lookalikes import is_stored, require_new_face, require_one_person
from .photos import ExaminedPhoto
from .stored import to_embedding

__all__ = ["PeopleStore", "PersonChanges", "PersonRecord", "PhotoRecord", "Receipt", "identity"]

logger = logging.getLogger("surveillx.people")


@dataclass(frozen=True, slots=True)
class PersonRecord:
    """Someone enrolled; `photos` is how many, `created_at` (UTC) when the first was added.

    Without `consent` a person is recognised only to be pixelated, and never marked.
    """

    id: int
    name: str
    roll_no: str | None
    photos: int
    created_at: datetime
    class_name: str | None = None
    consent: bool = True


@dataclass(frozen=True, slots=True)
class PhotoRecord:
    """One stored photo; `created_at` is UTC."""

    id: int
    created_at: datetime


Records = list[PersonRecord]


class PeopleStore:
    """Adds, changes, lists and deletes people. Use it from the event loop."""

    def __init__(self, database: Database, settings: Settings | None = None) -> None:
        """`settings` say what becomes of a deleted person's attendance, and how near a face is one and the same."""
        self._database = database
        self._settings = settings or Settings()

    async def add(
        self,
        name: str,
        roll_no: str | None,
        photos: Sequence[ExaminedPhoto],
        *,
        class_name: str | None = None,
        consent: bool = True,
    ) -> PersonRecord:
        """Enrol a person. Whom the photos resemble is not asked here, but by `compare`.

        Raises:
            Unprocessable: the name, roll number or class is too long or has control characters; there is no photo.
            Conflict: the roll number is taken, or the name is and neither a number nor a class tells the two apart.
        """
        addition = Addition(name, roll_no, class_name, photos, consent=consent, vault=self._database.vault)
        return await self._database.run(lambda session: _record(session, addition(session)))

    async def compare(self, photos: Sequence[ExaminedPhoto], person_id: int | None = None) -> None:
        """Compare the photos with each other, with those of `person_id`, and with everyone else.

        Raises:
            Unprocessable: they do not show one person; reason `different_people`.
            Conflict: they resemble someone else; reason `resembles`.
        """
        faces = (await self.known()).faces
        theirs = [face.embedding for face in faces if face.person_id == person_id]
        others = [face for face in faces if face.person_id != person_id]
        shown = [photo.embedding for photo in photos]
        new = [face for face in shown if not is_stored(face, theirs)]  # what is there already was decided before
        require_one_person(shown, theirs, self._settings.recognition_distance)
        require_new_face(new, others, self._settings.recognition_distance)

    async def add_photos(self, person_id: int, photos: Sequence[ExaminedPhoto]) -> int:
        """Add photos to someone; returns how many were new, the others are stored already.

        Raises:
            NotFound: nobody of this id is enrolled.
        """
        new = NewPhotos(photos, self._database.vault)
        return await self._database.run(lambda session: new(session, person_id))

    async def change(self, person_id: int, changes: PersonChanges) -> PersonRecord:
        """Rename, give another number or class, record or withdraw consent; the person as they are then.

        Raises:
            NotFound: nobody of this id is enrolled.
            Conflict, Unprocessable: as `add`.
        """

        def write(session: Session) -> PersonRecord:
            change(session, person_id, changes)
            return _record(session, person_id)

        record = await self._database.run(write)
        if changes.get("consent") is False:
            await self._database.forget_deleted()
        return record

    async def get(self, person_id: int) -> PersonRecord:
        """Someone enrolled.

        Raises:
            NotFound: nobody of this id is enrolled.
        """
        return await self._database.read(lambda session: _record(session, person_id))

    async def list(self) -> Records:
        """Everyone enrolled, by name. Students of the school's own table without a photo are not."""
        return await self._database.read(_records)

    def list_sync(self) -> Records:
        """`list`, blocking."""
        return self._database.run_sync(_records)

    async def delete(self, person_id: int) -> Receipt:
        """Remove a person with everything biometric, from the tables and from the disk.

        Raises:
            NotFound: nobody of this id is enrolled.
        """
        receipt = await self._database.run(Deletion(person_id, self._settings, self._database.vault))
        await self._database.forget_deleted()
        return receipt

    async def photos(self, person_id: int) -> Sequence[PhotoRecord]:
        """The person's photos, oldest first.

        Raises:
            NotFound: nobody of this id is enrolled.
        """
        return await self._database.read(lambda session: _photos(session, person_id))

    async def photo(self, person_id: int, photo_id: int) -> bytes:
        """The JPEG of the face in one photo.

        Raises:
            NotFound: there is no such photo of this person.
        """
        sealed = await self._database.read(lambda session: _photo(session, person_id, photo_id))
        return self._database.vault.open(sealed)

    async def delete_photo(self, person_id: int, photo_id: int) -> None:
        """Remove one photo, from the disk too.

        Raises:
            NotFound: there is no such photo of this person.
            Conflict: it is the only one.
        """
        await self._database.run(lambda session: delete_photo(session, person_id, photo_id))
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


def _records(session: Session, person_id: int | None = None) -> Records:
    columns = (Person.id, Person.name, Person.roll_no, Person.class_name, NoConsent.student_id)
    query = (
        select(*columns, func.count(FacePhoto.id), func.min(FacePhoto.created_at))
        .join(FacePhoto, FacePhoto.student_id == Person.id)
        .outerjoin(NoConsent, NoConsent.student_id == Person.id)
        .group_by(*columns)
        .order_by(Person.name, Person.id)
    )
    if person_id is not None:
        query = query.where(Person.id == person_id)
    return [
        PersonRecord(row_id, name, roll_no, photos, created_at, class_name, refused is None)
        for row_id, name, roll_no, class_name, refused, photos, created_at in session.execute(query)
    ]


def _record(session: Session, person_id: int) -> PersonRecord:
    session.flush()
    found = _records(session, person_id)
    if not found:
        raise no_person()
    return found[0]


def _photos(session: Session, person_id: int) -> Sequence[PhotoRecord]:
    theirs = select(FacePhoto.id, FacePhoto.created_at).where(FacePhoto.student_id == person_id).order_by(FacePhoto.id)
    found = [PhotoRecord(row_id, created_at) for row_id, created_at in session.execute(theirs)]
    if not found:
        raise no_person()
    return found


def _photo(session: Session, person_id: int, photo_id: int) -> bytes:
    wanted = select(FacePhoto.thumbnail).where(FacePhoto.student_id == person_id, FacePhoto.id == photo_id)
    thumbnail = session.scalars(wanted).first()
    if thumbnail is None:
        raise no_photo()
    return thumbnail


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
        embedding = to_embedding(stored, vault)
        if embedding is None:
            logger.error("A stored face of person %d is damaged and not used; enrol the person again.", person_id)
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
        raise no_person()
    return thumbnail
