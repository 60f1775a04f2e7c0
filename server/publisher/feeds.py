"""Opening a source and reading its pictures: a camera or stream as they come, a file in a loop at its own pace.

Runs on the capture thread, and blocks there. A picture leaves here as yuv420p, no larger and no more often than asked,
with a timestamp on the machine's monotonic clock in 90 kHz units that only ever rises.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import av
from av.codec.context import Flags
from av.container import InputContainer
from av.error import FFmpegError, InvalidDataError
from av.video.frame import PictureType
from av.video.reformatter import VideoReformatter

from .devices import CaptureArguments, Mode, camera_modes, capture_arguments, explain, kind_of, list_cameras

TIME_BASE = Fraction(1, 90_000)
OPEN_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 5.0
# Cameras send a keyframe every few seconds; ten seconds of packets that cannot be decoded are no picture at all.
MAX_UNDECODABLE = 300
# A file that fell behind by more (a suspended laptop) goes on from here instead of hurrying after the clock.
MAX_LAG_S = 0.5


@dataclass(frozen=True)
class Feed:
    """An opened source: its pictures and the rate it says it has.

    Pictures are yuv420p. Their timestamps rise for ever, also from one feed to the next: else aiortc's encoder dies.
    """

    frames: Iterator[av.VideoFrame]
    fps: float


def open_feed(source: str, mode: Mode, stop: threading.Event) -> Feed:
    """Open `source` on this machine.

    Raises:
        SourceError: it cannot be opened; also raised by the iterator when it can no longer be read.
    """
    shape = _Shape(mode)
    if kind_of(source) == "file":
        with _opened(CaptureArguments(source), source) as container:
            fps = _rate(container, mode)
        return Feed(_looped(source, shape, stop), fps)
    container = _open_live(source, mode)
    return Feed(_live(container, source, shape), _rate(container, mode))


def _open_live(source: str, mode: Mode) -> InputContainer:
    if kind_of(source) == "stream":
        return _opened(capture_arguments(source, sys.platform), source)
    *attempts, last = camera_modes(mode)
    cameras = list_cameras(sys.platform)
    for attempt in attempts:
        try:
            arguments = capture_arguments(source, sys.platform, attempt, cameras)
            return av.open(arguments.file, format=arguments.format, options=arguments.options)
        except (FFmpegError, OSError):
            continue  # the next step down; the last one's error is the one that is told
    return _opened(capture_arguments(source, sys.platform, last, cameras), source)


def _opened(arguments: CaptureArguments, source: str) -> InputContainer:
    try:
        container = av.open(
            arguments.file,
            format=arguments.format,
            options=arguments.options,
            timeout=(OPEN_TIMEOUT_S, READ_TIMEOUT_S),
        )
    except (FFmpegError, OSError) as error:
        raise explain(source, error) from error
    if not container.streams.video:
        container.close()
        raise explain(source, ValueError("it holds no video"))
    return container


def _rate(container: InputContainer, mode: Mode) -> float:
    rate = container.streams.video[0].average_rate
    return min(float(rate), mode.fps) if rate else float(mode.fps)


def _live(container: InputContainer, source: str, shape: _Shape) -> Iterator[av.VideoFrame]:
    container.streams.video[0].codec_context.flags |= Flags.low_delay
    try:
        with container:
            for frame in _decoded(container):
                if shaped := shape.apply(frame, time.monotonic()):
                    yield shaped
    except (FFmpegError, OSError) as error:
        raise explain(source, error) from error


def _decoded(container: InputContainer) -> Iterator[av.VideoFrame]:
    """The pictures that can be decoded: after joining between two keyframes, or damage on the way, not all can."""
    failures = 0
    for packet in container.demux(video=0):
        try:
            frames = packet.decode()
        except InvalidDataError:
            failures += 1
            if failures > MAX_UNDECODABLE:
                raise
            continue
        failures = 0
        yield from (frame for frame in frames if isinstance(frame, av.VideoFrame))


def _looped(file: str, shape: _Shape, stop: threading.Event) -> Iterator[av.VideoFrame]:
    start = time.monotonic()
    while not stop.is_set():
        end = 0.0
        try:
            with _opened(CaptureArguments(file), file) as container:
                for position, frame in _timed(container):
                    lag = time.monotonic() - (start + position)
                    if lag > MAX_LAG_S:
                        start += lag
                    if stop.wait(max(0.0, -lag)):
                        return
                    if shaped := shape.apply(frame, start + position):
                        yield shaped
                    end = position + 1 / _rate(container, Mode())
        except (FFmpegError, OSError) as error:
            raise explain(file, error) from error
        if not end:
            raise explain(file, ValueError("it holds no picture"))
        start += end


def _timed(container: InputContainer) -> Iterator[tuple[float, av.VideoFrame]]:
    """Each picture with its position in seconds, the first at 0; files without timestamps get their rate's."""
    step = 1 / _rate(container, Mode())
    first: float | None = None
    position = -step
    for frame in _decoded(container):
        if frame.pts is None or frame.time_base is None:
            position += step
        else:
            seconds = float(frame.pts * frame.time_base)
            first = seconds if first is None else first
            position = seconds - first
        yield position, frame


class _Shape:
    """Brings pictures to what the encoder takes, with the one scaler of this thread."""

    def __init__(self, mode: Mode) -> None:
        self._mode = mode
        # PyAV before 19: every frame converted with a scaler of its own would hold 15 MB.
        self._reformatter = VideoReformatter()
        self._interval_s = 1 / mode.fps
        self._due_s = 0.0
        self._pts = 0

    def apply(self, frame: av.VideoFrame, at_s: float) -> av.VideoFrame | None:
        """The picture taken at `at_s` on the monotonic clock, ready to encode; None when the rate is exceeded."""
        if not self._admits(at_s):
            return None
        width, height = fit(frame.width, frame.height, self._mode)
        if (width, height, "yuv420p") != (frame.width, frame.height, frame.format.name):
            frame = self._reformatter.reformat(frame, width, height, "yuv420p")
        # A decoded keyframe would be encoded as one: with an MJPEG camera, every picture.
        frame.pict_type = PictureType.NONE
        self._pts = max(self._pts + 1, round(at_s / TIME_BASE))
        frame.pts, frame.time_base = self._pts, TIME_BASE
        return frame

    def _admits(self, at_s: float) -> bool:
        if at_s < self._due_s - 0.3 * self._interval_s:
            return False
        self._due_s = max(self._due_s, at_s - self._interval_s) + self._interval_s
        return True


def fit(width: int, height: int, mode: Mode) -> tuple[int, int]:
    """The largest even size within `mode` that keeps the picture's shape; never an enlargement."""
    scale = min(1.0, mode.width / width, mode.height / height)
    return max(2, round(width * scale / 2) * 2), max(2, round(height * scale / 2) * 2)
