"""What follows from a recognised face: the overlay, the events and the attendance row.

Also tells recognition when people changed, by whatever process. A side branch: it may fall behind or fail, and the
video goes on. Event loop's thread only.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime

from .attendance import AttendanceStore
from .errors import SurveillxError
from .events import AttendanceMarked, Detections, EventBus, Face, Sighting
from .metrics import Metrics
from .recognition.people import PeopleStore
from .recognition.worker import RecognitionWorker

logger = logging.getLogger("surveillx.rollcall")

REVISION_INTERVAL_S = 1.0


class RollCall:
    """Takes detections and makes them known; marks each named face once a day. Marks while `run` is running."""

    def __init__(
        self, attendance: AttendanceStore, events: EventBus, metrics: Metrics, show: Callable[[Detections], None]
    ) -> None:
        self._attendance = attendance
        self._events = events
        self._metrics = metrics
        self._show = show
        self._tasks: asyncio.TaskGroup | None = None

    def take(self, detections: Detections) -> None:
        """A new result; never blocks."""
        self._show(detections)
        self._events.publish(detections)
        seen_at = datetime.now(UTC)
        for face in detections.faces:
            if face.person_id is not None and self._tasks is not None:
                # A task each: a mark may wait for the database, and the store bounds how many do.
                self._tasks.create_task(self._mark(_sighting(detections.camera_id, face), seen_at))

    async def run(self, ready: asyncio.Event) -> None:
        """Mark attendance until cancelled."""
        async with asyncio.TaskGroup() as self._tasks:
            ready.set()
            await asyncio.Event().wait()

    def announce(self, marked: AttendanceMarked) -> None:
        """A row that is in the database."""
        self._metrics.attendance_marked.inc()
        self._events.publish(marked)

    async def _mark(self, seen: Sighting, seen_at: datetime) -> None:
        try:
            marked = await self._attendance.mark(seen, seen_at)
        except SurveillxError as error:
            logger.error("attendance could not be written: %s", error.detail)
            return
        if marked is not None:
            self.announce(marked)


def _sighting(camera_id: str, face: Face) -> Sighting:
    return Sighting(
        camera_id, face.track_id, face.person_id, face.distance, None, 1, "dlib", 0.5, face.confidence, bytes(1024), b""
    )


async def follow_gallery(people: PeopleStore, recognition: RecognitionWorker) -> None:
    """Give recognition the known faces, and again whenever people change; runs until cancelled."""
    known: object = None
    while True:
        try:
            revision = await people.revision()
            if revision != known:
                recognition.set_gallery(await people.known())
                known = revision
        except SurveillxError as error:
            logger.error("people could not be read: %s", error.detail)
        await asyncio.sleep(REVISION_INTERVAL_S)
