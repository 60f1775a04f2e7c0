"""Encryption at rest in a real file: nothing of a face is left in it plain, and no start without the key."""

from __future__ import annotations

import logging
import re
import secrets
import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

import server.sealing
from server.config import Settings
from server.database import Database, open_database
from server.errors import ConfigError
from server.recognition.people import PeopleStore
from server.tables import AttendanceProof, AttendanceRow, FacePhoto, NotThem, Person, Visitor, VisitorFace
from server.vault import Vault
from tests.faces import astronaut, jpeg

KEY = secrets.token_urlsafe(32)
PICTURE = jpeg(astronaut()[:160, 160:320])
PEOPLE = 20


def embedding(seed: int) -> bytes:
    return np.random.default_rng(seed).normal(size=128).astype("<f8").tobytes()


def fill(session: Session) -> None:
    """Every table that holds faces, with more rows than one transaction seals."""
    now = datetime.now(UTC)
    session.add(Visitor(id=1, first_seen=now, last_seen=now, sightings=1, camera_id="1"))
    for number in range(1, PEOPLE + 1):
        session.add(Person(id=number, name=f"Person {number}"))
        session.flush()
        session.add(FacePhoto(student_id=number, embedding=embedding(number), thumbnail=PICTURE, created_at=now))
        session.add(AttendanceRow(id=number, student_id=number, day=date(2026, 3, 2), timestamp=now))
        session.flush()
        proof = AttendanceProof(attendance_id=number, source="recognised", embedding=embedding(-number % 999))
        proof.crop = PICTURE if number % 2 else None
        session.add(proof)
        session.add(NotThem(student_id=number, embedding=embedding(1000 + number), created_at=now))
        session.add(
            VisitorFace(visitor_id=1, embedding=embedding(2000 + number), crop=PICTURE, quality=0.5, seen_at=now)
        )


def traces() -> list[bytes]:
    """Every sixteenth number of each embedding, and pieces of the picture: a page's border may run between any two."""
    numbers = [*range(1, PEOPLE + 1), *(-n % 999 for n in range(1, PEOPLE + 1)), *range(1001, 1001 + PEOPLE)]
    of_embeddings = [embedding(seed)[at : at + 8] for seed in numbers for at in range(0, 1024, 128)]
    return of_embeddings + [PICTURE[at : at + 16] for at in range(100, len(PICTURE) - 16, 997)]


def found_on_disk(file: Path) -> int:
    content = b"".join(each.read_bytes() for each in file.parent.iterdir())
    return sum(trace in content for trace in traces())


async def test_what_was_plain_is_sealed_and_gone_from_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(server.sealing, "ROWS_A_TRANSACTION", 8)
    caplog.set_level(logging.INFO, "surveillx.database")
    file = tmp_path / "surveillx.db"
    settings = Settings(data=tmp_path)
    database = open_database(settings)
    await database.run(fill)
    known = await PeopleStore(database).known()
    await database.aclose()
    assert found_on_disk(file) > 400

    database = open_database(Settings(data=tmp_path, encryption_key=KEY))
    assert f"Faces that were stored before there was a key are encrypted now (rows: {4 * PEOPLE})." in caplog.messages
    assert found_on_disk(file) == 0, "while it is open, log and all"
    sealed = await PeopleStore(database).known()
    assert [face.name for face in sealed.faces] == [face.name for face in known.faces]
    assert all(np.array_equal(a.embedding, b.embedding) for a, b in zip(sealed.faces, known.faces, strict=True))
    assert await PeopleStore(database).thumbnail(1) == PICTURE
    await database.aclose()
    assert found_on_disk(file) == 0

    with closing(sqlite3.connect(file)) as other:
        before = list(other.iterdump())
        open_database(Settings(data=tmp_path, encryption_key=KEY)).close()
        assert list(other.iterdump()) == before, "the second time there is nothing to do"


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("", "encrypted, and no key is set. Set SURVEILLX_ENCRYPTION_KEY"),
        (secrets.token_urlsafe(32), "Setting encryption_key: the faces in the database are encrypted with another key"),
    ],
    ids=["no key", "another key"],
)
def test_no_start_without_the_key(tmp_path: Path, key: str, words: str) -> None:
    url = f"sqlite:///{tmp_path / 'surveillx.db'}"
    database = Database(url)
    database.run_sync(fill)
    database.close()
    Database(url, Vault(KEY)).close()
    with pytest.raises(ConfigError) as caught:
        Database(url, Vault(key))
    assert words in caught.value.detail
    Database(url, Vault(KEY)).close()


def test_what_the_docs_say_for_a_lost_key(tmp_path: Path) -> None:
    file = tmp_path / "surveillx.db"
    database = Database(f"sqlite:///{file}")
    database.run_sync(fill)
    database.close()
    Database(f"sqlite:///{file}", Vault(KEY)).close()
    docs = Path(__file__).resolve().parent.parent / "docs" / "database.md"
    statements = "".join(re.findall(r"^ +((?:DELETE|UPDATE) .*\n)", docs.read_text(encoding="utf-8"), re.MULTILINE))
    assert statements.count(";") == 4
    with closing(sqlite3.connect(file)) as admin:
        admin.executescript("PRAGMA foreign_keys = ON;" + statements)
    database = Database(f"sqlite:///{file}", Vault(secrets.token_urlsafe(32)))
    assert database.run_sync(lambda session: session.scalar(select(func.count(AttendanceRow.id)))) == PEOPLE
    database.close()


def test_one_damaged_face_does_not_keep_the_server_from_starting(tmp_path: Path) -> None:
    file = tmp_path / "surveillx.db"
    database = Database(f"sqlite:///{file}", Vault(KEY))
    database.run_sync(fill)
    database.close()
    Database(f"sqlite:///{file}", Vault(KEY)).close()
    with closing(sqlite3.connect(file)) as other:
        other.execute("UPDATE face_photos SET embedding = substr(embedding, 1, 40) WHERE id = ?", (PEOPLE,))
        other.commit()
    Database(f"sqlite:///{file}", Vault(KEY)).close()
