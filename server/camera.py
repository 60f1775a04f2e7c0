"""One camera: joins its stages, and knows whether it is online.

A publisher's frames land in a newest-frame slot, never in a queue. From there every n-th goes to recognition, and, if
anyone is watching, each is annotated, encoded once and broadcast; the JPEG path taps the annotated frames. A clean
picture, without boxes and names, is made and encoded only while somebody watches that.
Everything runs on the event loop's thread except drawing and encoding, which share the camera's own.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from av.video.frame import VideoFrame

from .annotate import AnnotatedTrack, Overlays, PictureKind
from .broadcast import Broadcast
from .cadence import Cadence
from .camera_id import require_camera_id
from .config import Settings
from .encode import CLOCK_RATE, TIME_BASE
from .errors import Conflict, NotFound, Unavailable
from .events import CameraChanged, CameraState, Detections, EventBus
from .metrics import Metrics
from .pace import FULL, Pace, Timesheet, Workload
from .recognition.worker import RecognitionWorker
from .slate import DEFAULT_SIZE, slate
from .timing import Delays, Origin

logger = logging.getLogger("surveillx.camera")

SLATE_INTERVAL_S = 0.2
RESULTS_OLD_S = 5.0  # when none came for so long, the rate of results is none
RATE_WINDOW_FRAMES = 60
MAX_CAMERAS = 64
# Where nobody watches and no face is new, so many times fewer pictures are recognised: it is half of what an unwatched
# camera costs. A new face must get its looks, one a recognised picture, and may have to wait for others'.
IDLE_FACTOR = 3
NEW_FACE_S = 10.0
# Two frames that arrive together, because the first was late, are both shown. A third replaces the older: what waits is
# never more than one frame's work behind, and caught up with at once.
SLOT_FRAMES = 2


class _Arrived(NamedTuple):
    """A frame, when it came (monotonic seconds), and what is known of its way here."""

    frame: VideoFrame
    at: float
    origin: Origin


class FrameTap:
    """The newest annotated frame for a side branch that may be slow; frames it does not take are passed over."""

    def __init__(self, every: int) -> None:
        self._every = every
        self._count = 0
        self._frame: VideoFrame | None = None
        self._ready = asyncio.Event()

    def offer(self, frame: VideoFrame) -> None:
        """Show a frame; every n-th is kept until a newer one comes."""
        if self._count % self._every == 0:
            self._frame = frame
            self._ready.set()
        self._count += 1

    async def next(self) -> VideoFrame:
        """The newest frame not yet taken (yuv420p); it is shared and must not be changed."""
        while self._frame is None:
            self._ready.clear()
            await self._ready.wait()
        frame, self._frame = self._frame, None
        return frame


class Camera:
    """One camera and all that hangs on it. `run` must be running for anyone to see anything."""

    def __init__(
        self, camera_id: str, settings: Settings, metrics: Metrics, events: EventBus, recognition: RecognitionWorker
    ) -> None:
        self.id = camera_id
        self.name = ""
        self.state: CameraState = "offline"
        self.since = datetime.now(UTC)
        self.pace = FULL
        self.broadcast = Broadcast(camera_id, settings, metrics, on_first=self._wake)
        self._settings = settings
        self._metrics = metrics
        self._events = events
        self._recognition = recognition
        self._executor = ThreadPoolExecutor(1, f"surveillx-camera-{camera_id}")
        self._overlays = Overlays(pixelate_unknown=settings.pixelate_unknown)
        stages = ("decode", "wait", "draw")
        self._decode_s, self._wait_s, self._draw_s = (metrics.stage_seconds.labels(camera_id, each) for each in stages)
        self._annotated = AnnotatedTrack(self._next_frame, self._overlays, self._executor)
        self._taps: set[FrameTap] = set()
        self._wanted = asyncio.Event()
        self._slot: deque[_Arrived] = deque()
        self._arrived = asyncio.Event()
        self._publisher: object | None = None
        self._publisher_since = self.since
        self._claimed_at = 0.0
        self._last_frame_at = 0.0
        self._last_pts = self._shown_pts = -1
        self._timesheet = Timesheet()
        self._result_age_s = 0.0
        self._results: deque[float] = deque(maxlen=RATE_WINDOW_FRAMES)
        self._newest_track = 0
        self._new_face_at = float("-inf")
        self._cadence = Cadence()
        self._delays = Delays(camera_id)
        self._origin: Origin | None = None
        self._frame_at = self._taken_at = 0.0
        # RTP timestamps begin at a random number (RFC 3550 section 5.1), the same one for all viewers.
        self._epoch = time.monotonic() - secrets.randbelow(1 << 32) / CLOCK_RATE
        self._size = DEFAULT_SIZE
        self._seen = False
        self._arrivals: deque[float] = deque(maxlen=RATE_WINDOW_FRAMES)
        self._received = self._recognised = self._dropped = 0
        self._zone = ZoneInfo(settings.timezone) if settings.timezone else None

    # --- the publisher's side ---

    def claim(self, publisher: object) -> object | None:
        """Make `publisher` the one whose frames count; returns the silent one it replaces, for the caller to close.

        Raises:
            Conflict: another publisher is sending.
        """
        previous = self._publisher
        if previous is not None:
            silent_s = time.monotonic() - max(self._claimed_at, self._last_frame_at)
            if silent_s < self._settings.stale_after_s:
                raise Conflict(
                    f"Camera {self.id} already has a publisher, and it sent a picture {silent_s:.1f} s ago. "
                    "Stop that one, or publish under another camera id.",
                    reason="camera_busy",
                    headers={"Retry-After": "2"},
                )
            logger.info("camera %s: a new publisher takes over from one silent for %.1f s", self.id, silent_s)
        self._publisher, self._publisher_since = publisher, datetime.now(UTC)
        self._cadence.restart()
        self._claimed_at = time.monotonic()
        return previous

    def release(self, publisher: object, reason: str) -> None:
        """`publisher` is gone. Harmless when it is no longer the one that counts."""
        if self._publisher is publisher:
            self._publisher = None
            self._change("offline", reason)

    def offer(self, publisher: object, frame: VideoFrame, origin: Origin | None = None) -> None:
        """Take the newest decoded frame; never blocks. A frame of a publisher that has been replaced is ignored."""
        if self._publisher is not publisher:
            return
        self._last_frame_at = time.monotonic()
        origin = origin or Origin(self._last_frame_at)
        self._decode_s.observe(self._last_frame_at - origin.received_at)
        self._arrivals.append(self._last_frame_at)
        self._stamp(frame, self._cadence.at(frame.time, self._last_frame_at))
        self._received += 1
        self._metrics.frames_received.labels(self.id).inc()
        self._size = (frame.width, frame.height)
        if self.state != "online":
            self._change("online", "")
        every = self.recognition_every
        if every and self._received % every == 0:
            self._recognition.submit(self.id, frame.pts or 0, frame)
        if self._received % self.pace.frame_divisor:
            self._drop("pace")
            return
        if not self._wanted.is_set():
            self._slot.clear()
        elif len(self._slot) == SLOT_FRAMES:
            self._slot.popleft()
            self._drop("encode")
        self._slot.append(_Arrived(frame, self._last_frame_at, origin))
        self._arrived.set()

    def _drop(self, stage: str) -> None:
        self._dropped += 1
        self._metrics.frames_dropped.labels(self.id, stage).inc()

    def show(self, detections: Detections) -> None:
        """Draw these boxes from now on."""
        if detections.pts != self._shown_pts:  # a second result only adds names to the first
            self._recognised += 1
            self._shown_pts = detections.pts
            self._results.append(time.monotonic())
            self._result_age_s = time.monotonic() - self._epoch - detections.pts / CLOCK_RATE
        newest = max((face.track_id for face in detections.faces), default=0)
        if newest > self._newest_track:  # tracks are numbered as they come
            self._newest_track, self._new_face_at = newest, time.monotonic()
        self._overlays.update(detections)

    # --- the viewers' side ---

    @contextmanager
    def tap(self, every: int) -> Iterator[FrameTap]:
        """Every `every`-th annotated frame, for the duration of the `with` block."""
        tap = FrameTap(every)
        self._taps.add(tap)
        self._wake()
        try:
            yield tap
        finally:
            self._taps.discard(tap)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the newest picture."""
        return self._size

    @property
    def has_sent(self) -> bool:
        """Whether a publisher has sent a picture since the server started."""
        return self._seen

    @property
    def result_age_ms(self) -> int:
        """How old a picture was when recognition's newest result for it came."""
        return round(self._result_age_s * 1000)

    def status(self) -> dict[str, object]:
        """What `GET /api/cameras` says of this camera."""
        width, height = self._size
        return {
            "id": self.id,
            "name": self.name,
            "online": self.state == "online",
            "state": self.state,
            "since": self.since.isoformat(timespec="seconds"),
            "width": width,
            "height": height,
            "fps": self._frames_per_second(),
            "viewers": self.broadcast.viewers,
            "renditions": self.broadcast.viewers_by_rendition,
            "pictures": self.broadcast.viewers_by_picture,
            "recognition": self._recognition.state if self._settings.recognition_every else "off",
            "recognition_every": self.recognition_every,
            "frame_divisor": self.pace.frame_divisor,
            "recognition_fps": self._results_per_second(),
            "result_age_ms": self.result_age_ms,
            "publisher_since": self._publisher_since.isoformat(timespec="seconds") if self._publisher else None,
            "frames": {"received": self._received, "recognised": self._recognised, "dropped": self._dropped},
        }

    @property
    def recognition_every(self) -> int:
        """Every so manieth frame is recognised now; 0: none."""
        every = self._settings.recognition_every * self.pace.recognition_factor
        is_idle = not self._is_watched and time.monotonic() - self._new_face_at > NEW_FACE_S
        return every * IDLE_FACTOR if is_idle else every

    @property
    def _is_watched(self) -> bool:
        return bool(self.broadcast.viewers or self._taps)

    def _wanted_pictures(self) -> set[PictureKind]:
        """What somebody watches now."""
        kinds = {kind for kind, viewers in self.broadcast.viewers_by_picture.items() if viewers}
        return kinds | {"annotated"} if self._taps else kinds

    def workload(self, now: float) -> Workload:
        """How the stages have kept up since this was last asked; `now` is monotonic."""
        return self._timesheet.take(now)

    # --- the stages ---

    async def run(self) -> None:
        """Watch the publisher and serve the viewers, until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._watch(), name=f"surveillx-watch-{self.id}")
                tasks.create_task(self._serve(), name=f"surveillx-serve-{self.id}")
        finally:
            self._executor.shutdown(wait=True)
            self.broadcast.close()

    async def _watch(self) -> None:
        """Notice silence."""
        stale_after_s = self._settings.stale_after_s
        while True:
            silent_s = time.monotonic() - self._last_frame_at
            if self.state == "online" and silent_s >= stale_after_s:
                self._change("stale", f"no picture for {stale_after_s:g} s, though its publisher is connected")
            await asyncio.sleep(min(stale_after_s, max(0.05, stale_after_s - silent_s)))

    async def _serve(self) -> None:
        """Annotate, encode and hand on, while somebody wants it."""
        loop = asyncio.get_running_loop()
        while True:
            if self.broadcast.has_idle_encoders:
                await loop.run_in_executor(self._executor, self.broadcast.close_idle_encoders)
            if not self._is_watched:
                self._wanted.clear()
                await self._wanted.wait()
            try:
                await self._serve_frame()
            except Exception:  # one bad frame, whatever is wrong with it, must not end the camera for its viewers
                logger.exception("camera %s: a frame could not be annotated or encoded", self.id)
                self._metrics.frames_dropped.labels(self.id, "failed").inc()
                await asyncio.sleep(SLATE_INTERVAL_S)

    async def _serve_frame(self) -> None:
        pictures = await self._annotated.pictures(self._wanted_pictures)
        self._wait_s.observe(self._taken_at - self._frame_at)
        self._draw_s.observe(time.monotonic() - self._taken_at)
        if "annotated" in pictures:
            for tap in self._taps:
                tap.offer(pictures["annotated"])
        if self.broadcast.viewers:
            await self.broadcast.send(pictures, self._executor)
            self._tell_delay(pictures.values())
        self._timesheet.note(self._frame_at, self._taken_at, time.monotonic())

    def _tell_delay(self, frames: Iterable[VideoFrame]) -> None:
        """Of the moment that these frames show."""
        moment = next((frame.pts or 0 for frame in frames), None)
        if moment is None or self._origin is None or self.state != "online":
            return  # the slate comes from here
        if timing := self._delays.note(moment, self._origin, time.monotonic()):
            self._events.publish(timing)

    async def _next_frame(self) -> VideoFrame:
        """The newest frame, or the slate when none comes."""
        while not self._slot:
            self._arrived.clear()
            patience_s = self._settings.stale_after_s if self.state == "online" else SLATE_INTERVAL_S
            try:
                async with asyncio.timeout(patience_s):
                    await self._arrived.wait()
            except TimeoutError:
                if self.state != "online":
                    self._frame_at = self._taken_at = time.monotonic()
                    self._origin = None
                    return self._slate()
        frame, self._frame_at, self._origin = self._slot.popleft()
        self._taken_at = time.monotonic()
        return frame

    def _slate(self) -> VideoFrame:
        what = "No signal" if self.state == "stale" else "Offline" if self._seen else "Waiting for its publisher"
        since = self.since.astimezone(self._zone).strftime("%H:%M")
        width, height = self._size
        # Even sides: chroma is half as fine.
        frame = slate((self.name or f"Camera {self.id}", f"{what} since {since}"), (width & ~1, height & ~1))
        self._stamp(frame, time.monotonic())
        return frame

    def _stamp(self, frame: VideoFrame, moment: float) -> None:
        """Put the frame on the camera's clock: 90 kHz, monotonic, never restarted, whoever publishes."""
        pts = round((moment - self._epoch) * CLOCK_RATE)
        self._last_pts = max(pts, self._last_pts + 1)
        frame.pts, frame.time_base = self._last_pts, TIME_BASE

    def _change(self, state: CameraState, reason: str) -> None:
        if state == self.state:
            return
        if state == "online":
            self._seen = True
            self._arrivals.clear()
            self._results.clear()
        else:
            self._slot.clear()  # an old picture is worse than none
        # Offline follows stale: the picture went when it became stale.
        if not (self.state == "stale" and state == "offline"):
            self.since = datetime.now(UTC)
        self.state = state
        logger.info("camera %s: %s%s", self.id, state, f" ({reason})" if reason else "")
        self._events.publish(self.changed(reason))

    def changed(self, reason: str = "") -> CameraChanged:
        """The camera's present state as an event."""
        return CameraChanged(self.id, self.state, self.since.isoformat(timespec="seconds"), reason, self.name)

    def rename(self, name: str) -> None:
        """Staff call it so from now on."""
        if name != self.name:
            self.name = name
            self._events.publish(self.changed())

    def _frames_per_second(self) -> float:
        return _rate(self._arrivals) if self.state == "online" else 0.0

    def _results_per_second(self) -> float:
        is_fresh = bool(self._results) and time.monotonic() - self._results[-1] < RESULTS_OLD_S
        return _rate(self._results) if is_fresh else 0.0

    def _wake(self) -> None:
        self._wanted.set()


