"""People in a real database: what is kept, what is refused, and that deleting leaves nothing on the disk."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

import server.database
from server.attendance import AttendanceStore
from server.config import Settings
from server.database import Database
from server.errors import Conflict, NotFound, Unprocessable
from server.metrics import Metrics
from server.recognition.gallery import DIMENSIONS
from server.recognition.people import PeopleStore
from server.recognition.photos import ExaminedPhoto
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
    assert people.add_sync("Ben", "", [photo()]).roll_no is None


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


async def test_namesakes_need_a_roll_number(people: PeopleStore) -> None:
    await people.add("Zoë", "1", [photo()])
    with pytest.raises(Conflict, match="give a roll number") as caught:
        await people.add("Zoe\u0308", None, [photo()])  # the same name, typed with a combining character
    assert caught.value.reason == "name_taken"
    await people.add("Zoë", "2", [photo()])
    assert len(await people.list()) == 2


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
    PeopleStore(other).add_sync("Ben", None, [photo(2)])
    other.close()
    assert await changed()
    with closing(sqlite3.connect(file)) as shell:
        shell.execute("UPDATE students SET name = 'Anna' WHERE id = ?", [ann.id])
        shell.commit()
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
