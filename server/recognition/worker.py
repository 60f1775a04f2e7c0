"""The recognition worker: hands frames to a process of its own and keeps that process alive.

Lives on the event loop and makes nobody wait: a frame that is not taken in time is replaced by the camera's next one,
and counted. When the process dies or hangs, every box vanishes, a new process is started, and the video knows nothing
of it. This module must not import the engine: its models hold the GIL.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import av
from av.video.reformatter import VideoReformatter

from ..config import Settings
from ..errors import Unavailable, Unprocessable
from ..events import Detections, RecognitionState, Sighting
from ..metrics import Metrics
from .gallery import Known
from .messages import Examine, Forget, Recognise, Reply, UseGallery
from .options import RecogniserOptions
from .photos import ExaminedPhoto
from .pictures import Planes, packed
from .process import FrameMemory, ProcessLost, RecognitionProcess

# Loading the models takes two seconds, more on a machine that is starting everything at once.
START_TIMEOUT_S = 60.0
NEWS_TIMEOUT_S = 10.0
# A photo of fifty million pixels takes a few seconds.
EXAMINE_TIMEOUT_S = 10.0
# What a person who sends a photo waits at most, a restart of the process included.
PHOTO_PATIENCE_S = 20.0
MAX_WAITING_PHOTOS = 8

FIRST_DELAY_S = 0.2
MAX_DELAY_S = 5.0
# A process that lived so long was healthy: its successor starts without delay.
HEALTHY_S = 10.0

logger = logging.getLogger("surveillx.recognition")


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    """A photo and who waits for it."""

    photo: bytes
    outcome: asyncio.Future[ExaminedPhoto]


class RecognitionWorker:
    """Recognises frames of all cameras, one at a time, the cameras in turn, always the newest frame of each."""

    def __init__(
        self,
        settings: Settings,
        metrics: Metrics,
        on_result: Callable[[Detections], None],
        on_sighting: Callable[[Sighting], None] = lambda _seen: None,
    ) -> None:
        """Both are called on the event loop and must not raise; `on_result` with no faces when recognition stopped."""
        self._settings = settings
        self._metrics = metrics
        self._on_result = on_result
        self._on_sighting = on_sighting
        self._state: RecognitionState = "off" if settings.recognition_every == 0 else "starting"
        self._task: asyncio.Task[None] | None = None
        self._process: RecognitionProcess | None = None
        self._wake = asyncio.Event()
        self._memory = FrameMemory()
        self._reformatter = VideoReformatter()
        self._frames: dict[str, tuple[int, Planes]] = {}
        self._photos: deque[_Waiting] = deque()
        self._forgotten: set[str] = set()
        self._known = Known()
        self._gallery_is_news = True
        self._shown: dict[str, Detections] = {}
        self._next_track_id = 1

    @property
    def state(self) -> RecognitionState:
        """What to tell people about recognition now."""
        return self._state

    async def start(self) -> None:
        """Begin; returns at once, while the models load. Does nothing where recognition is switched off."""
        if self._state != "off":
            self._task = asyncio.create_task(self._keep_running(), name="surveillx-recognition")

    async def close(self) -> None:
        """Stop the process and give back the shared memory. Twice is harmless."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        if self._process is not None:
            await self._process.stop()  # it may have been stopping when its task was cancelled
            self._process = None
        for waiting in self._photos:
            _settle(waiting.outcome, _busy("The server is stopping."))
        self._photos.clear()
        self._memory.close()

    def submit(self, camera_id: str, pts: int, frame: av.VideoFrame) -> None:
        """Have a frame recognised, unless a newer one of this camera comes first. Copies the frame; never waits."""
        if self._task is None:
            return
        if camera_id in self._frames:
            self._metrics.frames_dropped.labels(camera_id, "recognition").inc()
        # A camera keeps its place in the dict, and with it its turn.
        self._frames[camera_id] = (pts, packed(frame, self._reformatter))
        self._wake.set()

    def forget(self, camera_id: str) -> None:
        """Drop what is known of a camera that ended; nothing more is told about it."""
        self._frames.pop(camera_id, None)
        self._shown.pop(camera_id, None)
        self._forgotten.add(camera_id)
        self._wake.set()

    def set_gallery(self, known: Known) -> None:
        """From now on these are the people known; faces in sight are named anew."""
        self._known = known
        self._gallery_is_news = True
        self._wake.set()

    async def examine(self, photo: bytes) -> ExaminedPhoto:
        """Examine a photo for enrolment, between two frames.

        Raises:
            Unprocessable: the photo cannot serve; see `photos.examine`.
            Unavailable: recognition is off, starting for too long, or has too many photos waiting.
        """
        if self._task is None:
            raise Unavailable("Recognition is switched off on this server, so photos cannot be examined.")
        if len(self._photos) >= MAX_WAITING_PHOTOS:
            raise _busy("Too many photos are being examined at once.")
        waiting = _Waiting(photo, asyncio.get_running_loop().create_future())
        self._photos.append(waiting)
        self._wake.set()
        try:
            async with asyncio.timeout(PHOTO_PATIENCE_S):
                return await waiting.outcome
        except TimeoutError as error:
            raise _busy("Recognition is starting again.") from error

    async def _keep_running(self) -> None:
        """Run one process after the other, with longer and longer pauses while they keep dying."""
        loop = asyncio.get_running_loop()
        delay_s = FIRST_DELAY_S
        while True:
            began = loop.time()
            try:
                await self._run_process()
            except ProcessLost as loss:
                logger.warning("Recognition stopped: %s. Starting it again.", loss)
            except Exception:
                # A fault of our own ends this run of the process; recognition itself must go on.
                logger.exception("Recognition stopped by a fault. Starting it again.")
            if loop.time() - began >= HEALTHY_S:
                delay_s = FIRST_DELAY_S
            await asyncio.sleep(delay_s)
            delay_s = min(2 * delay_s, MAX_DELAY_S)

    async def _run_process(self) -> None:
        self._process = process = RecognitionProcess(
            self._next_track_id, RecogniserOptions.of(self._settings), on_lost=self._wake.set
        )
        try:
            detector = await process.start(START_TIMEOUT_S)
            self._state = "running"
            self._gallery_is_news = True
            self._wake.set()
            logger.info("Recognition is running, faces found by %s.", detector)
            await self._serve(process)
        finally:
            self._state = "restarting"
            self._metrics.recognition_restarts.inc()
            self._clear_boxes()
            await process.stop()

    async def _serve(self, process: RecognitionProcess) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            if process.is_lost:
                raise ProcessLost("it ended")
            # Nobody starves: each round examines one photo, sends the news and recognises one frame.
            while self._gallery_is_news or self._forgotten or self._photos or self._frames:
                if self._photos:
                    await self._examine(process, self._photos.popleft())
                await self._send_news(process)
                if self._frames:
                    await self._recognise(process, next(iter(self._frames)))

    async def _send_news(self, process: RecognitionProcess) -> None:
        while self._gallery_is_news:  # it may change again while it is being sent
            self._gallery_is_news = False
            await process.ask(UseGallery(self._known), NEWS_TIMEOUT_S)
        while self._forgotten:
            await process.ask(Forget(self._forgotten.pop()), NEWS_TIMEOUT_S)

    async def _recognise(self, process: RecognitionProcess, camera_id: str) -> None:
        pts, planes = self._frames.pop(camera_id)
        loop = asyncio.get_running_loop()
        began = loop.time()
        request = Recognise(camera_id, pts, planes.width, planes.height, self._memory.store(planes))
        await process.ask(request, self._settings.recognition_timeout_s, self._show)
        self._metrics.frames_recognised.labels(camera_id).inc()
        self._metrics.recognition_seconds.set(loop.time() - began)

    async def _examine(self, process: RecognitionProcess, waiting: _Waiting) -> None:
        if waiting.outcome.done():
            return  # whoever sent it has left
        try:
            await process.ask(Examine(waiting.photo), EXAMINE_TIMEOUT_S, partial(_settle, waiting.outcome))
        finally:
            # Not tried again: it may be what killed the process.
            _settle(waiting.outcome, _busy("The photo could not be examined."))

    def _show(self, detections: Reply) -> None:
        if isinstance(detections, Sighting) and detections.camera_id not in self._forgotten:
            self._on_sighting(detections)
        if not isinstance(detections, Detections) or detections.camera_id in self._forgotten:
            return
        self._shown[detections.camera_id] = detections
        self._next_track_id = max([self._next_track_id, *(face.track_id + 1 for face in detections.faces)])
        self._on_result(detections)

    def _clear_boxes(self) -> None:
        """A dead process follows no faces: take every box away."""
        for detections in self._shown.values():
            if detections.faces:
                self._on_result(replace(detections, faces=()))
        self._shown.clear()


def _settle(outcome: asyncio.Future[ExaminedPhoto], result: Reply | Unavailable) -> None:
    if outcome.done():
        return
    if isinstance(result, ExaminedPhoto):
        outcome.set_result(result)
    elif isinstance(result, (Unprocessable, Unavailable)):
        outcome.set_exception(result)


def _busy(what: str) -> Unavailable:
    return Unavailable(f"{what} Please try again in a moment.", headers={"Retry-After": "5"})
