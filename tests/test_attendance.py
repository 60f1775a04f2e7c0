"""One row per person, local day and session: whoever, wherever, whatever the clock and the database do."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, func, insert, select, text
from sqlalchemy.dialects import postgresql

import server.attendance
import server.database
import server.marking
from server.attendance import AttendanceStore
from server.config import Settings
from server.database import Database
from server.dayview import Filters
from server.errors import Conflict, NotFound, Unavailable, Unprocessable
from server.events import AttendanceMarked
from server.metrics import Metrics
from server.spool import FILE_NAME
from server.tables import (
    AnonymousAttendance,
    AttendanceProof,
    AttendanceRow,
    AuditLine,
    FacePhoto,
    NoConsent,
    NotThem,
    Person,
)
from server.vault import Vault
from tests.sightings import CROP, face, sighting
from tests.wait import until

BERLIN = "Europe/Berlin"
SESSIONS = ("morning=00:00", "afternoon=12:30")
PEOPLE = 5
KEY = "A" * 43
MORNING = datetime(2026, 3, 2, 7, 5, tzinfo=UTC)  # 08:05 at the school
DAY = date(2026, 3, 2)


@pytest.fixture
def url(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path / 'surveillx.db'}"
    database = Database(url)
    database.run_sync(
        lambda session: session.add_all(
            Person(name=f"P{n}", roll_no=str(n), class_name=f"Class {n % 2}") for n in range(PEOPLE)
        )
    )
    database.close()
    return url


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    database = Database(url, Vault(KEY))
    yield database
    database.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """To be asked for before `database`: one attempt takes 0.1 s instead of 2."""
    monkeypatch.setattr(server.database, "BUSY_TIMEOUT_S", 0.1)


def opened(
    database: Database, folder: Path, late: list[AttendanceMarked] | None = None, **more: Any
) -> AttendanceStore:
    settings = Settings(data=folder, timezone=BERLIN, **more)
    return AttendanceStore(database, settings, Metrics(), on_late=(late if late is not None else []).append)


@pytest.fixture
async def store(database: Database, tmp_path: Path) -> AttendanceStore:
    return opened(database, tmp_path)


@pytest.fixture
async def sessions(database: Database, tmp_path: Path) -> AttendanceStore:
    return opened(database, tmp_path, attendance_sessions=SESSIONS)


@contextmanager
def locked_by_another_program(url: str) -> Iterator[None]:
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")


@asynccontextmanager
async def draining(store: AttendanceStore) -> Any:
    task = asyncio.create_task(store.run(asyncio.Event()))
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def rows(database: Database) -> int:
    return await database.read(lambda session: session.scalar(select(func.count(AttendanceRow.id))) or 0)


async def add(database: Database, *things: object) -> None:
    await database.run(lambda session: session.add_all(things))


def names(marks: Sequence[Any]) -> list[str]:
    return [mark.name for mark in marks]


# --- the rule ---


async def test_first_look_marks_with_school_time(store: AttendanceStore) -> None:
    marked = await store.mark(sighting(1, camera_id="7"), MORNING)
    assert marked == AttendanceMarked(
        1, 1, "P0", "0", "7", "2026-03-02T08:05:00+01:00", 0.31, "Class 0", "", "recognised"
    )
    assert await store.present(DAY) == [marked]


async def test_a_thousand_looks_by_two_cameras_are_one_row(store: AttendanceStore, database: Database) -> None:
    marks = await asyncio.gather(*(store.mark(sighting(1, camera_id=str(n % 2))) for n in range(1000)))
    assert sum(mark is not None for mark in marks) == 1
    assert await rows(database) == 1


async def test_another_server_and_a_restart_know_it_too(store: AttendanceStore, url: str, tmp_path: Path) -> None:
    assert await store.mark(sighting(1))
    other = Database(url, Vault(KEY))
    assert await opened(other, tmp_path).mark(sighting(1, camera_id="2")) is None
    other.close()


def test_many_servers_and_threads_at_once(url: str, database: Database, tmp_path: Path) -> None:
    marked: list[int] = []

    async def mark_all() -> None:
        own = Database(url, Vault(KEY))
        store = opened(own, tmp_path)
        for _ in range(3):
            marks = await asyncio.gather(*(store.mark(sighting(person), MORNING) for person in range(1, PEOPLE + 1)))
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
        assert (await store.mark(sighting(1), datetime.fromisoformat(at)) is not None) == is_new, at
    assert await rows(database) == 5


async def test_a_clock_set_back_makes_no_second_row(store: AttendanceStore, database: Database) -> None:
    midnight = datetime(2026, 6, 1, 22, tzinfo=UTC)
    for at in (midnight - timedelta(minutes=1), midnight, midnight - timedelta(hours=1), midnight):
        await store.mark(sighting(1), at)
    assert await rows(database) == 2


async def test_each_session_has_its_row(sessions: AttendanceStore) -> None:
    for hour in (6, 7, 11, 12, 13, 11):
        await sessions.mark(sighting(1), datetime(2026, 3, 2, hour, 45, tzinfo=UTC))
    marks = await sessions.present(DAY)
    assert [(mark.session, mark.timestamp[11:16]) for mark in marks] == [("morning", "07:45"), ("afternoon", "12:45")]


async def test_a_person_deleted_meanwhile_leaves_no_row(store: AttendanceStore, database: Database) -> None:
    await database.run(lambda session: session.execute(delete(Person).where(Person.id == 1)).close())
    assert await store.mark(sighting(1)) is None
    assert await store.mark(sighting(10**6)) is None
    assert await rows(database) == 0


def test_the_rule_is_the_same_on_postgresql() -> None:
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    statement = str(server.marking._INSERT_ONCE["postgresql"].compile(dialect=dialect))
    assert "ON CONFLICT (student_id, day, session) DO NOTHING RETURNING attendance_logs.id" in statement


async def test_without_a_zone_the_machines_counts(database: Database, tmp_path: Path) -> None:
    store = AttendanceStore(database, Settings(data=tmp_path), Metrics())
    marked = await store.mark(sighting(1))
    assert marked is not None
    at = datetime.fromisoformat(marked.timestamp)
    assert at.utcoffset() == datetime.now(UTC).astimezone().utcoffset()
    assert await store.present(store.today()) == [marked]


async def test_without_consent_nobody_is_marked(store: AttendanceStore, database: Database) -> None:
    await add(database, NoConsent(student_id=1, since=MORNING))
    assert await store.mark(sighting(1), MORNING) is None
    with pytest.raises(Conflict) as refused:
        await store.mark_by_hand(1, DAY, None)
    assert refused.value.reason == "no_consent"
    await database.run(lambda session: session.execute(delete(NoConsent)).close())
    assert await store.mark(sighting(1), MORNING), "consent counts from when it was given"


MARKER = """
import asyncio, sys
from pathlib import Path
from server.attendance import AttendanceStore
from server.config import Settings
from server.database import Database
from server.metrics import Metrics
from tests.sightings import sighting
async def main():
    settings = Settings(data=Path(sys.argv[2]), timezone="Europe/Berlin")
    store = AttendanceStore(Database(sys.argv[1]), settings, Metrics())
    print("ready", flush=True)
    for person in map(int, sys.stdin):
        marked = await store.mark(sighting(person))
        print(marked.id if marked else f"{store.waiting} waiting", flush=True)
