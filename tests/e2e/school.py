"""A small school to look at: people of two classes, some of them marked today, and unknown visitors."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

from server.attendance import AttendanceStore
from server.config import Settings
from server.database import open_database
from server.metrics import Metrics
from server.recognition.people import PeopleStore
from server.recognition.photos import ExaminedPhoto
from server.visitors import VisitorStore

from .. import sightings
from ..faces import jpeg, portraits
from ..test_visitors import face, sighting

# Name, roll number, class, consent.
PEOPLE = (
    ("Benedikt Österreicher-Wolkenstein", "12", "8A", True),
    ("Fatima Al-Zahra", "30", "8A", True),
    ("Zoë 学生", "31", "8B", True),
    ("Noor", None, "8B", False),
)


async def _fill(data: Path) -> None:
    settings = Settings(data=data)
    database = open_database(settings)
    pictures = [jpeg(picture) for picture in portraits()]
    people = PeopleStore(database)
    for number, (name, roll_no, class_name, consent) in enumerate(PEOPLE, 1):
        photos = [ExaminedPhoto(face(number, apart), pictures[number]) for apart in (0.0, 0.3)[: 1 + number % 2]]
        await people.add(name, roll_no, photos, class_name=class_name, consent=consent)
    marks = AttendanceStore(database, settings, Metrics())
    for number in (1, 2):
        await marks.mark(sightings.sighting(number, camera_id="1", crop=pictures[number]))
    visitors = VisitorStore(database, settings)
    now = datetime.now(UTC)
    for track, (person, apart, hours) in enumerate([(5, 0, 50), (5, 0.1, 26), (5, 0.2, 0.1), (3, 0.45, 1), (6, 0, 2)]):
        seen = sighting(face(person, apart), track, quality=0.9 - track / 10, crop=pictures[person])
        await visitors.take(seen, now - timedelta(hours=hours))
    await database.aclose()


def fill(data: Path) -> None:
    """Put the school into a new data folder; from any thread, also that of a browser's driver with its event loop."""
    with ThreadPoolExecutor(1) as another:
        another.submit(asyncio.run, _fill(data)).result()
