"""A real PostgreSQL server, with the school's own tables: used in place, left as they were, and away for a while."""

from __future__ import annotations

import asyncio
import itertools
import re
import secrets
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import LiteralString

import numpy as np
import psycopg
import pytest
from psycopg import sql
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

import server.database
from server.database import Database
from server.errors import ConfigError, Unavailable, Unprocessable
from server.recognition.gallery import DIMENSIONS
from server.recognition.people import PeopleStore
from server.recognition.photos import ExaminedPhoto
from server.tables import AttendanceRow, FacePhoto, NoConsent, NotThem, Person
from server.vault import Vault
from tests.faces import astronaut, jpeg
from tests.postgresql import ROLE, SCHOOLS_TABLES, PostgreSQL, running
from tests.schema import differences, start_at_once
from tests.wait import until

DOCS = Path(__file__).resolve().parent.parent / "docs" / "database.md"
(GRANTS,) = re.findall(r"```sql\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
MakeDatabase = Callable[..., str]
STUDENTS: LiteralString = (
    "SELECT id, name, roll_no, contact_no, class, face_encoding, created_at FROM students ORDER BY id"
)
ATTENDANCE: LiteralString = "SELECT id, student_id, timestamp FROM attendance_logs ORDER BY id"


@pytest.fixture(scope="module")
def postgresql() -> Iterator[PostgreSQL]:
    with running() as server:
        yield server


@pytest.fixture(scope="module")
def make(postgresql: PostgreSQL) -> MakeDatabase:
    """Makes a database of its own for a test, filled as the school has it, and returns its name."""
    numbers = itertools.count()

    def make(tables: LiteralString = SCHOOLS_TABLES) -> str:
        name = f"school{next(numbers)}"
        with postgresql.connect("postgres") as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        with postgresql.connect(name) as connection:
            connection.execute(tables)
        return name

    return make


@pytest.fixture
def open_(postgresql: PostgreSQL) -> Iterator[Callable[..., Database]]:
    """Opens databases, and closes them at the end."""
    opened: list[Database] = []

    def open_(name: str, vault: Vault | None = None) -> Database:
        opened.append(Database(postgresql.url(name), vault))
        return opened[-1]

    yield open_
    for database in opened:
        database.close()


def photo(seed: int = 0) -> ExaminedPhoto:
    embedding = np.random.default_rng(seed).normal(size=DIMENSIONS)
    return ExaminedPhoto(embedding, jpeg(astronaut()[:160, 160:320]))


def rows(postgresql: PostgreSQL, name: str, query: LiteralString) -> list[tuple[object, ...]]:
    with postgresql.connect(name) as connection:
        return connection.execute(query).fetchall()


def test_an_empty_database_gets_the_tables_of_the_program(make: MakeDatabase, postgresql: PostgreSQL) -> None:
    name = make("")
    start_at_once(postgresql.url(name))
    assert differences(postgresql.url(name)) == []


@pytest.mark.parametrize("kind", ["double precision[]", "bytea", "text"])
def test_the_schools_rows_are_left_alone(
    kind: LiteralString, make: MakeDatabase, open_: Callable[..., Database], postgresql: PostgreSQL
) -> None:
    name = make()
    with postgresql.connect(name) as school:
        if kind != "double precision[]":
            as_text: LiteralString = "face_encoding::text"
            using: LiteralString = f"convert_to({as_text}, 'UTF8')" if kind == "bytea" else as_text
            school.execute(f"ALTER TABLE students ALTER face_encoding TYPE {kind} USING {using}")
    before = rows(postgresql, name, STUDENTS), rows(postgresql, name, ATTENDANCE)
    assert (len(before[0]), len(before[1])) == (20, 60)
    for _ in range(2):
        open_(name).close()
    assert (rows(postgresql, name, STUDENTS), rows(postgresql, name, ATTENDANCE)) == before
    added = "SELECT DISTINCT day, camera_id, distance, session FROM attendance_logs"
    assert rows(postgresql, name, added) == [(None, None, None, "")]


async def test_a_student_of_the_schools_is_enrolled_in_place(
    make: MakeDatabase, open_: Callable[..., Database], postgresql: PostgreSQL
) -> None:
    name = make()
    before = rows(postgresql, name, STUDENTS)
    people = PeopleStore(open_(name))
    assert await people.list() == []
    assert (await people.add("Student 7", "R7", [photo(7)])).id == 7
    assert rows(postgresql, name, STUDENTS) == before, "our faces are in a table of our own"
    (face,) = (await people.known()).faces
    assert np.array_equal(face.embedding, photo(7).embedding)
    assert (await people.add("Ann", None, [photo(8)])).id == 21
    with pytest.raises(Unprocessable, match="needs 1 to 100 characters"):
        await people.add("x" * 101, None, [photo()])


async def test_a_narrower_column_of_the_schools(
    make: MakeDatabase, open_: Callable[..., Database], postgresql: PostgreSQL
) -> None:
    name = make()
    with postgresql.connect(name) as school:
        school.execute("ALTER TABLE students ALTER name TYPE varchar(12)")
    people = PeopleStore(open_(name))
    with pytest.raises(Unprocessable, match="too long for the school's table"):
        await people.add("Maximiliane Example", None, [photo()])
    assert (await people.add("Max Example", None, [photo()])).id > 20


async def test_one_instant_whoever_writes_it(
    make: MakeDatabase, open_: Callable[..., Database], postgresql: PostgreSQL
) -> None:
    """The school's column knows no time zone; its program and ours must mean the same by it."""
    name = make()
    database = open_(name)
    with postgresql.connect(name) as school:  # as the school's own program always did it
        school.execute("INSERT INTO attendance_logs (student_id) VALUES (7)")
    at = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
    row = AttendanceRow(student_id=8, day=at.date(), session="", timestamp=at)
    await database.run(lambda session: session.add(row))
    newest = select(AttendanceRow.timestamp, AttendanceRow.day).order_by(AttendanceRow.id.desc()).limit(2)
    ours, schools = await database.read(lambda session: session.execute(newest).all())
    assert ours.timestamp == at
    assert abs(schools.timestamp - datetime.now(UTC)) < timedelta(minutes=1)
    assert schools.day is None
    assert rows(postgresql, name, "SELECT timestamp::text FROM attendance_logs WHERE day IS NOT NULL") == [
        ("2026-03-02 13:30:00",)
    ]


async def test_the_first_releases_times_are_put_right(
    make: MakeDatabase, open_: Callable[..., Database], postgresql: PostgreSQL
) -> None:
    name = make()
    with postgresql.connect(name) as first:
        first.execute(
            "ALTER TABLE attendance_logs ADD day date, ADD camera_id varchar(100), ADD distance double precision;"
            "INSERT INTO attendance_logs (student_id, day, timestamp) VALUES (8, '2026-03-02', '2026-03-02 08:00')"
        )
    query = select(AttendanceRow.timestamp).where(AttendanceRow.day.is_not(None))
    for _ in range(2):
        stored = await open_(name).read(lambda session: session.scalars(query).one())
        assert stored == datetime(2026, 3, 2, 8, 0, tzinfo=UTC)


async def test_two_servers_mark_one_person(make: MakeDatabase, open_: Callable[..., Database]) -> None:
    name = make()
    servers = [open_(name), open_(name)]
    at = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)

    async def mark(database: Database) -> bool:
        row = AttendanceRow(student_id=8, day=at.date(), session="", timestamp=at)
        try:
            await database.run(lambda session: session.add(row))
        except IntegrityError:
            return False
        return True

    assert sum(await asyncio.gather(*(mark(each) for each in servers * 5))) == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda: FacePhoto(student_id=7, embedding=b"", thumbnail=b"", created_at=datetime.now(UTC)),
        lambda: NoConsent(student_id=7, since=datetime.now(UTC)),
        lambda: NotThem(student_id=7, embedding=b"", created_at=datetime.now(UTC)),
    ],
    ids=["face", "consent", "not them"],
)
async def test_a_change_of_people_is_seen(
    change: Callable[[], object], make: MakeDatabase, open_: Callable[..., Database]
) -> None:
    database = open_(make())
    people = PeopleStore(database)
    await people.add("Student 7", "R7", [photo(7)])
    before = await people.revision()
    assert await people.revision() == before
    await database.run(lambda session: session.add(change()))
    after = await people.revision()
    assert after != before
    await database.run(lambda session: setattr(session.get_one(Person, 7), "name", "Renamed"))
    assert await people.revision() not in (before, after)


