"""The audit in a real database: written with the deed or not at all, without names, and gone in time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy.orm import Session

from server.audit import AuditStore, forget_person, note
from server.database import Database
from server.tables import AuditLine


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path / 'surveillx.db'}")
    yield database
    database.close()


async def test_newest_first(database: Database) -> None:
    before = datetime.now(UTC)
    await database.run(lambda session: note(session, "person_added", "Added with 2 photos", 7))
    await database.run(lambda session: note(session, "visitor_ignored", "Ignored"))
    newest, oldest = await AuditStore(database).recent(10)
    assert (newest.action, newest.words, newest.person_id) == ("visitor_ignored", "Ignored", None)
    assert (oldest.action, oldest.person_id) == ("person_added", 7)
    assert before <= oldest.at <= newest.at <= datetime.now(UTC)
    assert await AuditStore(database).recent(1) == [newest]


async def test_a_deed_that_failed_leaves_no_line(database: Database) -> None:
    def fail(session: Session) -> None:
        note(session, "attendance_removed", "Removed", 7)
        session.flush()
        raise LookupError

    with pytest.raises(LookupError):
        await database.run(fail)
    assert await AuditStore(database).recent(10) == []


async def test_a_deleted_persons_lines_lead_to_nobody(database: Database) -> None:
    await database.run(lambda session: note(session, "person_changed", "Renamed", 7))
    await database.run(lambda session: note(session, "person_changed", "Renamed", 8))
    await database.run(lambda session: forget_person(session, 7))
    assert [record.person_id for record in await AuditStore(database).recent(10)] == [8, None]


async def test_purge(database: Database) -> None:
    def add(session: Session) -> None:
        for days in (1, 29, 31, 400):
            at = datetime.now(UTC) - timedelta(days=days)
            session.add(AuditLine(at=at, action="person_added", words=str(days)))

    await database.run(add)
    audit = AuditStore(database)
    assert await audit.purge(30) == 2
    assert await audit.purge(30) == 0
    assert sorted(record.words for record in await audit.recent(10)) == ["1", "29"]
