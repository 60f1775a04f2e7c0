"""What follows from a recognised face: the overlay, the events, the attendance row, the visitor.

Also tells recognition when people changed, by whatever process. A side branch: it may fall behind or fail, and the
video goes on. Event loop's thread only.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime

from .attendance import AttendanceStore
from .errors import SurveillxError
from .events import AttendanceMarked, Detections, EventBus, Sighting
from .metrics import Metrics
from .recognition.people import PeopleStore
from .recognition.worker import RecognitionWorker
from .visitors import VisitorStore

logger = logging.getLogger("surveillx.rollcall")

REVISION_INTERVAL_S = 1.0
# Sightings that wait for the database besides those that the attendance store keeps; more are let go, and come again.
MAX_WAITING = 500

_Visit = tuple[str, int]  # camera and track


class RollCall:
    """Takes detections and makes them known; takes sightings and writes them down while `run` is running."""

    def __init__(
        self,
        attendance: AttendanceStore,
        visitors: VisitorStore,
        events: EventBus,
        metrics: Metrics,
        show: Callable[[Detections], None],
    ) -> None:
        self._attendance = attendance
        self._visitors = visitors
        self._events = events
        self._metrics = metrics
        self._show = show
        self._tasks: asyncio.TaskGroup | None = None
        self._waiting = 0
        self._visits: set[_Visit] = set()  # tracks in sight that were taken for visitors

    def take(self, detections: Detections) -> None:
        """A new result; never blocks."""
        self._show(detections)
        self._events.publish(detections)
        self._forget_visits(detections)

    def sighted(self, seen: Sighting) -> None:
        """A face is someone, or nobody known; never blocks."""
        if seen.person_id is not None:
            self._begin(self._mark(seen, datetime.now(UTC)))
        else:
            self._visits.add((seen.camera_id, seen.track_id))
            self._begin(self._visitors.take(seen, datetime.now(UTC)))

    def announce(self, marked: AttendanceMarked) -> None:
        """A row that is in the database."""
        self._metrics.attendance_marked.inc()
        self._events.publish(marked)

    async def run(self, ready: asyncio.Event) -> None:
        """Write down until cancelled."""
        async with asyncio.TaskGroup() as self._tasks:
            ready.set()
            await asyncio.Event().wait()

    def _forget_visits(self, detections: Detections) -> None:
        """Someone who was taken for a visitor and has a name after all, or must be hidden, is no visitor."""
        camera = detections.camera_id
        in_sight = {(camera, face.track_id): face for face in detections.faces}
        for visit in [visit for visit in self._visits if visit[0] == camera]:
            face = in_sight.get(visit)
            if face is None:
                self._visits.discard(visit)
            elif face.person_id is not None or face.is_hidden:
                self._visits.discard(visit)
                self._begin(self._visitors.forget_track(*visit))

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        """A task each: the database may take its time."""
        if self._tasks is None or self._waiting >= MAX_WAITING:
            work.close()
            return
        self._waiting += 1
        self._tasks.create_task(self._finish(work))

    async def _finish(self, work: Coroutine[None, None, None]) -> None:
        try:
            await work
        except SurveillxError as error:
            logger.error("a sighting could not be written down: %s", error.detail)
        finally:
            self._waiting -= 1

    async def _mark(self, seen: Sighting, at: datetime) -> None:
        marked = await self._attendance.mark(seen, at)
        if marked is not None:
            self.announce(marked)


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
