"""A school's day on a real PostgreSQL server, in the school's own tables: marks, proof, undo, visitors, two servers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

import server.attendance
import server.database
from server.attendance import AttendanceStore
from server.config import Settings
from server.database import Database
from server.events import AttendanceMarked
from server.metrics import Metrics
from server.recognition.people import PeopleStore
from server.visitors import VisitorStore
from tests.postgresql import SCHOOLS_TABLES, TIME_ZONE, PostgreSQL, running
from tests.sightings import face, sighting
from tests.test_postgresql import photo
from tests.wait import until

MORNING = datetime(2026, 4, 6, 3, 0, tzinfo=UTC)  # 08:30 at the school
DAY = date(2026, 4, 6)


@pytest.fixture(scope="module")
def postgresql() -> Iterator[PostgreSQL]:
    with running() as server:
        yield server


@pytest.fixture
def url(postgresql: PostgreSQL) -> Iterator[str]:
    with postgresql.connect("postgres") as connection:
        connection.execute("CREATE DATABASE school")
    with postgresql.connect("school") as school:
        school.execute(SCHOOLS_TABLES)
    yield postgresql.url("school")
    with postgresql.connect("postgres") as connection:
        connection.execute("DROP DATABASE school WITH (FORCE)")


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    database = Database(url)
    yield database
    await database.aclose()


def store_of(database: Database, folder: Path, late: list[AttendanceMarked] | None = None) -> AttendanceStore:
    settings = Settings(data=folder, timezone=TIME_ZONE)
    return AttendanceStore(database, settings, Metrics(), on_late=(late if late is not None else []).append)


@asynccontextmanager
async def draining(store: AttendanceStore) -> AsyncIterator[None]:
    task = asyncio.create_task(store.run(asyncio.Event()))
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_day(database: Database, postgresql: PostgreSQL, tmp_path: Path) -> None:
    people, store = PeopleStore(database), store_of(database, tmp_path)
    await people.add("Student 7", "R7", [photo(7)])
    marked = await store.mark(sighting(7), MORNING)
    assert marked is not None
    assert (marked.name, marked.class_name, marked.timestamp) == ("Student 7", "IX-B", "2026-04-06T08:30:00+05:30")
    with postgresql.connect("school") as school:  # what the school's own program shows, and what it writes
        shown = school.execute("SELECT timestamp::text FROM attendance_logs WHERE id = %s", [marked.id]).fetchone()
        assert shown == ("2026-04-06 08:30:00",)
        school.execute("INSERT INTO attendance_logs (student_id, timestamp) VALUES (8, '2026-04-06 08:20')")
    assert await store.mark(sighting(8), MORNING) is None, "the school's row counts as well"
    assert [(row.name, row.source) for row in await store.present(DAY)] == [
        ("Student 8", "school"),
        ("Student 7", "recognised"),
    ]

    assert (await store.proof(marked.id)).has_face
    assert (await store.remove_wrong(marked.id)).is_remembered
    assert await store.mark(sighting(7), MORNING) is None, "this face is someone else's"
    by_hand = await store.mark_by_hand(7, DAY, None)
    assert [row.id for row in await store.present(DAY)][-1] != marked.id
    assert await store.purge_evidence(1) == 0
    assert (await store.proof(by_hand.id)).row.source == "manual"


async def test_several_rows_of_the_schools_in_a_day_are_one(database: Database, tmp_path: Path) -> None:
    there = await store_of(database, tmp_path).present(date(2026, 3, 2))
    assert len(there) == 20
    assert {row.source for row in there} == {"school"}
    assert there[0].timestamp == "2026-03-02T08:01:00+05:30"


@pytest.mark.parametrize(("refers", "record"), [(False, "deleted"), (True, "kept")])
async def test_a_student_is_deleted(
    database: Database, postgresql: PostgreSQL, tmp_path: Path, refers: bool, record: str
) -> None:
    """Their foreign key has no cascade, and other tables of the school's may refer to the student."""
    people = PeopleStore(database)
    await people.add("Student 7", "R7", [photo(7)])
    assert await store_of(database, tmp_path).mark(sighting(7), MORNING)
    with postgresql.connect("school") as school:
        if refers:
            school.execute("CREATE TABLE fees (student_id integer REFERENCES students(id))")
            school.execute("INSERT INTO fees VALUES (7)")
        receipt = await people.delete(7)
        assert (receipt.photos, receipt.attendance, receipt.record) == (1, {"anonymised": 4}, record)
        assert school.execute("SELECT count(*) FROM attendance_logs WHERE student_id = 7").fetchone() == (0,)
        for table in ("face_photos", "attendance_proofs"):
            assert school.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)
        assert school.execute("SELECT count(*) FROM students").fetchone() == (20 if refers else 19,)
    assert await people.list() == []


async def test_visitors(database: Database) -> None:
    visitors = VisitorStore(database, Settings(timezone=TIME_ZONE))
    for track in (1, 2):
        await visitors.take(sighting(None, track_id=track, embedding=face(5)), MORNING)
    assert len(await visitors.recent()) == 1
    assert await visitors.purge(1) == 1


async def test_two_servers_write_one_row(database: Database, url: str, tmp_path: Path) -> None:
    other = Database(url)
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
    stores = [store_of(database, tmp_path / "one"), store_of(other, tmp_path / "two")]
    outcomes = await asyncio.gather(
        *(each.mark(sighting(person), MORNING) for person in range(1, 11) for each in stores)
    )
    assert sum(outcome is not None for outcome in outcomes) == 10
    assert len(await stores[0].present(DAY)) == 10
    await other.aclose()


async def test_marks_wait_while_it_is_stopped(
    database: Database, postgresql: PostgreSQL, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server.attendance, "RETRY_S", 0.1)
    late: list[AttendanceMarked] = []
    store = store_of(database, tmp_path, late)
    await store.mark(sighting(1), MORNING)
    async with draining(store):
        postgresql.stop()
        try:
            for person in range(1, 21):
                assert await store.mark(sighting(person), MORNING) is None
            assert store.waiting == 19
        finally:
            postgresql.start()
        await until(lambda: not store.waiting)
    assert len(late) == 19
    assert len(await store.present(DAY)) == 20