def _rate(moments: Sequence[float]) -> float:
    """How many a second."""
    return round((len(moments) - 1) / max(1e-3, moments[-1] - moments[0]), 1) if len(moments) > 1 else 0.0


class Cameras:
    """Every camera of the server, by id: those configured, and those that have published since it started."""

    def __init__(self, settings: Settings, metrics: Metrics, events: EventBus, recognition: RecognitionWorker) -> None:
        self._pace = FULL
        self._make: Callable[[str], Camera] = lambda each: Camera(each, settings, metrics, events, recognition)
        self._configured = settings.cameras
        self._cameras: dict[str, Camera] = {}
        self._names: dict[str, str] = {}
        self._tasks: asyncio.TaskGroup | None = None

    async def run(self, ready: asyncio.Event) -> None:
        """Run all cameras until cancelled; sets `ready` when the configured ones are there."""
        async with asyncio.TaskGroup() as self._tasks:
            for camera_id in self._configured:
                self.open(camera_id)
            ready.set()
            await asyncio.Event().wait()

    def open(self, camera_id: str) -> Camera:
        """The camera of this id, made if it is new.

        Raises:
            BadRequest: the id is empty, too long or has characters that do not belong in an address.
            Unavailable: there are too many cameras.
        """
        camera = self._cameras.get(camera_id)
        if camera is not None:
            return camera
        require_camera_id(camera_id)
        if len(self._cameras) >= MAX_CAMERAS:
            raise Unavailable(f"This server already has {MAX_CAMERAS} cameras.")
        if self._tasks is None:
            raise Unavailable("The server is starting or stopping.", headers={"Retry-After": "2"})
        camera = self._cameras[camera_id] = self._make(camera_id)
        camera.pace, camera.name = self._pace, self._names.get(camera_id, "")
        self._tasks.create_task(camera.run(), name=f"surveillx-camera-{camera_id}")
        return camera

    def rename(self, camera_id: str, name: str) -> None:
        """Staff call the camera so from now on, also where it is yet to come."""
        self._names[camera_id] = name
        if camera := self.find(camera_id):
            camera.rename(name)

    def set_pace(self, pace: Pace) -> None:
        """From now on every camera, also one yet to come, does so much."""
        self._pace = pace
        for camera in self._cameras.values():
            camera.pace = pace

    def find(self, camera_id: str) -> Camera | None:
        """The camera of this id, or None."""
        return self._cameras.get(camera_id)

    def get(self, camera_id: str) -> Camera:
        """The camera of this id.

        Raises:
            NotFound: it was never configured and never published.
        """
        camera = self._cameras.get(camera_id)
        if camera is None:
            raise NotFound("There is no such camera. It appears when its publisher first connects.")
        return camera

    def all(self) -> list[Camera]:
        """Every camera, in the order they came."""
        return list(self._cameras.values())
