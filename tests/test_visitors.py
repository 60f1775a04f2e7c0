"""Unknown visitors in a real database: who is grouped with whom, what is kept, and what is taken back or purged."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from server.audit import AuditStore
from server.config import Settings
from server.database import Database
from server.errors import NotFound
from server.events import Sighting
from server.recognition.engine import open_engine
from server.recognition.pictures import SURE, Box, Photo
from server.vault import Vault
from server.visitors import APART, MAX_FACES, MAX_VISITORS, SAME_VISITOR, VisitorRecord, VisitorStore
from tests.faces import Picture, jpeg, six_people

MORNING = datetime(2026, 3, 2, 7, 0, tzinfo=UTC)
KEY = "bG9uZyBlbm91Z2ggZm9yIHRoaXMgdGVzdCwgMzIgYnk="


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "surveillx.db"


@pytest.fixture
def database(file: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{file}", Vault(KEY))
    yield database
    database.close()


@pytest.fixture
def visitors(database: Database) -> VisitorStore:
    return VisitorStore(database, Settings(timezone="Europe/Berlin"))


def face(person: int, apart: float = 0.0) -> NDArray[np.float64]:
    """An embedding of a made-up person, at a distance of `apart` from that person's first."""
    rng = np.random.default_rng(person)
    middle, aside = rng.normal(size=(2, 128))
    return np.asarray(0.55 * middle / np.linalg.norm(middle) + apart * aside / np.linalg.norm(aside))


def sighting(
    embedding: NDArray[np.float64],
    track_id: int = 1,
    *,
    quality: float = 0.5,
    camera_id: str = "1",
    crop: bytes = b"\xff\xd8",
) -> Sighting:
    return Sighting(
        camera_id=camera_id,
        track_id=track_id,
        person_id=None,
        distance=None,
        margin=None,
        looks=5,
        model="dlib",
        threshold=0.5,
        quality=quality,
        embedding=embedding.astype("<f8").tobytes(),
        crop=crop,
    )


async def only(visitors: VisitorStore) -> VisitorRecord:
    [visitor] = await visitors.recent()
    return visitor


def varied(picture: Picture, box: Box) -> Iterator[tuple[Picture, Box]]:
    """A face as a camera may see it: small, dark, bright, blurred, mirrored."""
    x, y, w, h = box
    scale = 56 / w
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    yield picture, box
    yield np.asarray(small, np.uint8), (x * scale, y * scale, w * scale, h * scale)
    for gamma in (0.5, 2.0):
        yield (255 * (picture / 255) ** gamma).astype(np.uint8), box
    yield np.asarray(cv2.GaussianBlur(picture, (0, 0), 0.015 * w), np.uint8), box
    yield np.ascontiguousarray(picture[:, ::-1]), (picture.shape[1] - x - w, y, w, h)


@cache
def real_faces() -> Sequence[tuple[int, NDArray[np.float64], bytes]]:
    """Six people in six variations each: who, embedding, picture."""
    engine = open_engine()
    everyone = six_people()
    boxes = [each.box for each in engine.find(Photo(everyone), 1280) if each.confidence >= SURE]
    faces = []
    for person, (x, y, w, h) in enumerate(boxes):
        left, top = max(0, int(x - w)), max(0, int(y - h))
        portrait = np.ascontiguousarray(everyone[top : int(y + 2 * h), left : int(x + 2 * w)])
        for picture, box in varied(portrait, (x - left, y - top, w, h)):
            faces.append((person, engine.embed(Photo(picture), box), jpeg(picture)))
    return faces


