"""One row per person and local day: whoever, wherever, whatever the clock and the database do."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import delete, func, select
from sqlalchemy.dialects import postgresql

import server.attendance
import server.database
from server.attendance import AttendanceStore
from server.database import Database
from server.errors import ConfigError, Unavailable
from server.tables import AttendanceRow, Person
from tests.wait import until

BERLIN = "Europe/Berlin"
PEOPLE = 5


@pytest.fixture
def url(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path / 'surveillx.db'}"
    database = Database(url)
    database.run_sync(lambda session: session.add_all(Person(name=f"P{n}", roll_no=str(n)) for n in range(PEOPLE)))
    database.close()
    return url


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    database = Database(url)
    yield database
    database.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """To be asked for before `database`: one attempt takes 0.1 s instead of 2."""
    monkeypatch.setattr(server.database, "BUSY_TIMEOUT_S", 0.1)


@pytest.fixture
async def store(database: Database) -> AttendanceStore:
    return AttendanceStore(database, BERLIN)


@contextmanager
def locked_by_another_program(url: str) -> Iterator[None]:
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")


async def rows(database: Database) -> int:
    return await database.read(lambda session: session.scalar(select(func.count(AttendanceRow.id))) or 0)


async def test_first_look_marks_with_school_time(store: AttendanceStore) -> None:
    marked = await store.mark(1, "7", 0.31, datetime(2026, 3, 2, 7, 5, tzinfo=UTC))
    assert marked is not None
    assert (marked.id, marked.person_id, marked.name, marked.roll_no) == (1, 1, "P0", "0")
    assert (marked.camera_id, marked.timestamp, marked.distance) == ("7", "2026-03-02T08:05:00+01:00", 0.31)
    assert await store.of_day(date(2026, 3, 2)) == [marked]


async def test_a_thousand_looks_by_two_cameras_are_one_row(store: AttendanceStore, database: Database) -> None:
    marks = await asyncio.gather(*(store.mark(1, str(n % 2), None) for n in range(1000)))
    assert sum(mark is not None for mark in marks) == 1
    assert await rows(database) == 1


async def test_another_server_and_a_restart_know_it_too(store: AttendanceStore, url: str) -> None:
    assert await store.mark(1, "1", None)
    other = Database(url)
    assert await AttendanceStore(other, BERLIN).mark(1, "2", None) is None
    other.close()


def test_many_servers_and_threads_at_once(url: str, database: Database) -> None:
    marked: list[int] = []
    at = datetime(2026, 3, 2, 7, 5, tzinfo=UTC)

    async def mark_all() -> None:
        own = Database(url)
        store = AttendanceStore(own, BERLIN)
        for _ in range(3):
            marks = await asyncio.gather(*(store.mark(person, "1", None, at) for person in range(1, PEOPLE + 1)))
            marked.extend(mark.person_id for mark in marks if mark)
        await own.aclose()

    threads = [threading.Thread(target=lambda: asyncio.run(mark_all())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(marked) == list(range(1, PEOPLE + 1))
    assert asyncio.run(rows(database)) == PEOPLE


async def test_days_begin_at_the_schools_midnight_also_when_clocks_change(
    store: AttendanceStore, database: Database
) -> None:
    moments = [
        ("2026-03-28T22:59:59+00:00", True),  # 23:59:59 in winter
        ("2026-03-28T23:00:00+00:00", True),  # 00:00, the day on which 02:00 becomes 03:00
        ("2026-03-29T01:00:00+00:00", False),  # 03:00 in summer
        ("2026-03-29T21:59:59+00:00", False),  # 23:59:59, one hour earlier in UTC
        ("2026-03-29T22:00:00+00:00", True),  # 00:00
        ("2026-10-24T22:00:00+00:00", True),  # 00:00, the day that has 25 hours
        ("2026-10-25T00:30:00+00:00", False),  # 02:30 for the first time
        ("2026-10-25T01:30:00+00:00", False),  # 02:30 for the second
        ("2026-10-25T22:59:59+00:00", False),  # 23:59:59
        ("2026-10-25T23:00:00+00:00", True),  # 00:00
    ]
    for at, is_new in moments:
        assert (await store.mark(1, "1", None, datetime.fromisoformat(at)) is not None) == is_new, at
    assert await rows(database) == 5


async def test_a_clock_set_back_makes_no_second_row(store: AttendanceStore, database: Database) -> None:
    midnight = datetime(2026, 6, 1, 22, tzinfo=UTC)
    for at in (midnight - timedelta(minutes=1), midnight, midnight - timedelta(hours=1), midnight):
        await store.mark(1, "1", None, at)
    assert await rows(database) == 2


async def test_a_person_deleted_meanwhile_leaves_no_row(store: AttendanceStore, database: Database) -> None:
    await database.run(lambda session: session.execute(delete(Person).where(Person.id == 1)).close())
    assert await store.mark(1, "1", None) is None
    assert await store.mark(10**6, "1", None) is None
    assert await rows(database) == 0


@pytest.mark.usefixtures("impatient")
async def test_a_locked_database_delays_but_loses_nothing(store: AttendanceStore, database: Database, url: str) -> None:
    with locked_by_another_program(url):
        marks = [asyncio.ensure_future(store.mark(person, "1", None)) for person in (3, 1, 2, 3)]
        assert await marks[3] is None, "the third person's mark waits already"
        await until(store._turn.locked)
        with pytest.raises(Unavailable):
            await database.run(lambda session: session.add(Person(name="shows that the lock holds")))
        assert not any(mark.done() for mark in marks[:3]), "nothing is acknowledged before it is on the disk"
    written = await asyncio.gather(*marks[:3])
    assert [mark.person_id for mark in written if mark] == [3, 1, 2]
    assert [mark.id for mark in written if mark] == [1, 2, 3], "in the order they came"
    assert store._pending == set()


@pytest.mark.usefixtures("impatient")
async def test_what_waits_is_bounded(
    store: AttendanceStore, database: Database, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server.attendance, "MAX_PENDING", 2)
    with locked_by_another_program(url):
        waiting = [asyncio.ensure_future(store.mark(person, "1", None)) for person in (1, 2)]
        await until(lambda: len(store._pending) == 2)
        with pytest.raises(Unavailable, match="2 attendance marks are waiting"):
            await store.mark(3, "1", None)
        waiting[0].cancel()
        await until(waiting[0].done)
    assert await waiting[1]
    assert await store.mark(3, "1", None), "a place is free again"


@pytest.mark.usefixtures("impatient")
async def test_closing_the_database_ends_the_waiting(store: AttendanceStore, database: Database, url: str) -> None:
    with locked_by_another_program(url):
        waiting = asyncio.ensure_future(store.mark(1, "1", None))
        await until(store._turn.locked)
        await database.aclose()
        with pytest.raises(Unavailable):
            await waiting


def test_the_rule_is_the_same_on_postgresql() -> None:
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    statement = str(server.attendance._INSERT_ONCE["postgresql"].compile(dialect=dialect))
    assert "ON CONFLICT (student_id, day, session) DO NOTHING RETURNING attendance_logs.id" in statement


@pytest.mark.parametrize("name", ["Europe/Atlantis", "../../etc/passwd", "Europe", "/etc/localtime"])
def test_a_wrong_zone_is_named(database: Database, name: str) -> None:
    with pytest.raises(ConfigError, match=r"timezone = .* there is no such zone"):
        AttendanceStore(database, name)


async def test_without_a_zone_the_machines_counts(database: Database) -> None:
    store = AttendanceStore(database, "")
    marked = await store.mark(1, "1", None)
    assert marked is not None
    at = datetime.fromisoformat(marked.timestamp)
    assert at.utcoffset() == datetime.now(UTC).astimezone().utcoffset()
    assert await store.of_day(store.today()) == [marked]


MARKER = """
import asyncio, sys
from server.attendance import AttendanceStore
from server.database import Database
async def main():
    store = AttendanceStore(Database(sys.argv[1]), "Europe/Berlin")
    for person in range(1, 5):
        print((await store.mark(person, "1", 0.3)).id, flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""


def test_an_announced_row_survives_kill_9(url: str) -> None:
    with subprocess.Popen([sys.executable, "-c", MARKER, url], stdout=subprocess.PIPE, text=True) as marker:
        assert marker.stdout
        announced = [int(marker.stdout.readline()) for _ in range(4)]
        marker.send_signal(signal.SIGKILL)
    database = Database(url)
    stored = database.run_sync(lambda session: list(session.scalars(select(AttendanceRow.id))))
    database.close()
    assert stored == announced
