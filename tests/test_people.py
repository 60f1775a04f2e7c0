"""People in a real database: what is kept, what is refused, and that deleting leaves nothing on the disk."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session

import server.database
from server.attendance import AttendanceStore
from server.audit import AuditStore
from server.config import Settings
from server.database import Database
from server.errors import Conflict, NotFound, Unprocessable
from server.metrics import Metrics
from server.recognition.gallery import DIMENSIONS
from server.recognition.people import PeopleStore
from server.recognition.photos import ExaminedPhoto
from server.tables import (
    AnonymousAttendance,
    AttendanceProof,
    AttendanceRow,
    AuditLine,
    NotThem,
    Visitor,
    VisitorFace,
)
from tests.faces import astronaut, jpeg
from tests.sightings import sighting


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "surveillx.db"


@pytest.fixture
def database(file: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{file}")
    yield database
    database.close()


@pytest.fixture
def people(database: Database) -> PeopleStore:
    return PeopleStore(database)


def photo(seed: int = 0) -> ExaminedPhoto:
    embedding = np.random.default_rng(seed).normal(size=DIMENSIONS)
    return ExaminedPhoto(embedding, jpeg(astronaut()[:160, 160:320]))


async def test_add_and_list(people: PeopleStore) -> None:
    before = datetime.now(UTC)
    added = await people.add(" Zoë Ångström ", " 17 ", [photo(1), photo(2)])
    other = await people.add("Ann", None, [photo(3)])
    assert (added.name, added.roll_no, added.photos) == ("Zoë Ångström", "17", 2)
    assert timedelta(0) <= added.created_at - before < timedelta(minutes=1)
    assert await people.list() == [other, added]
    assert people.list_sync() == [other, added]
    assert (await people.add("Ben", "", [photo()])).roll_no is None


async def test_faces_come_back_as_they_went_in(people: PeopleStore) -> None:
    person = await people.add("Ann", None, [photo(1), photo(2)])
    faces = (await people.known()).faces
    assert [(face.person_id, face.name) for face in faces] == [(person.id, "Ann")] * 2
    assert np.array_equal([face.embedding for face in faces], [photo(1).embedding, photo(2).embedding])
    assert faces[0].embedding.dtype == np.float64
    assert await people.thumbnail(person.id) == photo().thumbnail


@pytest.mark.parametrize(
    "name",
    ["../../etc/passwd", "<script>alert(1)</script>", "'; DROP TABLE students; --", "学生 一", "محمد", "😀", "x" * 100],
)
async def test_a_name_is_just_text(people: PeopleStore, name: str) -> None:
    await people.add(name, None, [photo()])
    assert [person.name for person in await people.list()] == [name]


@pytest.mark.parametrize(
    "name", ["", "   ", "x" * 101, "A\x00nn", "Ann\nBen", "Ann\u202enneB", "Ann\ud800", "A\u2028B"]
)
async def test_a_name_that_is_none(people: PeopleStore, name: str) -> None:
    with pytest.raises(Unprocessable, match="name"):
        await people.add(name, None, [photo()])
    with pytest.raises(Unprocessable, match="photo"):
        await people.add("Ann", None, [])
    assert await people.list() == []


async def test_a_roll_number_belongs_to_one(people: PeopleStore) -> None:
    await people.add("Ann", "17", [photo()])
    with pytest.raises(Conflict, match="roll number belongs to someone already") as caught:
        await people.add("Ben", "17", [photo()])
    assert caught.value.reason == "roll_no_taken"
    with pytest.raises(Conflict):
        await people.add("Ann", "17", [photo()])
    with pytest.raises(Unprocessable, match="roll number needs 1 to 50 characters"):
        await people.add("Ben", "1" * 51, [photo()])


async def test_namesakes_need_a_roll_number_or_another_class(people: PeopleStore) -> None:
    await people.add("Zoë", "1", [photo()])
    with pytest.raises(Conflict, match="give a roll number") as caught:
        await people.add("Zoe\u0308", None, [photo()])  # the same name, typed with a combining character
    assert caught.value.reason == "name_taken"
    await people.add("Zoë", "2", [photo()])
    assert len(await people.list()) == 2
    await people.add("Ann", None, [photo()], class_name="8A")
    with pytest.raises(Conflict):
        await people.add("Ann", None, [photo()])
    with pytest.raises(Conflict):
        await people.add("Ann", None, [photo()], class_name="8A")
    await people.add("Ann", None, [photo()], class_name="8B")


async def test_a_student_of_the_schools_own_table_is_enrolled_in_place(people: PeopleStore, database: Database) -> None:
    insert = text("INSERT INTO students (id, name, roll_no) VALUES (40, 'Ann', '17')")
    await database.run(lambda session: session.execute(insert).close())
    assert await people.list() == []
    with pytest.raises(Conflict):
        await people.add("Ben", "17", [photo()])
    assert (await people.add("Ann", "17", [photo()])).id == 40
    with pytest.raises(Conflict):
        await people.add("Ann", "17", [photo()])


async def test_deleting_removes_everything_from_the_disk(people: PeopleStore, database: Database, file: Path) -> None:
    attendance = AttendanceStore(database, Settings(data=file.parent), Metrics())
    gone, stays = await people.add("Ann", "1", [photo(1)]), await people.add("Ben", "2", [photo(2)])
    for person in (gone, stays):
        await attendance.mark(sighting(person.id))
    secrets = [*traces(photo(1)), b"Ann"]
    assert all(on_disk(file, secret) for secret in secrets)

    await people.delete(gone.id)

    assert not any(on_disk(file, secret) for secret in secrets)
    assert all(on_disk(file, secret) for secret in traces(photo(2)))
    assert await people.list() == [stays]
    assert [row.name for row in await attendance.present(attendance.today())] == ["Ben"]
    assert [face.name for face in (await people.known()).faces] == ["Ben"]
    for ask in (people.delete, people.thumbnail):
        with pytest.raises(NotFound):
            await ask(gone.id)


def traces(examined: ExaminedPhoto) -> list[bytes]:
    """The embedding's numbers, one by one: a page's border may run between any two."""
    return [number.tobytes() for number in examined.embedding.astype("<f8")[::8]]


def on_disk(file: Path, secret: bytes) -> bool:
    return any(secret in each.read_bytes() for each in file.parent.iterdir())


async def test_deleting_while_another_program_reads(
    file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(server.database, "BUSY_TIMEOUT_S", 0.1)
    database = Database(f"sqlite:///{file}")
    people = PeopleStore(database)
    person = await people.add("Ann", "1", [photo(1)])
    with closing(sqlite3.connect(file, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT name FROM students").fetchall()
        await people.delete(person.id)
        assert await people.list() == []
        reader.execute("ROLLBACK")
    database.close()
    assert "Another program is reading the database" in caplog.text
    assert not any(on_disk(file, secret) for secret in traces(photo(1)))


async def test_revision_changes_with_every_programs_changes(people: PeopleStore, file: Path) -> None:
    seen = [await people.revision()]
    assert await people.revision() == seen[0]

    async def changed() -> bool:
        seen.append(await people.revision())
        return len(set(seen)) == len(seen)

    ann = await people.add("Ann", None, [photo(1)])
    assert await changed()
    other = Database(f"sqlite:///{file}")
    await PeopleStore(other).add("Ben", None, [photo(2)])
    other.close()
    assert await changed()
    with closing(sqlite3.connect(file)) as shell:
        shell.execute("UPDATE students SET name = 'Anna' WHERE id = ?", [ann.id])
        shell.commit()
    assert await changed()
    await people.change(ann.id, {"consent": False})
    assert await changed()
    await people.delete(ann.id)
    assert await changed()


async def test_one_damaged_face_does_not_cost_the_others(
    people: PeopleStore, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    damaged = await people.add("Ann", None, [photo(1)])
    await people.add("Ben", None, [photo(2)])

    def damage(session: Session) -> None:
        session.execute(text(f"UPDATE face_photos SET embedding = x'00ff' WHERE student_id = {damaged.id}"))

    await database.run(damage)
    assert [face.name for face in (await people.known()).faces] == ["Ben"]
    assert f"face of person {damaged.id} is damaged" in caplog.text


def near(examined: ExaminedPhoto, distance: float) -> ExaminedPhoto:
    """Another photo of the same face, so far away."""
    return ExaminedPhoto(examined.embedding + distance / np.sqrt(DIMENSIONS), examined.thumbnail)


async def test_whom_a_photo_resembles(people: PeopleStore) -> None:
    ann = await people.add("Ann", "1", [photo(1)])
    ben = await people.add("Ben", "2", [photo(2), near(photo(1), 0.45)])
    with pytest.raises(Conflict, match="resembles Ann") as caught:
        await people.compare([near(photo(1), 0.2)])
    assert caught.value.reason == "resembles"
    assert caught.value.members == {
        "resembles": [
            {"id": ann.id, "name": "Ann", "distance": 0.2},
            {"id": ben.id, "name": "Ben", "distance": 0.25},
        ]
    }
    await people.compare([near(photo(1), -0.4)], ann.id)
    await people.compare([photo(3)])
    await people.compare([near(photo(1), 0.45)], ben.id)  # it is Ben's already


@pytest.mark.parametrize(
    ("offsets", "stored", "odd"),
    [
        ([0, 0.4, 0.8], False, None),  # each is near to one of the others
        ([0, 9], False, [2]),
        ([9, 0, 0.3], False, [1]),
        ([0, 9, 0.3, 18], False, [2, 4]),
        ([0.3], True, None),
        ([9], True, [1]),
        ([9, 9.2, 0.3], True, [1, 2]),
    ],
)
async def test_photos_must_show_one_person(
    people: PeopleStore, offsets: list[float], stored: bool, odd: list[int] | None
) -> None:
    ann = await people.add("Ann", None, [photo(1)])
    photos = [near(photo(1 if stored else 2), offset) for offset in offsets]
    person_id = ann.id if stored else None
    if odd is None:
        await people.compare(photos, person_id)
        return
    with pytest.raises(Unprocessable, match="not seem to show the same person") as caught:
        await people.compare(photos, person_id)
    assert (caught.value.reason, caught.value.members) == ("different_people", {"photos": odd})


async def test_photos_come_and_go_but_for_the_last(people: PeopleStore, file: Path) -> None:
    ann = await people.add("Ann", None, [photo(1)])
    assert await people.add_photos(ann.id, [photo(1), photo(2), photo(2)]) == 1, "what is there is not added again"
    first, second = await people.photos(ann.id)
    assert await people.photo(ann.id, second.id) == photo(2).thumbnail
    other = await people.add("Ben", None, [photo(3)])
    with pytest.raises(NotFound):
        await people.delete_photo(other.id, second.id)
    await people.delete_photo(ann.id, first.id)
    assert not any(on_disk(file, secret) for secret in traces(photo(1)))
    with pytest.raises(Conflict, match="only photo") as caught:
        await people.delete_photo(ann.id, second.id)
    assert caught.value.reason == "last_photo"
    assert [each.id for each in await people.photos(ann.id)] == [second.id]
    for ask in (people.get, people.photos, people.delete):
        with pytest.raises(NotFound):
            await ask(99)
    with pytest.raises(NotFound):
        await people.add_photos(99, [photo()])


async def test_changes_keep_what_tells_people_apart(people: PeopleStore) -> None:
    ann = await people.add("Ann", "1", [photo(1)], class_name="8A")
    ben = await people.add("Ben", None, [photo(2)])
    changed = await people.change(ann.id, {"name": "Anna", "roll_no": "", "class_name": "8B"})
    assert (changed.name, changed.roll_no, changed.class_name, changed.consent) == ("Anna", None, "8B", True)
    assert [face.name for face in (await people.known()).faces] == ["Anna", "Ben"]
    with pytest.raises(Conflict, match="of this name already"):
        await people.change(ben.id, {"name": "Anna"})
    await people.change(ann.id, {"roll_no": "1"})
    with pytest.raises(Conflict, match="roll number belongs"):
        await people.change(ben.id, {"roll_no": "1"})
    with pytest.raises(Unprocessable, match="name needs"):
        await people.change(ben.id, {"name": " "})
    assert await people.get(ben.id) == ben


async def test_without_consent_a_face_is_hidden_and_its_evidence_goes(people: PeopleStore, database: Database) -> None:
    ann = await people.add("Ann", None, [photo(1)], consent=False)
    ben = await people.add("Ben", None, [photo(2)])
    await database.run(lambda session: attend(session, ben.id))
    assert [face.is_hidden for face in (await people.known()).faces] == [True, False]
    assert [person.consent for person in await people.list()] == [False, True]
    assert (await people.change(ann.id, {"consent": True})).consent
    assert not (await people.change(ben.id, {"consent": False})).consent
    assert not (await people.change(ben.id, {"consent": False})).consent
    assert [face.is_hidden for face in (await people.known()).faces] == [False, True]
    [proof] = await database.read(lambda session: session.scalars(select(AttendanceProof)).all())
    assert (proof.crop, proof.embedding, proof.looks) == (None, None, 3)


def attend(session: Session, person_id: int, school: bool = False) -> None:
    """A row with its proof, or one that the school's own program wrote."""
    at = datetime(2026, 3, 2, 23, 30, tzinfo=UTC)
    row = AttendanceRow(student_id=person_id, day=None if school else at.date(), camera_id="1", timestamp=at)
    session.add(row)
    session.flush()
    if not school:
        face = photo(7).embedding.astype("<f8").tobytes()
        proof = AttendanceProof(attendance_id=row.id, source="recognised", looks=3, embedding=face, crop=b"crop")
        session.add(proof)


