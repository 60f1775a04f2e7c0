"""Draws boxes and names into the picture, straight into its yuv420p planes.

`draw` is a pure function of a frame and its overlays, apart from changing that frame; `Overlays` says where each face
is by now; `AnnotatedTrack` joins both to a source of frames. Drawing runs on the camera's thread, everything else on
the event loop's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
from aiortc import VideoStreamTrack
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane
from numpy.typing import NDArray

from .events import Detections
from .labels import Label, render_label

CLOCK_RATE = 90_000
# A box follows its face on the last known motion for this long, then it goes: nothing is drawn on thin air.
KEEP_S = 0.5

Plane = NDArray[np.uint8]
Yuv = tuple[int, int, int]

# BT.601, limited range, as cameras deliver it.
KNOWN: Yuv = (145, 54, 34)
UNKNOWN: Yuv = (172, 42, 170)


@dataclass(frozen=True, slots=True)
class Overlay:
    """One box with its name. `box` is x, y, width, height in pixels of the frame it is drawn into."""

    box: tuple[float, float, float, float]
    name: str
    known: bool


class Overlays:
    """The newest detections of one camera, moved along to the moment of each frame."""

    def __init__(self) -> None:
        self._latest: Detections | None = None

    def update(self, detections: Detections) -> None:
        """Take over the newest result."""
        self._latest = detections

    def at(self, pts: int, width: int, height: int) -> list[Overlay]:
        """The overlays of a frame of this size (pixels) at time `pts` (90 kHz): constant velocity from the result."""
        latest = self._latest
        if latest is None or not latest.faces:
            return []
        age_s = (pts - latest.pts) / CLOCK_RATE
        if not 0 <= age_s <= KEEP_S:
            return []
        scale_x, scale_y = width / latest.width, height / latest.height
        overlays = []
        for face in latest.faces:
            x, y, w, h = face.box
            x += face.velocity[0] * age_s
            y += face.velocity[1] * age_s
            box = (x * scale_x, y * scale_y, w * scale_x, h * scale_y)
            overlays.append(Overlay(box, face.name, face.person_id is not None))
        return overlays


def draw(frame: VideoFrame, overlays: Sequence[Overlay]) -> VideoFrame:
    """Draw overlays into a yuv420p frame, in place, and return it; without overlays the frame is not touched.

    A frame of another format is converted first and the new one returned. Boxes may lie partly or wholly outside.
    """
    if not overlays:
        return frame
    if frame.format.name != "yuv420p":
        frame = frame.reformat(format="yuv420p")  # keeps pts and time base
    # A decoder may still refer to this picture to decode the next one (H.264); copies only then.
    frame.make_writable()
    planes = tuple(_view(plane) for plane in frame.planes)
    thickness = max(2, frame.height // 240)
    for overlay in overlays:
        colour = KNOWN if overlay.known else UNKNOWN
        x, y, w, h = (round(value) for value in overlay.box)
        _outline(planes, (x, y, w, h), thickness, colour)
        label = render_label(overlay.name, max(12, frame.height // 32))
        _stamp(planes, label, x, y - label.height if y >= label.height else y + h, colour)
    return frame


def _view(plane: VideoPlane) -> Plane:
    """The plane's pixels as (height, width), without the padding at the end of each line."""
    lines = np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)  # type: ignore[call-overload]
    return lines[:, : plane.width]  # type: ignore[no-any-return]


def _fill(planes: tuple[Plane, ...], x0: int, y0: int, x1: int, y1: int, colour: Yuv) -> None:
    height, width = planes[0].shape
    x0, x1 = max(0, x0), min(width, x1)
    y0, y1 = max(0, y0), min(height, y1)
    if x0 >= x1 or y0 >= y1:
        return
    planes[0][y0:y1, x0:x1] = colour[0]
    for plane, value in zip(planes[1:], colour[1:], strict=True):
        plane[y0 // 2 : (y1 + 1) // 2, x0 // 2 : (x1 + 1) // 2] = value


def _outline(planes: tuple[Plane, ...], box: tuple[int, int, int, int], thickness: int, colour: Yuv) -> None:
    x, y, w, h = box
    _fill(planes, x, y, x + w, y + thickness, colour)
    _fill(planes, x, y + h - thickness, x + w, y + h, colour)
    _fill(planes, x, y, x + thickness, y + h, colour)
    _fill(planes, x + w - thickness, y, x + w, y + h, colour)


def _stamp(planes: tuple[Plane, ...], label: Label, x: int, y: int, colour: Yuv) -> None:
    """Copy a label in: a plate in the box's colour with dark text, kept inside the picture."""
    height, width = planes[0].shape
    x = max(0, min(x, width - label.width)) & ~1  # chroma is half as fine
    y = max(0, min(y, height - label.height)) & ~1
    target = planes[0][y : y + label.height, x : x + label.width]
    coverage = label.coverage[: target.shape[0], : target.shape[1]]
    target[:] = colour[0] - (coverage.astype(np.uint16) * (colour[0] - 16) // 255).astype(np.uint8)
    rows, columns = (target.shape[0] + 1) // 2, (target.shape[1] + 1) // 2
    ink = coverage[::2, ::2][:rows, :columns] > 127
    for plane, value in zip(planes[1:], colour[1:], strict=True):
        part = plane[y // 2 : y // 2 + rows, x // 2 : x // 2 + columns]
        part[:] = np.where(ink[: part.shape[0], : part.shape[1]], 128, value)


class AnnotatedTrack(VideoStreamTrack):
    """A camera's frames with the newest boxes and names drawn in; a frame with nothing to draw passes untouched.

    `next_frame` waits for the newest frame (pts in 90 kHz ticks); drawing runs in `executor`.
    """

    def __init__(self, next_frame: Callable[[], Awaitable[VideoFrame]], overlays: Overlays, executor: Executor) -> None:
        super().__init__()
        self._next_frame = next_frame
        self._overlays = overlays
        self._executor = executor

    async def recv(self) -> VideoFrame:
        """The next annotated frame."""
        frame = await self._next_frame()
        overlays = self._overlays.at(frame.pts or 0, frame.width, frame.height)
        if not overlays:
            return frame
        return await asyncio.get_running_loop().run_in_executor(self._executor, draw, frame, overlays)