def test_a_role_without_rights_is_told_what_to_grant(make: MakeDatabase, postgresql: PostgreSQL) -> None:
    name = make()
    with pytest.raises(ConfigError, match=r"lacks rights that this server needs\. Let the owner") as caught:
        Database(postgresql.url(name, ROLE))
    grants = caught.value.detail.split(" run: ")[1]
    assert "GRANT school TO surveillx;" in grants
    with postgresql.connect(name) as owner:
        owner.execute(grants.encode())
    Database(postgresql.url(name, ROLE)).close()
    with postgresql.connect(name) as owner:  # the columns are there now: no need to be the owner any longer
        owner.execute("REVOKE school FROM surveillx; REVOKE UPDATE ON attendance_logs FROM surveillx")
    with pytest.raises(ConfigError, match=r"run: GRANT UPDATE ON attendance_logs TO surveillx;$"):
        Database(postgresql.url(name, ROLE))
    with postgresql.connect(name) as owner:
        owner.execute("GRANT UPDATE ON attendance_logs TO surveillx")
    Database(postgresql.url(name, ROLE)).close()


async def test_the_rights_in_the_docs_suffice(make: MakeDatabase, postgresql: PostgreSQL) -> None:
    name = make()
    with postgresql.connect(name) as owner:
        owner.execute(GRANTS.encode())
    database = Database(postgresql.url(name, ROLE))
    assert (await PeopleStore(database).add("Ann", None, [photo()])).id == 21
    database.close()
    with postgresql.connect(name) as owner:
        owner.execute("REVOKE school FROM surveillx; REVOKE CREATE ON SCHEMA public FROM surveillx")
    Database(postgresql.url(name, ROLE)).close()