@pytest.mark.parametrize("seed", range(3))
async def test_six_real_people_are_six_visitors_in_any_order(visitors: VisitorStore, seed: int) -> None:
    faces = real_faces()
    order = np.random.default_rng(seed).permutation(len(faces))
    for place, which in enumerate(order.tolist()):
        _, embedding, crop = faces[which]
        await visitors.take(sighting(embedding, place, crop=crop), MORNING + place * (APART + timedelta(minutes=1)))
    groups = await visitors.recent()
    assert [visitor.appearances for visitor in groups] == [6] * 6
    assert all(len(visitor.embeddings) == MAX_FACES for visitor in groups)
    for visitor in groups:
        of_one_person = {
            person for person, embedding, _ in faces if (visitor.embeddings == embedding).all(axis=1).any()
        }
        assert len(of_one_person) == 1


async def test_one_track_is_one_appearance_and_the_next_one_soon_after_too(visitors: VisitorStore) -> None:
    for seconds in (0, 5, 3600):
        await visitors.take(sighting(face(1), 1), MORNING + timedelta(seconds=seconds))
    assert (await only(visitors)).appearances == 1, "whoever sits there has come once"
    back = MORNING + timedelta(hours=1, minutes=5)
    await visitors.take(sighting(face(1), 2), back)
    assert (await only(visitors)).appearances == 1, "the track was lost for a moment"
    await visitors.take(sighting(face(1), 3, camera_id="gate"), back + APART + timedelta(seconds=1))
    visitor = await only(visitors)
    assert (visitor.appearances, visitor.camera_id) == (2, "gate")
    assert visitor.first_seen.isoformat() == "2026-03-02T08:00:00+01:00", "in the school's zone"
    assert visitor.last_seen.isoformat() == "2026-03-02T09:15:01+01:00"


async def test_near_joins_and_far_is_another(visitors: VisitorStore) -> None:
    await visitors.take(sighting(face(1), 1), MORNING)
    await visitors.take(sighting(face(1, SAME_VISITOR - 0.01), 2), MORNING)
    assert len(await visitors.recent()) == 1
    await visitors.take(sighting(face(2), 3), MORNING + timedelta(seconds=1))
    newest, _ = await visitors.recent()
    assert np.array_equal(newest.embeddings, [face(2)])


async def test_a_track_stays_with_its_visitor_when_the_face_turns(visitors: VisitorStore) -> None:
    await visitors.take(sighting(face(1), 1, quality=0.9), MORNING)
    await visitors.take(sighting(face(1, SAME_VISITOR + 0.05), 1, quality=0.3), MORNING + timedelta(seconds=5))
    assert np.array_equal((await only(visitors)).embeddings, [face(1)]), "and its worse look is not kept"


async def test_the_best_faces_are_kept_one_of_each_track(visitors: VisitorStore) -> None:
    for track, quality in enumerate([0.2, 0.9, 0.4, 0.6, 0.1, 0.5]):
        await visitors.take(sighting(face(1, 0.01 * track), track, quality=quality, crop=b"%.1f" % quality), MORNING)
    await visitors.take(sighting(face(1), 1, quality=0.95, crop=b"0.95"), MORNING)
    visitor = await only(visitors)
    looks = await visitors.looks(visitor.id)
    assert [look.crop for look in looks] == [b"0.95", b"0.6", b"0.5", b"0.4"]
    assert await visitors.photo(visitor.id) == b"0.95"
    assert np.array_equal(looks[0].embedding, face(1))


async def test_what_a_track_gave_is_taken_back_when_it_gets_a_name(visitors: VisitorStore) -> None:
    await visitors.take(sighting(face(1), 1), MORNING)
    await visitors.take(sighting(face(1, 0.1), 2), MORNING + timedelta(hours=1))
    assert (await only(visitors)).appearances == 2
    await visitors.forget_track("1", 2)
    visitor = await only(visitors)
    assert visitor.appearances == 1
    assert np.array_equal(visitor.embeddings, [face(1)])
    await visitors.forget_track("1", 2)
    await visitors.forget_track("2", 1)
    await visitors.forget_track("1", 1)
    assert await visitors.recent() == []


