"""What follows from a recognised face: the overlay, the events and the attendance row.

Also tells recognition when people changed, by whatever process. A side branch: it may fall behind or fail, and the
video goes on. Event loop's thread only.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from .attendance import AttendanceStore
from .errors import SurveillxError
from .events import AttendanceMarked, Detections, EventBus, Face
from .metrics import Metrics
from .recognition.people import PeopleStore
from .recognition.worker import RecognitionWorker

logger = logging.getLogger("surveillx.rollcall")

REVISION_INTERVAL_S = 1.0
QUEUE_FACES = 256


class RollCall:
    """Takes detections and makes them known; marks each named face once a day."""

    def __init__(
        self, attendance: AttendanceStore, events: EventBus, metrics: Metrics, show: Callable[[Detections], None]
    ) -> None:
        self._attendance = attendance
        self._events = events
        self._metrics = metrics
        self._show = show
        self._faces: asyncio.Queue[tuple[str, Face]] = asyncio.Queue(QUEUE_FACES)

    def take(self, detections: Detections) -> None:
        """A new result; never blocks."""
        self._show(detections)
        self._events.publish(detections)
        for face in detections.faces:
            # A full queue means the database is away; the person is seen again as long as they are there.
            if face.person_id is not None and not self._faces.full():
                self._faces.put_nowait((detections.camera_id, face))

    async def run(self) -> None:
        """Mark attendance until cancelled."""
        while True:
            camera_id, face = await self._faces.get()
            marked = await self._mark(camera_id, face)
            if marked is not None:
                self._metrics.attendance_marked.inc()
                self._events.publish(marked)

    async def _mark(self, camera_id: str, face: Face) -> AttendanceMarked | None:
        assert face.person_id is not None  # noqa: S101 - take() lets no other in
        try:
            return await self._attendance.mark(face.person_id, camera_id, face.distance)
        except SurveillxError as error:
            logger.error("attendance could not be written: %s", error.detail)
            return None


async def follow_gallery(people: PeopleStore, recognition: RecognitionWorker) -> None:
    """Give recognition the known faces, and again whenever people change; runs until cancelled."""
    known: object = None
    while True:
        try:
            revision = await people.revision()
            if revision != known:
                recognition.set_gallery(await people.known_faces())
                known = revision
        except SurveillxError as error:
            logger.error("people could not be read: %s", error.detail)
        await asyncio.sleep(REVISION_INTERVAL_S)
