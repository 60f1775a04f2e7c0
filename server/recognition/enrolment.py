"""The transactions that add people and photos, and change what is known of them. For `people.PeopleStore`.

Each is made on the event loop, where it checks what it is given, and called with a session on the database's thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TypedDict

from sqlalchemy import delete, func, select, update
from sqlalchemy.exc import DataError, IntegrityError
from sqlalchemy.orm import Session

from .. import audit
from ..errors import Conflict, NotFound, Unprocessable
from ..tables import AttendanceProof, AttendanceRow, FacePhoto, NoConsent, Person
from ..vault import Vault
from .gallery import Embedding
from .identity import cleaned_class, cleaned_name, cleaned_roll_no, identity
from .lookalikes import is_stored
from .photos import ExaminedPhoto
from .stored import to_bytes, to_embedding


class PersonChanges(TypedDict, total=False):
    """What to change of a person; what is absent stays. `consent` False: pixelated everywhere, never marked."""

    name: str
    roll_no: str | None
    class_name: str | None
    consent: bool


class Addition:
    """One person to add; the result is the id."""

    def __init__(
        self,
        name: str,
        roll_no: str | None,
        class_name: str | None,
        photos: Sequence[ExaminedPhoto],
        *,
        consent: bool,
        vault: Vault,
    ) -> None:
        self._name, self._roll_no = identity(name, roll_no)
        self._class_name = cleaned_class(class_name)
        self._photos = NewPhotos(photos, vault)
        self._consent = consent

    def __call__(self, session: Session) -> int:
        """Write the person.

        Raises:
            Conflict: the roll number or the name is taken.
        """
        try:
            person = self._row(session)
        except IntegrityError:  # another program was faster; SQLite's write lock excludes that, PostgreSQL does not
            raise _roll_no_taken() from None
        except DataError:
            raise _too_long() from None
        count = self._photos.write(session, person.id)
        set_consent(session, person.id, consent=self._consent)
        audit.note(session, "person_added", f"Enrolled with {_count(count)}.", person.id)
        return person.id

    def _row(self, session: Session) -> Person:
        """The person's new row, or the one the school's own table holds for a student without photos."""
        person = self._listed(session)
        if person is None:
            person = Person(name=self._name, roll_no=self._roll_no, class_name=self._class_name)
            session.add(person)
        elif self._class_name is not None:
            person.class_name = self._class_name
        session.flush()
        return person

    def _listed(self, session: Session) -> Person | None:
        """A student who is in the table already, and may be enrolled."""
        if self._roll_no is None:
            return self._namesake(session)
        holder = session.scalars(select(Person).where(Person.roll_no == self._roll_no).limit(1)).first()
        if holder is not None and (holder.name != self._name or _photos_of(session, holder.id)):
            raise _roll_no_taken()
        return holder

    def _namesake(self, session: Session) -> Person | None:
        namesakes = _namesakes(session, self._name, self._class_name)
        if len(namesakes) == 1 and namesakes[0].roll_no is None and not _photos_of(session, namesakes[0].id):
            return namesakes[0]
        if namesakes:
            raise _name_taken()
        return None


class NewPhotos:
    """Photos that are about to be someone's."""

    def __init__(self, photos: Sequence[ExaminedPhoto], vault: Vault) -> None:
        """
        Raises:
            Unprocessable: there is none.
        """
        if not photos:
            raise Unprocessable("At least one photo is needed.", reason="no_photo")
        self._photos = photos
        self._vault = vault
        self._sealed = [(vault.seal(to_bytes(photo.embedding)), vault.seal(photo.thumbnail)) for photo in photos]

    def write(self, session: Session, person_id: int) -> int:
        """Add those that are not stored yet; returns how many that were."""
        stored = embeddings_of(session, person_id, self._vault)
        now = datetime.now(UTC)
        count = 0
        for photo, (embedding, thumbnail) in zip(self._photos, self._sealed, strict=True):
            if not is_stored(photo.embedding, stored):
                stored.append(photo.embedding)
                session.add(FacePhoto(student_id=person_id, embedding=embedding, thumbnail=thumbnail, created_at=now))
                count += 1
        return count

    def __call__(self, session: Session, person_id: int) -> int:
        """Add those that are not stored yet to someone enrolled; returns how many that were.

        Raises:
            NotFound: nobody of this id is enrolled.
        """
        enrolled(session, person_id)
        count = self.write(session, person_id)
        if count:
            audit.note(session, "photo_added", f"{_count(count)} added.", person_id)
        return count


