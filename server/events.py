"""What the parts tell each other and the pages: frozen facts, and the bus that carries them.

The bus lives on the event loop's thread; nobody waits for a subscriber. One that does not keep up loses its oldest
detections, because newer ones take their place. What lasts (attendance, cameras, the server's state) is kept behind
them, and is given up only by a subscriber that is hundreds of events behind. Both are counted.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Literal

CameraState = Literal["online", "stale", "offline"]
RecognitionState = Literal["off", "starting", "running", "restarting"]
DatabaseState = Literal["ok", "away"]
AttendanceSource = Literal["recognised", "manual", "school"]  # school: the school's own program wrote the row
ViewerRendition = Literal["720p", "360p", "jpeg"]

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

    `recognition_words` says why recognition is not running, and is empty while it is. `degraded` says what the server
    does less of because it is busy, and is empty when it keeps up.
    """

    recognition: RecognitionState
    recognition_words: str
    database: DatabaseState
    waiting_marks: int
    degraded: str = ""


@dataclass(frozen=True, slots=True)
class CameraChanged:
    """A camera came, fell silent, went or was renamed. `since` is ISO 8601 in UTC; without a `name` it is empty."""

    camera_id: str
    state: CameraState
    since: str
    reason: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Timing:
    """How late one camera's pictures are, once a second while somebody watches; medians of that second.

    The picture with `rtp_timestamp` (90 kHz, as viewers receive it) was taken at `captured_at_ms` of the server's
    clock: milliseconds of its monotonic clock, which starts anywhere and is never set. `camera_ms` is from there to the
    arrival of its last packet, `server_ms` from there until it is sent. None: the publisher does not tell when it
    takes its pictures.
    """

    camera_id: str
    rtp_timestamp: int
    captured_at_ms: float | None
    camera_ms: float | None
    server_ms: float


@dataclass(frozen=True, slots=True)
class ViewerChanged:
    """What one viewer is sent from now on, and why in words. "jpeg": its line does not carry the smallest rendition."""

    camera_id: str
    session_id: str
    rendition: ViewerRendition
    reason: str


Event = Detections | Timing | ViewerChanged | AttendanceMarked | AttendanceRemoved | CameraChanged | ServerChanged


# What each event is called in every message: WebSocket, Socket.IO and webhook.
TYPES: Mapping[type[Event], str] = {
    Detections: "detections",
    Timing: "timing",
    AttendanceMarked: "attendance",
    AttendanceRemoved: "attendance_removed",
    CameraChanged: "camera",
    ServerChanged: "server",
    ViewerChanged: "viewer",
}

# Newer ones take their place.
PASSING = (Detections, Timing)
PASSING_WAITING = 64
LASTING_WAITING = 1024


def message(event: Event) -> dict[str, Any]:
    """The JSON object for an event. A face without consent has a box, and never a name."""
    content = asdict(event)
    if isinstance(event, Detections):
        content["faces"] = [_face(face) for face in event.faces]
    return {"type": TYPES[type(event)], **content}


def _face(face: Face) -> dict[str, Any]:
    return {
        "track_id": face.track_id,
        "person_id": None if face.is_hidden else face.person_id,
        "name": UNKNOWN if face.is_hidden else face.name,
        "confidence": round(face.confidence, 3),
        "box": [round(each, 1) for each in face.box],
        "velocity": [round(each, 1) for each in face.velocity],
        "unseen_s": round(face.unseen_s, 3),
        "hidden": face.is_hidden,
    }


class Subscription:
    """A bounded queue of events for one reader. Use it from the event loop's thread."""

    def __init__(self, kinds: frozenset[type[Event]], lasting: int, on_drop: Callable[[], None]) -> None:
        """Take events of `kinds` only, at most `lasting` besides detections; `on_drop` hears of each one given up."""
        self._kinds = kinds
        self._lasting = lasting
        self._on_drop = on_drop
        self._waiting: deque[Event] = deque()
        self._arrived = asyncio.Event()
        self.dropped = 0

    def __len__(self) -> int:
        """How many events wait."""
        return len(self._waiting)

    def put(self, event: Event) -> None:
        """Add an event if it is wanted; of those like it the oldest goes when there are too many."""
        if type(event) not in self._kinds:
            return
        passes = isinstance(event, PASSING)
        alike = [index for index, each in enumerate(self._waiting) if isinstance(each, PASSING) is passes]
        if len(alike) >= (PASSING_WAITING if passes else self._lasting):
            del self._waiting[alike[0]]
            self.dropped += 1
            self._on_drop()
        self._waiting.append(event)
        self._arrived.set()

    async def next(self) -> Event:
        """Wait for the next event."""
        while not self._waiting:
            self._arrived.clear()
            await self._arrived.wait()
        return self._waiting.popleft()


class EventBus:
    """Hands every published event to every subscriber who wants it, in order, without waiting for any."""

    def __init__(self) -> None:
        self._subscriptions: set[Subscription] = set()

    @contextmanager
    def subscribe(
        self, *kinds: type[Event], lasting: int = LASTING_WAITING, on_drop: Callable[[], None] = lambda: None
    ) -> Iterator[Subscription]:
        """Receive the events of these `kinds` (without any: all) published inside the `with` block."""
        subscription = Subscription(frozenset(kinds or TYPES), lasting, on_drop)
        self._subscriptions.add(subscription)
        try:
            yield subscription
        finally:
            self._subscriptions.discard(subscription)

    def publish(self, event: Event) -> None:
        """Tell every subscriber; never blocks."""
        for subscription in self._subscriptions:
            subscription.put(event)