async def test_ignored_visitors_are_grouped_but_not_shown_and_gain_no_faces(
    visitors: VisitorStore, database: Database
) -> None:
    await visitors.take(sighting(face(1), 1), MORNING)
    visitor = await only(visitors)
    await visitors.ignore(visitor.id, ignored=True)
    await visitors.take(sighting(face(1, 0.1), 2), MORNING + timedelta(hours=1))
    assert await visitors.recent() == []
    [ignored] = await visitors.recent(ignored=True)
    assert (ignored.id, ignored.appearances, len(ignored.embeddings)) == (visitor.id, 2, 1)
    await visitors.ignore(visitor.id, ignored=False)
    assert (await only(visitors)).id == visitor.id
    assert [line.action for line in await AuditStore(database).recent(9)] == ["visitor_ignored"] * 2


async def test_purged_when_not_seen_for_days_ignored_or_not(visitors: VisitorStore) -> None:
    now = datetime.now(UTC)
    for person, days in ((1, 8), (2, 8), (3, 6)):
        await visitors.take(sighting(face(person), person), now - timedelta(days=days))
    oldest = (await visitors.recent())[-1]
    await visitors.ignore(oldest.id, ignored=True)
    assert await visitors.purge(7) == 2
    assert np.array_equal((await only(visitors)).embeddings, [face(3)])
    assert await visitors.recent(ignored=True) == []


async def test_deleting_leaves_nothing_on_the_disk(visitors: VisitorStore, database: Database, file: Path) -> None:
    await visitors.take(sighting(face(1), 1), MORNING)
    await visitors.delete((await only(visitors)).id)
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("SELECT count(*) FROM visitor_faces").fetchone() == (0,)
    assert [line.action for line in await AuditStore(database).recent(9)] == ["visitor_deleted"]


async def test_faces_are_sealed(visitors: VisitorStore, file: Path) -> None:
    await visitors.take(sighting(face(1), 1, crop=b"picture of a face"), MORNING)
    with closing(sqlite3.connect(file)) as connection:
        [stored] = connection.execute("SELECT embedding, crop FROM visitor_faces").fetchall()
    assert all(Vault.is_sealed(each) for each in stored)
    assert await visitors.photo((await only(visitors)).id) == b"picture of a face"


async def test_what_concerns_nobody_unknown_is_left_alone(database: Database) -> None:
    off = VisitorStore(database, Settings(visitors=False))
    on = VisitorStore(database, Settings())
    await off.take(sighting(face(1)), MORNING)
    await on.take(sighting(face(1), crop=b""), MORNING)
    assert await on.recent() == []


async def test_bounded_the_longest_unseen_makes_room(visitors: VisitorStore) -> None:
    for person in range(MAX_VISITORS + 2):
        await visitors.take(sighting(face(person), person), MORNING + timedelta(seconds=person))
    groups = await visitors.recent()
    assert len(groups) == MAX_VISITORS
    assert np.array_equal(groups[-1].embeddings, [face(2)])


async def test_a_clock_that_is_set_back_spoils_nothing(visitors: VisitorStore) -> None:
    await visitors.take(sighting(face(1), 1), MORNING)
    await visitors.take(sighting(face(1), 2), MORNING - timedelta(hours=1))
    visitor = await only(visitors)
    assert (visitor.first_seen, visitor.last_seen) == (MORNING - timedelta(hours=1), MORNING)
    assert visitor.appearances == 1


async def test_a_visitor_that_is_gone(visitors: VisitorStore) -> None:
    for deed in (visitors.photo(7), visitors.delete(7), visitors.ignore(7, ignored=True)):
        with pytest.raises(NotFound):
            await deed
    await visitors.take(sighting(face(1), 1), MORNING)
    await visitors.delete((await only(visitors)).id)
    await visitors.take(sighting(face(1), 1), MORNING)
    assert (await only(visitors)).appearances == 1, "the same track makes a new visitor"
