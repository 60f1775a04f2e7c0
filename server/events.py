"""What the parts tell each other and the pages: frozen facts, and the bus that carries them.

The bus lives on the event loop's thread. A subscriber that does not keep up loses the oldest events, counted in
`Subscription.dropped`; nobody waits for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

CameraState = Literal["online", "stale", "offline"]
RecognitionState = Literal["off", "starting", "running", "restarting"]
DatabaseState = Literal["ok", "away"]
AttendanceSource = Literal["recognised", "manual", "school"]  # school: the school's own program wrote the row

UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True)
class Face:
    """One face in one recognised frame.

    `box` is x, y, width, height and `velocity` its motion in pixels per second, both in pixels of the recognised
    frame. `person_id` is None and `name` is "Unknown" while nobody is recognised. `distance` is the Euclidean
    distance of the embeddings (0 is the same picture), `confidence` runs from 0 to 1. `unseen_s` is for how long the
    face has not been found; its box goes on as it moved. `is_hidden`: this face must be pixelated and is never named.
    """

    track_id: int
    person_id: int | None
    name: str
    confidence: float
    box: tuple[float, float, float, float]
    velocity: tuple[float, float] = (0.0, 0.0)
    distance: float | None = None
    unseen_s: float = 0.0
    is_hidden: bool = False


@dataclass(frozen=True, slots=True)
class Detections:
    """What recognition saw in the frame with presentation time `pts` (90 kHz, the camera's clock)."""

    camera_id: str
    pts: int
    width: int
    height: int
    faces: tuple[Face, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Sighting:
    """What the looks at a settled face proved: a name, or that it is nobody known. For attendance and visitors only.

    `person_id` is None for a visitor. `embedding` is the mean of the `looks` that agree, 128 little-endian float64;
    `crop` a small JPEG of the best look, empty where evidence is switched off. `margin` is how much nearer the person
    is than the second-best one (None when there is no other). `model` names the embedding, `threshold` is the largest
    distance that counted. `quality` runs from 0 to 1 and compares looks of one face.
    """

    camera_id: str
    track_id: int
    person_id: int | None
    distance: float | None
    margin: float | None
    looks: int
    model: str
    threshold: float
    quality: float
    embedding: bytes
    crop: bytes


@dataclass(frozen=True, slots=True)
class AttendanceMarked:
    """A row that is safely in the database. `timestamp` is ISO 8601 with the offset of the school's time zone.

    `session` is the configured session of the day, empty where there is only one. `source` says who marked it.
    """

    id: int
    person_id: int
    name: str
    roll_no: str | None
    camera_id: str
    timestamp: str
    distance: float | None
    class_name: str | None = None
    session: str = ""
    source: AttendanceSource = "recognised"


@dataclass(frozen=True, slots=True)
class AttendanceRemoved:
    """A row that was wrong is gone; `person_id` was not there."""

    id: int
    person_id: int
    camera_id: str


@dataclass(frozen=True, slots=True)
class ServerChanged:
    """What the pages' banner tells: how recognition is, and how many marks wait for a database that is away.

    `recognition_words` says why recognition is not running, and is empty while it is.
    """

    recognition: RecognitionState
    recognition_words: str
    database: DatabaseState
    waiting_marks: int


@dataclass(frozen=True, slots=True)
class CameraChanged:
    """A camera came, fell silent or went. `since` is ISO 8601 in UTC."""

    camera_id: str
    state: CameraState
    since: str
    reason: str


Event = Detections | AttendanceMarked | AttendanceRemoved | CameraChanged | ServerChanged


class Subscription:
    """A bounded queue of events, one per subscriber. Use it from the event loop's thread."""

    def __init__(self, limit: int) -> None:
        self._queue: asyncio.Queue[Event] = asyncio.Queue(limit)
        self.dropped = 0

    def put(self, event: Event) -> None:
        """Add an event, giving up the oldest when full."""
        if self._queue.full():
            self._queue.get_nowait()
            self.dropped += 1
        self._queue.put_nowait(event)

    async def next(self) -> Event:
        """Wait for the next event."""
        return await self._queue.get()


class EventBus:
    """Hands every published event to every subscriber, in order, without waiting for any."""

    def __init__(self, limit: int = 64) -> None:
        self._limit = limit
        self._subscriptions: set[Subscription] = set()

    @contextmanager
    def subscribe(self) -> Iterator[Subscription]:
        """Receive all events published inside the `with` block."""
        subscription = Subscription(self._limit)
        self._subscriptions.add(subscription)
        try:
            yield subscription
        finally:
            self._subscriptions.discard(subscription)

    def publish(self, event: Event) -> None:
        """Tell every subscriber; never blocks."""
        for subscription in self._subscriptions:
            subscription.put(event)