def change(session: Session, person_id: int, changes: PersonChanges) -> None:
    """Change what is known of someone enrolled.

    Raises:
        NotFound: nobody of this id is enrolled.
        Conflict: the roll number or the name is taken.
        Unprocessable: a value cannot be stored.
    """
    person = enrolled(session, person_id)
    if "name" in changes:
        person.name = cleaned_name(changes["name"])
    if "roll_no" in changes:
        person.roll_no = cleaned_roll_no(changes["roll_no"])
    if "class_name" in changes:
        person.class_name = cleaned_class(changes["class_name"])
    _require_distinct(session, person)
    try:
        session.flush()
    except IntegrityError:
        raise _roll_no_taken() from None
    except DataError:
        raise _too_long() from None
    if "consent" in changes:
        set_consent(session, person_id, consent=changes["consent"])
    audit.note(session, "person_changed", _words(changes), person_id)


def delete_photo(session: Session, person_id: int, photo_id: int) -> None:
    """Remove one photo of someone enrolled.

    Raises:
        NotFound: there is no such photo of this person.
        Conflict: it is the only one.
    """
    enrolled(session, person_id)
    wanted = delete(FacePhoto).where(FacePhoto.student_id == person_id, FacePhoto.id == photo_id)
    if not session.scalars(wanted.returning(FacePhoto.id)).all():
        raise no_photo()
    if not _photos_of(session, person_id):
        raise Conflict(
            "This is the only photo of this person. Add another one first, or delete the person.", reason="last_photo"
        )
    audit.note(session, "photo_deleted", "One photo deleted.", person_id)


def set_consent(session: Session, person_id: int, *, consent: bool) -> None:
    """Record whether a person may be marked. Without consent the pictures that prove earlier marks go at once."""
    if consent:
        session.execute(delete(NoConsent).where(NoConsent.student_id == person_id))
    elif session.get(NoConsent, person_id) is None:
        session.add(NoConsent(student_id=person_id, since=datetime.now(UTC)))
        forget_evidence(session, person_id)


def forget_evidence(session: Session, person_id: int) -> None:
    """Remove faces, as picture and as numbers, from the proofs of a person's attendance."""
    theirs = select(AttendanceRow.id).where(AttendanceRow.student_id == person_id)
    session.execute(
        update(AttendanceProof).where(AttendanceProof.attendance_id.in_(theirs)).values(embedding=None, crop=None)
    )


def enrolled(session: Session, person_id: int) -> Person:
    """Someone with a photo, locked until the transaction ends.

    Raises:
        NotFound: nobody of this id is enrolled.
    """
    person = session.scalars(select(Person).where(Person.id == person_id).with_for_update()).first()
    if person is None or not _photos_of(session, person_id):
        raise no_person()
    return person


def embeddings_of(session: Session, person_id: int, vault: Vault) -> list[Embedding]:
    """The faces of a person's photos; one that is damaged is left out."""
    stored = session.scalars(select(FacePhoto.embedding).where(FacePhoto.student_id == person_id))
    return [face for each in stored if (face := to_embedding(each, vault)) is not None]


def no_person() -> NotFound:
    """There is nobody of that id."""
    return NotFound("There is no such person; the list may have changed.")


def no_photo() -> NotFound:
    """The person has no photo of that id."""
    return NotFound("There is no such photo of this person; the list may have changed.")


def _photos_of(session: Session, person_id: int) -> int:
    return session.scalar(select(func.count(FacePhoto.id)).where(FacePhoto.student_id == person_id)) or 0


def _namesakes(session: Session, name: str, class_name: str | None) -> list[Person]:
    """Students of this name whom no class tells apart."""
    found = session.scalars(select(Person).where(Person.name == name).order_by(Person.id))
    return [each for each in found if None in (class_name, each.class_name) or class_name == each.class_name]


def _require_distinct(session: Session, person: Person) -> None:
    with session.no_autoflush:
        if person.roll_no is not None:
            holders = session.scalars(select(Person.id).where(Person.roll_no == person.roll_no))
            if any(holder != person.id for holder in holders):
                raise _roll_no_taken()
        elif any(each.id != person.id for each in _namesakes(session, person.name, person.class_name)):
            raise _name_taken()


def _words(changes: PersonChanges) -> str:
    words = {"name": "name", "roll_no": "roll number", "class_name": "class"}
    sentences = (
        [f"Changed: {', '.join(words[key] for key in words if key in changes)}."] if words.keys() & changes else []
    )
    if "consent" in changes:
        sentences.append("Consent given." if changes["consent"] else "Consent withdrawn.")
    return " ".join(sentences)


def _count(photos: int) -> str:
    return "1 photo" if photos == 1 else f"{photos} photos"


def _roll_no_taken() -> Conflict:
    return Conflict("This roll number belongs to someone already.", reason="roll_no_taken")


def _name_taken() -> Conflict:
    return Conflict(
        "There is a person of this name already. If this is someone else, give a roll number or another class.",
        reason="name_taken",
    )


def _too_long() -> Unprocessable:
    """PostgreSQL: the school's own columns may be narrower than ours."""
    return Unprocessable("The name, roll number or class is too long for the school's table.", reason="name")