asyncio.run(main())
"""


@contextmanager
def marker(url: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that marks the people whose ids it is told, and is killed at the end."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    command = [sys.executable, "-c", MARKER, url, str(folder)]
    with subprocess.Popen(command, text=True, bufsize=1, **pipes) as process:  # type: ignore[call-overload]
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        yield process
        process.send_signal(signal.SIGKILL)


def tell(process: subprocess.Popen[str], person: int) -> str:
    assert process.stdin
    assert process.stdout
    process.stdin.write(f"{person}\n")
    return process.stdout.readline().strip()


def test_an_announced_row_survives_kill_9(url: str, tmp_path: Path) -> None:
    with marker(url, tmp_path) as process:
        announced = [int(tell(process, person)) for person in range(1, 5)]
    database = Database(url)
    stored = database.run_sync(lambda session: list(session.scalars(select(AttendanceRow.id))))
    database.close()
    assert stored == announced


# --- while the database is away ---


async def test_a_mark_for_a_locked_database_waits_and_is_written_when_it_is_back(
    impatient: None, database: Database, url: str, tmp_path: Path
) -> None:
    late: list[AttendanceMarked] = []
    store = opened(database, tmp_path, late)
    async with draining(store):
        with locked_by_another_program(url):
            marks = await asyncio.gather(*(store.mark(sighting(person)) for person in (3, 1, 2, 3)))
            assert marks == [None] * 4
            assert store.waiting == 3, "the third person's mark waits already"
            assert await store.mark(sighting(1)) is None
            with pytest.raises(Unavailable):
                await database.run(lambda session: session.add(Person(name="shows that the lock holds")))
            assert late == [], "nothing is announced before it is in the database"
        await until(lambda: not store.waiting, 5)
    assert [(mark.person_id, mark.id) for mark in late] == [(3, 1), (1, 2), (2, 3)], "in the order they came"
    assert await store.mark(sighting(3)) is None
    assert (tmp_path / FILE_NAME).read_bytes() == b""


async def test_what_waits_is_bounded_and_what_is_refused_counted(
    impatient: None, database: Database, url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = opened(database, tmp_path, waiting_marks=2)
    with locked_by_another_program(url):
        for person in (1, 2, 3, 4):
            assert await store.mark(sighting(person)) is None
        assert store.waiting == 2
    assert b"surveillx_attendance_refused_total 2.0" in store._metrics.render()
    assert sum("no more are taken" in record.message for record in caplog.records) == 1
    async with draining(store):
        await until(lambda: not store.waiting, 5)
    assert await store.mark(sighting(3)), "a place is free again"


async def test_changes_of_what_waits_are_told(impatient: None, database: Database, url: str, tmp_path: Path) -> None:
    told: list[int] = []
    settings = Settings(data=tmp_path)
    telling = AttendanceStore(database, settings, Metrics(), on_waiting=lambda: told.append(telling.waiting))
    async with draining(telling):
        with locked_by_another_program(url):
            for person in (1, 2):
                await telling.mark(sighting(person))
        await until(lambda: not telling.waiting, 5)
    assert told[:2] == [1, 2]


async def test_a_mark_outlives_the_closing_of_the_database(database: Database, url: str, tmp_path: Path) -> None:
    store = opened(database, tmp_path)
    await database.aclose()
    assert await store.mark(sighting(1)) is None
    again, late = Database(url, Vault(KEY)), list[AttendanceMarked]()
    store = opened(again, tmp_path, late)
    assert store.waiting == 1
    async with draining(store):
        await until(lambda: late, 5)
    await again.aclose()
    assert late[0].person_id == 1


def test_waiting_marks_survive_kill_9(url: str, tmp_path: Path) -> None:
    with marker(url, tmp_path) as process:
        assert tell(process, 5) == "1"
        with locked_by_another_program(url):  # for longer than a job of the database waits
            assert [tell(process, person) for person in (2, 1)] == ["1 waiting", "2 waiting"]
            process.send_signal(signal.SIGKILL)
            process.wait()

    async def restarted() -> list[AttendanceMarked]:
        database, late = Database(url), list[AttendanceMarked]()
        store = opened(database, tmp_path, late)
        async with draining(store):
            await until(lambda: not store.waiting, 5)
        assert await rows(database) == 3
        await database.aclose()
        return late

    assert [mark.person_id for mark in asyncio.run(restarted())] == [2, 1]


async def test_one_mark_that_cannot_be_written_does_not_hold_up_the_others(
    impatient: None, database: Database, url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    late: list[AttendanceMarked] = []
    store = opened(database, tmp_path, late)
    await add(database, NotThem(student_id=2, embedding=face(99), created_at=MORNING))
    with locked_by_another_program(url):
        for person in (1, 2, 3):
            await store.mark(sighting(person) if person != 2 else sighting(person, embedding=b"damaged"))
    async with draining(store):
        await until(lambda: not store.waiting, 5)
    assert [mark.person_id for mark in late] == [1, 3]
    assert "a waiting mark of person 2 cannot be written" in caplog.text


# --- proof, and taking back ---


async def test_the_proof_tells_everything_and_faces_are_sealed(store: AttendanceStore, database: Database) -> None:
    marked = await store.mark(sighting(1), MORNING)
    proof = await store.proof(1)
    assert proof.row == marked
    assert (proof.track_id, proof.margin, proof.looks, proof.threshold) == (4, 0.22, 3, 0.5)
    assert proof.model == "dlib_face_recognition_resnet_model_v1"
    assert (proof.has_crop, proof.has_face) == (True, True)
    assert await store.crop(1) == CROP
    stored = await database.read(lambda session: session.get_one(AttendanceProof, 1))
    assert Vault.is_sealed(stored.crop or b"")
    assert Vault.is_sealed(stored.embedding or b"")
    assert database.vault.open(stored.embedding or b"") == face(1)


async def test_without_evidence_no_picture_is_kept(database: Database, tmp_path: Path) -> None:
    store = opened(database, tmp_path, evidence=False)
    await store.mark(sighting(1), MORNING)
    proof = await store.proof(1)
    assert (proof.has_crop, proof.has_face, proof.looks) == (False, True, 3)
    with pytest.raises(NotFound) as refused:
        await store.crop(1)
    assert refused.value.reason == "no_crop"


async def test_old_evidence_goes_and_the_row_stays(store: AttendanceStore) -> None:
    await store.mark(sighting(1), datetime.now(UTC) - timedelta(days=31))
    await store.mark(sighting(2), datetime.now(UTC) - timedelta(days=29))
    assert await store.purge_evidence(30) == 1
    assert await store.purge_evidence(30) == 0
    old, newer = await store.proof(1), await store.proof(2)
    assert (old.has_crop, old.has_face, old.looks) == (False, False, 3)
    assert (newer.has_crop, newer.has_face) == (True, True)


async def test_a_wrong_face_is_never_marked_again_but_the_person_is(
    store: AttendanceStore, database: Database, url: str, tmp_path: Path
) -> None:
    stranger = sighting(1, embedding=face(77))
    await store.mark(stranger, MORNING)
    taken = await store.remove_wrong(1)
    assert (taken.removed.id, taken.removed.person_id, taken.removed.camera_id, taken.is_remembered) == (
        1,
        1,
        "1",
        True,
    )
    assert await store.present(DAY) == []
    again = sighting(1, embedding=face(77, away=0.34))
    assert await store.mark(stranger, MORNING) is None
    assert await store.mark(again, MORNING) is None
    other = Database(url, Vault(KEY))
    assert await opened(other, tmp_path).mark(again, MORNING) is None, "a restart does not forget it"
    await other.aclose()
    assert await store.mark(sighting(2, embedding=face(77)), MORNING), "the face may be someone else's"
    assert await store.mark(sighting(1, embedding=face(77, away=0.36)), MORNING), "it is far enough from the stranger's"

    def traces(session: Any) -> tuple[bytes, list[str]]:
        lines = [f"{line.action} {line.student_id}: {line.words}" for line in session.scalars(select(AuditLine))]
        return session.scalar(select(NotThem.embedding)), lines

    sealed, [line] = await database.read(traces)
    assert database.vault.open(sealed) == face(77)
    assert line.startswith("attendance_removed 1: Wrong person; the face is remembered as someone else's: 2026-03-02")


async def test_a_wrong_row_without_a_face_is_removed_all_the_same(store: AttendanceStore) -> None:
    await store.mark(sighting(1), datetime.now(UTC) - timedelta(days=40))
    await store.purge_evidence(30)
    assert not (await store.remove_wrong(1)).is_remembered
    with pytest.raises(NotFound):
        await store.remove_wrong(1)
    with pytest.raises(NotFound):
        await store.proof(1)


async def test_a_damaged_negative_example_keeps_nobody_out(
    store: AttendanceStore, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    await add(database, NotThem(student_id=1, embedding=b"damaged", created_at=MORNING))
    assert await store.mark(sighting(1))
    assert "not_them is damaged" in caplog.text


# --- by hand ---


async def test_a_mark_by_hand_says_so(store: AttendanceStore, database: Database) -> None:
    marked = await store.mark_by_hand(1, None, None)
    assert (marked.source, marked.camera_id, marked.distance) == ("manual", "", None)
    assert await store.mark(sighting(1)) is None, "nobody is marked twice"
    with pytest.raises(Conflict) as refused:
        await store.mark_by_hand(1, store.today(), "")
    assert refused.value.reason == "already_marked"
    proof = await store.proof(marked.id)
    assert (proof.row.source, proof.looks, proof.has_crop, proof.has_face) == ("manual", None, False, False)
    await store.remove(marked.id)
    assert await store.mark(sighting(1)), "removed, and seen after all"
    actions = await database.read(
        lambda session: list(session.scalars(select(AuditLine.action).order_by(AuditLine.id)))
    )
    assert actions == ["attendance_marked", "attendance_removed"]


async def test_what_recognition_saw_is_not_simply_removed(store: AttendanceStore) -> None:
    marked = await store.mark(sighting(1))
    assert marked
    with pytest.raises(Conflict) as refused:
        await store.remove(marked.id)
    assert refused.value.reason == "recognised"


async def test_a_mark_by_hand_for_a_session(sessions: AttendanceStore) -> None:
    yesterday = sessions.today() - timedelta(days=1)
    morning = await sessions.mark_by_hand(1, yesterday, "morning")
    afternoon = await sessions.mark_by_hand(1, yesterday, "afternoon")
    assert (morning.session, afternoon.session) == ("morning", "afternoon")
    assert [mark.timestamp[:16] for mark in (morning, afternoon)] == [f"{yesterday}T00:00", f"{yesterday}T12:30"]
    with pytest.raises(Unprocessable, match="morning, afternoon"):
        await sessions.mark_by_hand(1, yesterday, None)
    with pytest.raises(Unprocessable, match="no such session"):
        await sessions.mark_by_hand(1, yesterday, "evening")
    assert (await sessions.mark_by_hand(1, None, None)).session in ("morning", "afternoon")


async def test_nobody_is_marked_in_the_future_or_unknown(store: AttendanceStore) -> None:
    with pytest.raises(Unprocessable) as refused:
        await store.mark_by_hand(1, store.today() + timedelta(days=1), None)
    assert refused.value.reason == "future"
    with pytest.raises(NotFound):
        await store.mark_by_hand(99, None, None)


# --- the day ---


async def test_the_day_tells_who_is_there_and_who_is_not(sessions: AttendanceStore, database: Database) -> None:
    photos = [FacePhoto(student_id=n, embedding=b"", thumbnail=b"", created_at=MORNING) for n in (1, 2, 3, 4)]
    gone = AnonymousAttendance(day=DAY, session="morning", class_name="Class 0")
    await add(database, *photos, NoConsent(student_id=4, since=MORNING), gone)
    await sessions.mark(sighting(2, camera_id="gate"), MORNING)
    await sessions.mark(sighting(1), MORNING + timedelta(minutes=1))
    await sessions.mark(sighting(1), MORNING + timedelta(hours=6))
    day = await sessions.day(DAY)
    assert names(day.present) == ["P1", "P0", "P0"]
    assert names(day.absent) == ["P2"], "neither who gave no consent nor who has no photo"
    assert (day.sessions, day.anonymous) == (["morning", "afternoon"], 1)
    assert (day.classes, day.cameras) == (["Class 0", "Class 1"], ["1", "gate"])
    assert (await sessions.day(DAY - timedelta(days=1))).absent == [], "nobody was enrolled then"
    afternoon = await sessions.day(DAY, Filters(session="afternoon"))
    assert (names(afternoon.present), names(afternoon.absent)) == (["P0"], ["P1", "P2"])
    assert afternoon.anonymous == 0
    one_class = await sessions.day(DAY, Filters(class_name="Class 1"))
    assert (names(one_class.present), names(one_class.absent), one_class.anonymous) == (["P1"], [], 0)
    at_gate = await sessions.day(DAY, Filters(camera_id="gate"))
    assert (names(at_gate.present), names(at_gate.absent), at_gate.anonymous) == (["P1"], ["P2"], 0)
    assert names(await sessions.present(DAY, Filters("Class 0", "1", "morning"))) == ["P0"]


async def test_rows_of_the_schools_own_program_count(sessions: AttendanceStore, database: Database) -> None:
    times = [datetime(2026, 3, 2, hour, minute, tzinfo=UTC) for hour, minute in ((7, 5), (7, 6), (13, 0))]
    schools = insert(AttendanceRow).values([{"student_id": 1, "timestamp": time} for time in times])
    await database.run(lambda session: session.execute(schools).close())
    assert await sessions.mark(sighting(1), MORNING + timedelta(hours=1)) is None
    with pytest.raises(Conflict):
        await sessions.mark_by_hand(1, DAY, "afternoon")
    present = (await sessions.day(DAY)).present
    assert [(row.source, row.session, row.timestamp[11:16]) for row in present] == [
        ("school", "morning", "08:05"),
        ("school", "afternoon", "14:00"),
    ]
    assert (await sessions.proof(present[0].id)).row.source == "school"
    for removing in (sessions.remove_wrong, sessions.remove):
        with pytest.raises(Conflict) as refused:
            await removing(present[0].id)
        assert refused.value.reason == "school"


async def test_a_row_the_school_wrote_later_does_not_hide_ours(store: AttendanceStore, database: Database) -> None:
    marked = await store.mark(sighting(1), MORNING)
    late = "INSERT INTO attendance_logs (student_id, timestamp) VALUES (1, '2026-03-02 07:00:00')"
    await database.run(lambda session: session.execute(text(late)).close())
    assert await store.present(DAY) == [marked]