def mistake(session: Session, person_id: int, examined: ExaminedPhoto) -> None:
    face = examined.embedding.astype("<f8").tobytes()
    session.add(NotThem(student_id=person_id, embedding=face, created_at=datetime.now(UTC)))


def visit(session: Session, examined: ExaminedPhoto) -> None:
    now = datetime.now(UTC)
    visitor = Visitor(first_seen=now, last_seen=now, sightings=1, camera_id="1")
    session.add(visitor)
    session.flush()
    face = examined.embedding.astype("<f8").tobytes()
    session.add(VisitorFace(visitor_id=visitor.id, embedding=face, crop=b"visitor", quality=1, seen_at=now))


@pytest.mark.parametrize("on_delete", ["anonymise", "keep", "delete"])
async def test_the_receipt_tells_what_went(database: Database, file: Path, on_delete: str) -> None:
    people = PeopleStore(database, Settings(on_delete=on_delete, timezone="Europe/Berlin"))
    gone = await people.add("Ann", "1", [photo(1), photo(2)], class_name="8A", consent=False)
    stays = await people.add("Ben", "2", [photo(3)])

    def past(session: Session) -> None:
        attend(session, gone.id)
        attend(session, gone.id, school=True)
        attend(session, stays.id)
        mistake(session, gone.id, photo(8))
        mistake(session, stays.id, near(photo(1), 0.2))  # Ann, once taken for Ben
        mistake(session, stays.id, photo(9))
        visit(session, near(photo(2), 0.2))
        visit(session, photo(10))

    await database.run(past)
    receipt = await people.delete(gone.id)

    words = {"anonymise": "anonymised", "keep": "kept", "delete": "deleted"}[on_delete]
    assert (receipt.photos, receipt.embeddings, receipt.evidence) == (2, 2 + 1 + 2 + 1, 1)
    assert (receipt.not_them, receipt.visitors, receipt.attendance) == (2, 1, {words: 2})
    assert receipt.record == ("kept" if on_delete == "keep" else "deleted")
    assert (receipt.name, receipt.roll_no, receipt.class_name) == ("Ann", "1", "8A")
    for face in (photo(1), photo(2), photo(8), near(photo(1), 0.2), near(photo(2), 0.2)):
        assert not any(on_disk(file, secret) for secret in traces(face))
    for face in (photo(3), photo(9), photo(10)):
        assert all(on_disk(file, secret) for secret in traces(face))
    assert await people.list() == [stays]
    with pytest.raises(NotFound):
        await people.delete(gone.id)

    def left(session: Session) -> tuple[list[object], ...]:
        days = select(AnonymousAttendance.day, AnonymousAttendance.class_name).order_by(AnonymousAttendance.day)
        lines = select(AuditLine.student_id).where(AuditLine.action == "person_added").order_by(AuditLine.id)
        rows = select(AttendanceRow.id).where(AttendanceRow.student_id == gone.id)
        return (
            [tuple(row) for row in session.execute(days)],
            list(session.scalars(lines)),
            list(session.scalars(rows)),
        )

    anonymous, added, rows = await database.read(left)
    assert anonymous == ([(date(2026, 3, 2), "8A"), (date(2026, 3, 3), "8A")] if on_delete == "anonymise" else [])
    assert added == [gone.id if on_delete == "keep" else None, stays.id]
    assert len(rows) == (2 if on_delete == "keep" else 0)
    assert on_disk(file, b"Ann") == (on_delete == "keep")