def test_a_right_that_is_taken_away_while_it_runs(make: MakeDatabase, postgresql: PostgreSQL) -> None:
    name = make()
    with postgresql.connect(name) as owner:
        owner.execute(GRANTS.encode())
        database = Database(postgresql.url(name, ROLE))
        owner.execute("REVOKE school FROM surveillx; REVOKE INSERT ON students FROM surveillx")
        with pytest.raises(Unavailable, match="role lacks a right"):
            database.run_sync(_add_person)
        owner.execute("GRANT INSERT ON students TO surveillx")
    assert database.run_sync(_add_person) > 20
    database.close()


async def test_faces_from_before_the_key_are_sealed(
    make: MakeDatabase, open_: Callable[..., Database], postgresql: PostgreSQL
) -> None:
    name, key = make(), secrets.token_urlsafe(32)
    database = open_(name)
    await PeopleStore(database).add("Student 7", "R7", [photo(7)])
    database.close()
    open_(name, Vault(key)).close()
    ((embedding, thumbnail),) = rows(postgresql, name, "SELECT embedding, thumbnail FROM face_photos")
    assert isinstance(embedding, bytes)
    assert isinstance(thumbnail, bytes)
    assert Vault.is_sealed(embedding)
    assert Vault(key).open(thumbnail) == photo().thumbnail
    for vault in (None, Vault(secrets.token_urlsafe(32))):
        with pytest.raises(ConfigError, match="encrypted"):
            open_(name, vault)


async def test_restarted_under_the_running_server(
    make: MakeDatabase, open_: Callable[..., Database], postgresql: PostgreSQL, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server.database, "PROBE_INTERVAL_S", 0.1)
    database = open_(make())
    states: list[str] = []
    database.on_state(states.append)
    postgresql.stop()
    try:
        with pytest.raises(Unavailable, match=r"The database server (does not answer|is restarting)"):
            await database.run(_add_person)
        await until(lambda: states == ["away"])
    finally:
        postgresql.start()
    await until(lambda: states == ["away", "ok"], what="it finds by itself that the server is back")
    assert database.state == "ok"
    assert await database.run(_add_person) > 20


async def test_locked_by_another_program(
    make: MakeDatabase, postgresql: PostgreSQL, open_: Callable[..., Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server.database, "BUSY_TIMEOUT_S", 0.1)
    name = make()
    database = open_(name)
    with psycopg.connect(postgresql.url(name)) as other:
        other.execute("LOCK TABLE students")
        with pytest.raises(Unavailable, match="in use by another program"):
            await database.run(_add_person)
    assert await database.run(_add_person) > 20


def test_a_server_that_is_not_there() -> None:
    with pytest.raises(ConfigError, match=r"The database server does not answer.* It says: .*refused") as caught:
        Database("postgresql+psycopg://someone:secret@127.0.0.1:1/school")
    assert "secret" not in caught.value.detail


def _add_person(session: Session) -> int:
    person = Person(name="Ann")
    session.add(person)
    session.flush()
    return person.id
