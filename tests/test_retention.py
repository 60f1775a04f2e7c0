"""Old audit lines and proofs in a real database: removed at once and hourly, whatever else fails."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import server.retention
from server.audit import AuditStore
from server.database import Database
from server.errors import Unavailable
from server.retention import Purge, retain
from server.tables import AuditLine
from tests.wait import until


@asynccontextmanager
async def opened(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(f"sqlite:///{tmp_path / 'surveillx.db'}")
    yield database
    await database.aclose()


async def add_lines(database: Database, words: str, age: timedelta, count: int) -> None:
    at = datetime.now(UTC) - age
    await database.run(
        lambda session: session.add_all(
            AuditLine(at=at, action="person_added", words=f"{words} {n}") for n in range(count)
        )
    )


def on_disk(folder: Path, words: bytes) -> bool:
    return any(words in file.read_bytes() for file in folder.iterdir())


@asynccontextmanager
async def retaining(database: Database, *purges: Purge) -> AsyncIterator[None]:
    task = asyncio.create_task(retain(purges, database.forget_deleted))
    yield
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_what_is_old_goes_from_the_disk_at_once_and_hourly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(server.retention, "INTERVAL_S", 0.05)
    caplog.set_level(logging.INFO)
    async with opened(tmp_path) as database:
        audit = AuditStore(database)
        await add_lines(database, "very old", timedelta(days=366), 3)
        await add_lines(database, "quite new", timedelta(days=364), 2)

        async def words() -> list[str]:
            return sorted({record.words.rsplit(" ", 1)[0] for record in await audit.recent(100)})

        async def only_new() -> bool:
            return await words() == ["quite new"]

        async with retaining(database, Purge("audit lines", audit.purge, 365)):
            await until(only_new)
            await until(lambda: not on_disk(tmp_path, b"very old"))
            await add_lines(database, "very old", timedelta(days=400), 1)
            await until(only_new)
        assert on_disk(tmp_path, b"quite new")
    assert [record.message for record in caplog.records if record.name == "surveillx.retention"] == [
        "3 audit lines older than 365 days were removed.",
        "1 audit lines older than 365 days were removed.",
    ]


async def test_one_that_fails_does_not_keep_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(server.retention, "INTERVAL_S", 0.05)
    attempts = 0

    async def away(_days: int) -> int:
        nonlocal attempts
        attempts += 1
        raise Unavailable("The database is in use by another program.")

    async with opened(tmp_path) as database:
        audit = AuditStore(database)
        await add_lines(database, "very old", timedelta(days=31), 1)

        async def gone() -> bool:
            return await audit.recent(1) == []

        async with retaining(database, Purge("visitors", away, 7), Purge("audit lines", audit.purge, 30)):
            await until(gone)
            await until(lambda: attempts >= 2)
    assert "visitors older than 7 days wait for the next hour: The database is in use" in caplog.text
