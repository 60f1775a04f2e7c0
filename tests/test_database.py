"""Real SQLite files: what is created, what survives kill -9, and the words when something is in the way."""

from __future__ import annotations

import asyncio
import logging
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

import server.database
from server.config import Settings
from server.database import Database, open_database
from server.errors import ConfigError, Unavailable
from server.tables import AttendanceRow, FacePhoto, Person
from tests.disks import small_disk
from tests.wait import until


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "new" / "surveillx.db"


@pytest.fixture
def database(file: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    monkeypatch.setattr(server.database, "BUSY_TIMEOUT_S", 0.1)
    database = Database(f"sqlite:///{file}")
    yield database
    database.close()


def add_person(session: Session) -> int:
    person = Person(name="Ann")
    session.add(person)
    session.flush()
    return person.id


def is_away(database: Database) -> bool:
    return database.state == "away"


def people(session: Session) -> int:
    return session.scalar(select(func.count(Person.id))) or 0


async def test_runs_on_one_named_thread(database: Database) -> None:
    names = await asyncio.gather(*(database.run(lambda _: threading.current_thread().name) for _ in range(10)))
    assert set(names) == {"surveillx-database"}


async def test_settings_that_make_a_commit_safe(database: Database) -> None:
    pragmas = ("journal_mode", "synchronous", "foreign_keys", "secure_delete")
    values = await database.read(lambda session: [session.scalar(text(f"PRAGMA {pragma}")) for pragma in pragmas])
    assert values == ["wal", 2, 1, 1]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_file_is_its_owners_only(database: Database, file: Path) -> None:
    assert mode(file) == 0o600
    assert mode(file.parent) == 0o700


def test_rights_of_others_are_taken_away(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    settings = Settings(data=tmp_path / "data")
    open_database(settings).close()
    settings.data.chmod(0o755)
    file = settings.data / "surveillx.db"
    file.chmod(0o664)
    with closing(sqlite3.connect(file)) as other:  # leaves a log and an index beside the file
        assert other.execute("SELECT count(*) FROM students").fetchone() == (0,)
        for ending in ("-wal", "-shm"):
            file.with_name(file.name + ending).chmod(0o644)
        database = open_database(settings)
        database.run_sync(add_person)
        assert [mode(each) for each in settings.data.iterdir()] == [0o600] * 3
        database.close()
    assert mode(settings.data) == 0o700
    assert [record.getMessage() for record in caplog.records] == [
        f"{path} could be read by others; its rights are now {rights}."
        for path, rights in [(settings.data, 700), *((f"{file}{ending}", 600) for ending in ("", "-wal", "-shm"))]
    ]


@pytest.mark.parametrize("rights", [0o1777, 0o755])
def test_a_folder_of_everybodys_stays_open(tmp_path: Path, rights: int, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = tmp_path / "shared"
    (shared / "school").mkdir(parents=True)
    shared.chmod(rights)
    if rights == 0o755:
        monkeypatch.chdir(shared / "school")  # started below it: more than our data is in there
    open_database(Settings(data=shared)).close()
    assert mode(shared) == rights


async def test_an_error_undoes_the_transaction(database: Database) -> None:
    def add_and_fail(session: Session) -> None:
        add_person(session)
        raise LookupError("stop")

    with pytest.raises(LookupError, match="stop"):
        await database.run(add_and_fail)
    assert await database.read(people) == 0


async def test_an_id_is_never_given_twice(database: Database) -> None:
    first = await database.run(add_person)
    await database.run(lambda session: session.delete(session.get_one(Person, first)))
    assert await database.run(add_person) > first


async def test_broken_constraints_are_the_callers_business(database: Database) -> None:
    def orphan(session: Session) -> None:
        session.add(FacePhoto(student_id=99, embedding=b"", thumbnail=b"", created_at=datetime.now(UTC)))
        session.flush()

    with pytest.raises(IntegrityError):
        await database.run(orphan)


async def test_times_are_utc_whatever_zone_they_came_in(database: Database) -> None:
    at = datetime(2026, 3, 1, 0, 30, tzinfo=timezone(timedelta(hours=5, minutes=30)))

    def add(session: Session) -> None:
        session.add(AttendanceRow(student_id=add_person(session), day=date(2026, 3, 1), timestamp=at))

    await database.run(add)
    stored = await database.read(lambda session: session.scalars(select(AttendanceRow.timestamp)).one())
    assert stored == at
    assert stored.utcoffset() == timedelta(0)
    raw = await database.read(lambda session: session.scalar(text("SELECT timestamp FROM attendance_logs")))
    assert str(raw).startswith("2026-02-28 19:00:00")


async def test_locked_by_another_program(database: Database, file: Path) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(Unavailable, match="in use by another program"):
            await database.run(add_person)
        assert await database.read(people) == 0, "reading goes on beside a writer"
        other.execute("ROLLBACK")
    assert await database.run(add_person) == 1


async def test_it_says_when_it_is_away_and_finds_back_alone(
    database: Database, file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(server.database, "PROBE_INTERVAL_S", 0.05)
    caplog.set_level(logging.INFO, "surveillx.database")
    told: list[tuple[str, str]] = []
    database.on_state(lambda state: told.append((state, threading.current_thread().name)))
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        for _ in range(2):
            with pytest.raises(Unavailable):
                await database.run(add_person)
            await database.read(people)
            assert is_away(database), "reading goes on, and proves nothing"
        other.execute("ROLLBACK")
    await until(lambda: not is_away(database))
    await until(lambda: len(told) == 2)
    assert told == [("away", "MainThread"), ("ok", "MainThread")]
    assert caplog.messages == [
        "The database is away: The database is in use by another program. Try again in a moment.",
        "The database is back.",
    ]


def test_it_may_go_away_when_nobody_listens_any_more(database: Database, file: Path) -> None:
    async def listen() -> None:
        database.on_state(lambda _state: None)

    asyncio.run(listen())
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(Unavailable):
            database.run_sync(add_person)
    assert database.run_sync(add_person) == 1
    assert database.state == "ok"


async def test_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server.database, "PROBE_INTERVAL_S", 0.05)

    def fill(session: Session) -> None:
        session.add_all(Person(name="x" * 100) for _ in range(1000))

    with small_disk(tmp_path / "disk") as disk:
        database = Database(f"sqlite:///{disk.folder / 'surveillx.db'}")
        await database.run(add_person)
        disk.fill()
        with pytest.raises(Unavailable, match="disk is full") as caught:
            await database.run(fill)
        assert "INSERT" not in caught.value.detail
        assert await database.read(people) == 1
        assert is_away(database)
        disk.free()
        await until(lambda: not is_away(database), what="it finds by itself that there is room again")
        await database.run(fill)
        assert await database.read(people) == 1001
        await database.aclose()


def test_read_only_disk(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        url = f"sqlite:///{disk.folder / 'surveillx.db'}"
        Database(url).close()
        disk.make_read_only()
        with pytest.raises(ConfigError, match=r"surveillx\.db cannot be written: Read-only file system"):
            Database(url)
        disk.make_writable()
        Database(url).close()


@pytest.mark.parametrize(
    ("pragma", "words"), [("max_page_count = 1", "disk is full"), ("query_only = ON", "cannot be written")]
)
async def test_what_sqlite_says_of_a_full_disk_and_a_read_only_file(
    database: Database, pragma: str, words: str
) -> None:
    """The same without a disk to fill: these pragmas raise what SQLite raises then."""
    await database.read(lambda session: session.execute(text(f"PRAGMA {pragma}")).close())

    def fill(session: Session) -> None:
        session.add_all(Person(name="x" * 100) for _ in range(1000))

    with pytest.raises(Unavailable, match=words):
        await database.run(fill)


def test_what_cannot_be_opened(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("This is not a database. " * 50)
    with pytest.raises(ConfigError, match=r"text: The file is not a database of ours"):
        Database(f"sqlite:///{tmp_path / 'text'}")
    with pytest.raises(ConfigError, match=r"cannot be written: .* Choose another folder with --data"):
        Database(f"sqlite:///{tmp_path / 'text' / 'surveillx.db'}")
    with pytest.raises(ConfigError, match="mysql is not sqlite or postgresql"):
        Database("mysql://localhost/school")


@pytest.mark.parametrize("url", ["no URL: secret", "postgresql+asyncpg+no://user:secret@localhost/school"])
def test_a_password_in_a_wrong_url_is_not_shown(url: str) -> None:
    with pytest.raises(ConfigError, match="database_url") as caught:
        Database(url)
    assert "secret" not in caught.value.detail


def test_the_schools_own_tables_are_extended_and_kept(tmp_path: Path) -> None:
    file = tmp_path / "school.db"
    with closing(sqlite3.connect(file)) as school:
        school.executescript(
            "CREATE TABLE students (id INTEGER PRIMARY KEY, name TEXT, roll_no TEXT, contact_no TEXT, class TEXT);"
            "CREATE TABLE attendance_logs (id INTEGER PRIMARY KEY, student_id INTEGER, timestamp TIMESTAMP);"
            "INSERT INTO students VALUES (5, 'Ann', '17', '0123', '4b');"
            "INSERT INTO attendance_logs VALUES (1, 5, '2025-01-01 08:00:00'), (2, 5, '2025-01-01 08:01:00');"
        )
    for _ in range(2):  # the second start finds everything in place
        Database(f"sqlite:///{file}").close()
    with closing(sqlite3.connect(file)) as school:
        assert school.execute("SELECT contact_no FROM students").fetchall() == [("0123",)]
        rows = school.execute("SELECT id, day, camera_id, distance FROM attendance_logs").fetchall()
        assert rows == [(1, None, None, None), (2, None, None, None)]
        insert = "INSERT INTO attendance_logs (student_id, day, timestamp) VALUES (5, '2026-01-01', '')"
        school.execute(insert)
        with pytest.raises(sqlite3.IntegrityError):
            school.execute(insert)


def test_tables_that_cannot_serve_are_named(tmp_path: Path) -> None:
    file = tmp_path / "other.db"
    with closing(sqlite3.connect(file)) as other:
        other.execute("CREATE TABLE students (id INTEGER PRIMARY KEY, surname TEXT)")
    with pytest.raises(ConfigError, match="students has no column name, roll_no"):
        Database(f"sqlite:///{file}")


def test_many_programs_open_a_new_file_at_once(file: Path) -> None:
    errors: list[Exception] = []

    def use() -> None:
        try:
            database = Database(f"sqlite:///{file}")
            database.run_sync(add_person)
            database.close()
        except Exception as error:  # noqa: BLE001 - reported below
            errors.append(error)

    threads = [threading.Thread(target=use) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


async def test_close_finishes_the_work_and_is_repeatable(database: Database, file: Path) -> None:
    waiting = [asyncio.ensure_future(database.run(add_person)) for _ in range(20)]
    await asyncio.sleep(0)  # let them hand in their jobs
    await database.aclose()
    assert await asyncio.gather(*waiting) == list(range(1, 21))
    database.close()
    with pytest.raises(Unavailable, match="shutting down"):
        await database.run(people)
    assert [each.name for each in file.parent.iterdir()] == [file.name], "the log is folded into the file"


async def test_a_cancelled_caller_leaves_the_thread_alive(database: Database) -> None:
    release, begun = threading.Event(), threading.Event()

    def slow(session: Session) -> int:
        begun.set()
        release.wait(10)
        return add_person(session)

    running = asyncio.ensure_future(database.run(slow))
    waiting = asyncio.ensure_future(database.run(add_person))
    await asyncio.to_thread(begun.wait, 10)
    running.cancel()
    waiting.cancel()
    release.set()
    assert await database.read(people) == 1, "what had begun is finished, what waited is not begun"


async def test_more_jobs_than_the_queue_holds(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server.database, "MAX_WAITING_JOBS", 2)
    database = Database(f"sqlite:///{file}")
    release = threading.Event()
    jobs = [asyncio.ensure_future(database.run(lambda _: release.wait(10))) for _ in range(8)]
    await asyncio.sleep(0)
    release.set()
    results = await asyncio.gather(*jobs, return_exceptions=True)
    assert any(isinstance(result, Unavailable) for result in results)
    assert any(result is True for result in results)
    await database.aclose()


WRITER = """
import sys
from server.database import Database
from server.tables import Person
database = Database(sys.argv[1])
def add(session):
    person = Person(name="Ann")
    session.add(person)
    session.flush()
    return person.id
while True:
    print(database.run_sync(add), flush=True)
"""


def test_what_was_acknowledged_survives_kill_9(file: Path) -> None:
    url = f"sqlite:///{file}"
    with subprocess.Popen([sys.executable, "-c", WRITER, url], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout
        lines = [writer.stdout.readline() for _ in range(20)]
        writer.send_signal(signal.SIGKILL)
        lines += writer.stdout.readlines()
    acknowledged = {int(line) for line in lines if line.endswith("\n")}
    assert len(acknowledged) >= 20
    database = Database(url)
    stored = database.run_sync(lambda session: set(session.scalars(select(Person.id))))
    database.close()
    assert acknowledged <= stored