async def test_who_was_kept_can_be_enrolled_again(database: Database) -> None:
    people = PeopleStore(database, Settings(on_delete="keep"))
    ann = await people.add("Ann", None, [photo(1)])
    await people.delete(ann.id)
    assert (await people.add("Ann", None, [photo(1)])).id == ann.id


async def test_a_record_the_schools_own_tables_refer_to_stays(people: PeopleStore, database: Database) -> None:
    def school(session: Session) -> None:
        session.execute(text("CREATE TABLE fees (student_id INTEGER REFERENCES students (id))"))
        session.execute(text(f"INSERT INTO fees VALUES ({ann.id})"))

    ann = await people.add("Ann", "1", [photo(1)])
    await database.run(school)
    receipt = await people.delete(ann.id)
    assert (receipt.record, receipt.photos) == ("kept", 1)
    assert await people.list() == []


async def test_deeds_are_audited_without_names(people: PeopleStore, database: Database) -> None:
    ann = await people.add("Ann", "1", [photo(1)])
    await people.add_photos(ann.id, [photo(2)])
    await people.change(ann.id, {"name": "Anna", "consent": False})
    await people.delete_photo(ann.id, (await people.photos(ann.id))[0].id)
    lines = (await AuditStore(database).recent(10))[::-1]
    assert [(line.action, line.person_id, line.words) for line in lines] == [
        ("person_added", ann.id, "Enrolled with 1 photo."),
        ("photo_added", ann.id, "1 photo added."),
        ("person_changed", ann.id, "Changed: name. Consent withdrawn."),
        ("photo_deleted", ann.id, "One photo deleted."),
    ]
    await people.delete(ann.id)
    lines = await AuditStore(database).recent(10)
    assert {line.person_id for line in lines} == {None}
    assert lines[0].words == "Deleted with 1 photos; attendance 0."
