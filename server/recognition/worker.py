"""The recognition worker: hands frames to a process of its own and keeps that process alive.

Lives on the event loop and makes nobody wait: a frame that is not taken in time is replaced by the camera's next one,
and counted. When the process dies or hangs, every box vanishes, a new process is started, and the video knows nothing
of it. This module must not import the engine: its models hold the GIL.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import NoReturn

import av
from av.video.reformatter import VideoReformatter

from ..config import Settings
from ..events import Detections, RecognitionState, Sighting
from ..metrics import Metrics
from .gallery import Known
from .messages import Forget, Recognise, Reply, UseGallery
from .options import RecogniserOptions
from .photos import ExaminedPhoto
from .pictures import Planes, packed
from .process import CannotStart, FrameMemory, ProcessLost, RecognitionProcess
from .questions import Questions
from .vitals import MemoryLimit

# Loading the models takes two seconds, more on a machine that is starting everything at once.
START_TIMEOUT_S = 60.0
NEWS_TIMEOUT_S = 10.0

FIRST_DELAY_S = 0.2
MAX_DELAY_S = 30.0
# A process that ran for so long was healthy: its successor follows at once.
HEALTHY_S = 10.0

SWITCHED_OFF = "Recognition is switched off on this server, so no faces can be examined."
STARTING = "Recognition is starting."

logger = logging.getLogger("surveillx.recognition")


class RecognitionWorker:
    """Recognises frames of all cameras, one at a time, the cameras in turn, always the newest frame of each."""

    def __init__(
        self,
        settings: Settings,
        metrics: Metrics,
        on_result: Callable[[Detections], None],
        on_sighting: Callable[[Sighting], None] = lambda _seen: None,
    ) -> None:
        """Both are called on the event loop and must not raise; `on_result` with no faces when recognition stopped.

        So is `on_state`, which may be set later: it hears of every change of `state` or `state_words`.
        """
        self.on_state: Callable[[], None] = lambda: None
        self._settings = settings
        self._metrics = metrics
        self._on_result = on_result
        self._on_sighting = on_sighting
        is_off = settings.recognition_every == 0
        self._state: RecognitionState = "off" if is_off else "starting"
        self._state_words = SWITCHED_OFF if is_off else STARTING
        self._task: asyncio.Task[None] | None = None
        self._process: RecognitionProcess | None = None
        self._wake = asyncio.Event()
        self._memory = FrameMemory()
        self._reformatter = VideoReformatter()
        self._frames: dict[str, tuple[int, Planes]] = {}
        self._questions = Questions(self._wake.set, SWITCHED_OFF)
        self._forgotten: set[str] = set()
        self._known = Known()
        self._gallery_is_news = True
        self._shown: dict[str, Detections] = {}
        self._next_track_id = 1
        self.busy_s = 0.0
        self.restarts = 0

    @property
    def state(self) -> RecognitionState:
        """What to tell people about recognition now."""
        return self._state

    @property
    def state_words(self) -> str:
        """A sentence that says why recognition is not running; empty while it is."""
        return self._state_words

    async def start(self) -> None:
        """Begin; returns at once, while the models load. Does nothing where recognition is switched off."""
        if self._state != "off":
            self._questions.accept()
            self._task = asyncio.create_task(self._keep_running(), name="surveillx-recognition")

    async def close(self) -> None:
        """Stop the process and give back the shared memory. Twice is harmless."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        await self._stop_process()  # it may have been stopping when its task was cancelled
        self._questions.refuse("The server is stopping. Please try again in a moment.")
        self._clear_boxes()

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
        return await self._questions.examine(photo)

    async def face_of(self, camera_id: str, track_id: int) -> ExaminedPhoto:
        """The best look at a face of the live picture; waits a little for one where there is none yet.

        Raises:
            NotFound: the face has left the picture.
            Unprocessable: it cannot serve: too small, blurred, or of someone without consent; `reason` says which.
            Unavailable: as `examine`, or with `reason` no_look when there was no good look in time.
        """
        return await self._questions.face_of(camera_id, track_id)

    async def _keep_running(self) -> None:
        """Run one process after the other, with longer and longer pauses while they keep dying."""
        delay_s = 0.0
        while True:
            words = await self._run_process()
            self._set_state("restarting", words)
            self._metrics.recognition_restarts.inc()
            self.restarts += 1
            self._clear_boxes()
            delay_s = delay_after(self._ran_s(), delay_s)
            await self._stop_process()
            await asyncio.sleep(delay_s)

    async def _run_process(self) -> str:
        """Run a new process until it is no good any more; returns why, in words."""
        try:
            options = RecogniserOptions.of(self._settings)
            self._process = process = RecognitionProcess(self._next_track_id, options, on_lost=self._wake.set)
            detector = await process.start(START_TIMEOUT_S)
            logger.info("Recognition is running, faces found by %s.", detector)
            self._gallery_is_news = True
            self._questions.accept()
            self._set_state("running", "")
            self._wake.set()
            await self._serve(process)
        except CannotStart as fault:
            logger.error("Recognition cannot start: %s", fault)
            self._questions.refuse(words := f"Recognition cannot start: {fault}")
            return words
        except ProcessLost as loss:
            logger.warning("Recognition stopped: %s. Starting it again.", loss)
            return f"Recognition is starting again: {loss}."
        except Exception:
            # A fault of our own ends this run of the process; recognition itself must go on.
            logger.exception("Recognition stopped by a fault. Starting it again.")
            return "Recognition is starting again: a fault of its own stopped it, which is in the server's log."

    def _ran_s(self) -> float:
        """For how long the process was of use; 0 if it never was."""
        ready_at = self._process.ready_at if self._process else None
        return 0.0 if ready_at is None else asyncio.get_running_loop().time() - ready_at

    async def _stop_process(self) -> None:
        if self._process is not None:
            await self._process.stop()
            self._process = None
        self._memory.close()  # a process that ran out of memory may have removed it

    async def _serve(self, process: RecognitionProcess) -> NoReturn:
        limit = MemoryLimit(self._settings.recognition_memory_mb)
        while True:
            await self._wake.wait()
            self._wake.clear()
            if process.is_lost:
                raise process.loss()
            # Nobody starves: each round answers one question, sends the news and recognises one frame.
            while self._gallery_is_news or self._forgotten or self._questions or self._frames:
                await self._questions.answer_one(process)
                await self._send_news(process)
                if self._frames:
                    await self._recognise(process, next(iter(self._frames)))
                self._require_room(process.memory_mb(), limit)

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
        self._questions.recognised(camera_id)
        self._metrics.frames_recognised.labels(camera_id).inc()
        took_s = loop.time() - began
        self.busy_s += took_s
        self._metrics.recognition_seconds.set(took_s)

    def _require_room(self, held_mb: float, limit: MemoryLimit) -> None:
        """Give up a process that holds too much, between two jobs.

        Its successor starts when it is gone, not beside it: that memory is short is when two would be one too many, and
        the boxes are missing for the few seconds of a start.

        Raises:
            ProcessLost: it must be renewed.
        """
        if limit.is_exceeded(held_mb):
            raise ProcessLost(f"it held {held_mb:.0f} MB of memory, more than the {limit.limit_mb:.0f} MB it may hold")

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

    def _set_state(self, state: RecognitionState, words: str) -> None:
        if (state, words) != (self._state, self._state_words):
            self._state, self._state_words = state, words
            self.on_state()


def delay_after(ran_s: float, last_s: float) -> float:
    """How long to wait before a process follows one that ran for `ran_s`, after a delay of `last_s`."""
    return FIRST_DELAY_S if ran_s >= HEALTHY_S else min(max(2 * last_s, FIRST_DELAY_S), MAX_DELAY_S)
