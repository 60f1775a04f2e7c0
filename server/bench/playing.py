"""Plays clips to the recognition worker as a camera does, and writes down what came of it.

In real time: a frame when it is due, every n-th of them to the worker, the boxes of each displayed frame as a viewer
gets them at that moment, late results and all. Or step by step: the clip waits for every result, which says nothing
about speed but is the same each time.
"""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path

import av
import psutil
from av.video.frame import VideoFrame

from ..annotate import CLOCK_RATE, Overlays
from ..config import Settings
from ..events import Detections, Face
from ..metrics import Metrics
from ..recognition.worker import RecognitionWorker
from .processes import BenchError
from .truth import Box

# A frame that takes longer than this is lost: the worker itself gives up earlier, and starts anew.
STEP_TIMEOUT_S = 30.0
STEP_POLL_S = 0.002
# After the last frame the newest results are still on their way.
TAIL_S = 0.5
FALLBACK_FPS = 30


@dataclass(frozen=True, slots=True)
class Result:
    """What recognition said of frame number `frame`, known `at_s` seconds after the clip's beginning."""

    frame: int
    at_s: float
    faces: tuple[Face, ...]


@dataclass
class Played:
    """One clip as it was recognised. `shown` holds the boxes of each displayed frame, pixels of the clip."""

    file: Path
    width: int = 0
    height: int = 0
    fps: float = 0.0
    times_s: list[float] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)
    shown: list[list[Box]] = field(default_factory=list)
    recognised: set[int] = field(default_factory=set)
    ages_ms: list[float] = field(default_factory=list)
    dropped: int = 0
    lasted_s: float = 0.0
    cpu_s: float = 0.0


class Player:
    """Plays clips one after the other. `take` is the worker's `on_result`."""

    def __init__(self, settings: Settings, metrics: Metrics, *, is_fast: bool) -> None:
        self._every = max(1, settings.recognition_every)
        self._metrics = metrics
        self._is_fast = is_fast
        self._take: Callable[[Detections], None] | None = None

    def take(self, detections: Detections) -> None:
        """A result of whichever clip is being played."""
        if self._take is not None:
            self._take(detections)

    async def play(self, file: Path, worker: RecognitionWorker) -> Played:
        """Play a clip from beginning to end.

        Raises:
            BenchError: it cannot be opened or has no pictures.
        """
        clip = _Clip(file, is_fast=self._is_fast)
        self._take = clip.take
        loop = asyncio.get_running_loop()
        frames = _decoded(file)
        cpu_s, began = _cpu_s(), loop.time()
        try:
            while (timed := await asyncio.to_thread(next, frames, None)) is not None:
                index, frame = clip.add(*timed), timed[1]
                if not self._is_fast:
                    await asyncio.sleep(began + clip.played.times_s[index] - loop.time())
                    clip.display(frame)
                if (index + 1) % self._every == 0:
                    await self._submit(clip, worker, frame, index)
                if self._is_fast:
                    clip.display(frame)
            await asyncio.sleep(0 if self._is_fast else TAIL_S)
        finally:
            frames.close()
            self._take = None
            worker.forget(clip.camera_id)
        clip.played.lasted_s = clip.played.times_s[-1] + TAIL_S if not self._is_fast else 0.0
        clip.played.cpu_s = _cpu_s() - cpu_s
        clip.played.dropped = round(self._count("frames_dropped", clip.camera_id))
        return clip.played

    async def _submit(self, clip: _Clip, worker: RecognitionWorker, frame: VideoFrame, index: int) -> None:
        clip.submitted[frame.pts or 0] = (index, asyncio.get_running_loop().time())
        done = self._count("frames_recognised", clip.camera_id)
        worker.submit(clip.camera_id, frame.pts or 0, frame)
        if not self._is_fast:
            return
        try:
            async with asyncio.timeout(STEP_TIMEOUT_S):
                while self._count("frames_recognised", clip.camera_id) == done:  # noqa: ASYNC110 - a counter has no event
                    await asyncio.sleep(STEP_POLL_S)
        except TimeoutError as error:
            raise BenchError(f"Recognition did not answer for {STEP_TIMEOUT_S:g} s; see its messages above.") from error

    def _count(self, name: str, camera_id: str) -> float:
        (metric,) = getattr(self._metrics, name).collect()
        return sum(
            float(sample.value)
            for sample in metric.samples
            if sample.name.endswith("_total") and sample.labels["camera"] == camera_id
        )


class _Clip:
    """A clip while it is played."""

    def __init__(self, file: Path, *, is_fast: bool) -> None:
        self.played = Played(file)
        self.camera_id = str(file)
        self.submitted: dict[int, tuple[int, float]] = {}
        self._is_fast = is_fast
        self._overlays = Overlays()

    def add(self, time_s: float, frame: VideoFrame) -> int:
        """Take the next frame and stamp it as a camera does; returns its number."""
        played = self.played
        index = len(played.times_s)
        played.width, played.height = frame.width, frame.height
        played.times_s.append(time_s)
        played.fps = index / time_s if index else 0.0
        frame.pts = round(time_s * CLOCK_RATE)
        return index

    def display(self, frame: VideoFrame) -> None:
        """Write down the boxes of a frame that a viewer would see now."""
        overlays = self._overlays.at(frame.pts or 0, frame.width, frame.height)
        self.played.shown.append([overlay.box for overlay in overlays])

    def take(self, detections: Detections) -> None:
        """Take a result; its age counts from the moment its frame was handed over."""
        self._overlays.update(detections)
        if detections.camera_id != self.camera_id or detections.pts not in self.submitted:
            return
        index, sent_at = self.submitted[detections.pts]
        age_s = 0.0 if self._is_fast else asyncio.get_running_loop().time() - sent_at
        if index not in self.played.recognised:
            self.played.ages_ms.append(1000 * age_s)
        self.played.recognised.add(index)
        self.played.results.append(Result(index, self.played.times_s[index] + age_s, detections.faces))


def require_playable(file: Path) -> None:
    """Open the clip and decode a picture.

    Raises:
        BenchError: that cannot be done.
    """
    frames = _decoded(file)
    next(frames)
    frames.close()


def _decoded(file: Path) -> Generator[tuple[float, VideoFrame], None, None]:
    """The clip's frames, each with its time in seconds since the first.

    Raises:
        BenchError: it cannot be opened or has no pictures.
    """
    count = 0
    try:
        with av.open(str(file)) as container:
            if not container.streams.video:
                raise BenchError(f"{file} has no pictures.")
            rate = container.streams.video[0].average_rate or FALLBACK_FPS
            first_s = 0.0
            for count, frame in enumerate(container.decode(video=0), 1):
                time_s = frame.time if frame.time is not None else (count - 1) / float(rate)
                first_s = time_s if count == 1 else first_s
                yield time_s - first_s, frame
    except (av.error.FFmpegError, OSError) as error:
        raise BenchError(f"The clip {file} cannot be played: {error.strerror or error}.") from error
    if not count:
        raise BenchError(f"{file} has no pictures.")


def _cpu_s() -> float:
    """Processor time of the recognition process so far, seconds."""
    processes = [each for each in multiprocessing.active_children() if each.name == "surveillx-recognition"]
    times = [psutil.Process(each.pid).cpu_times() for each in processes]
    return sum(each.user + each.system for each in times)
