"""Draws boxes and names into the picture, straight into its yuv420p planes, and makes hidden faces unrecognisable.

A viewer watches one of two pictures: the annotated one, or the clean one without boxes and names. Hidden faces are
pixelated in both. `render` is a pure function of a frame and its overlays, apart from changing that frame; `Overlays`
says where each face is by now; `AnnotatedTrack` joins both to a source of frames. Drawing runs on the camera's thread,
everything else on the event loop's.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from aiortc import VideoStreamTrack
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane
from numpy.typing import NDArray

from .events import Detections, Face
from .labels import Label, render_label

CLOCK_RATE = 90_000
# A box follows its face on the last known motion for so long after it was last seen: nothing is drawn on thin air.
KEEP_S = 0.5
# Where results come more slowly it is one and a half of their interval: boxes must not blink, and hidden faces must not
# show between two results. At most so long.
LONGEST_KEEP_S = 2.0

# What is pixelated: the face's box and so much of its size on every side (hair, ears, chin), plus what it may have
# moved since it was seen, a share of its size and of its speed. Wider is better than late.
HEAD_MARGIN = 0.35
WIDER_PER_S = 0.8
SPEED_ERROR = 0.5
# A head in so many blocks across, a face in half of them: too few for people and for recognition. 0.4 ms a face of 100
# px in a 720p frame.
BLOCKS_ACROSS = 6
MIN_BLOCK_PX = 6

PictureKind = Literal["annotated", "clean"]
PICTURE_KINDS: tuple[PictureKind, ...] = ("annotated", "clean")

Plane = NDArray[np.uint8]
Yuv = tuple[int, int, int]
Box = tuple[float, float, float, float]

# BT.601, limited range, as cameras deliver it.
KNOWN: Yuv = (145, 54, 34)
UNKNOWN: Yuv = (172, 42, 170)


@dataclass(frozen=True, slots=True)
class Overlay:
    """One box with its name. `box` is x, y, width, height in pixels of the frame it is drawn into.

    `pixelated` is the part to make unrecognisable, None where the face may be seen. Without a `name` no box is drawn.
    """

    box: Box
    name: str
    known: bool
    pixelated: Box | None = None


class Overlays:
    """The newest detections of one camera, moved along to the moment of each frame.

    Hidden faces are pixelated and nothing else; with `pixelate_unknown` so is every face without a name.
    """

    def __init__(self, *, pixelate_unknown: bool = False) -> None:
        self._pixelate_unknown = pixelate_unknown
        self._latest: Detections | None = None
        self._keep_s = KEEP_S

    def update(self, detections: Detections) -> None:
        """Take over the newest result."""
        if self._latest is not None and detections.pts > self._latest.pts:
            interval_s = (detections.pts - self._latest.pts) / CLOCK_RATE
            self._keep_s = min(max(KEEP_S, 1.5 * interval_s), LONGEST_KEEP_S)
        self._latest = detections

    def at(self, pts: int, width: int, height: int) -> list[Overlay]:
        """The overlays of a frame of this size (pixels) at time `pts` (90 kHz): constant velocity from the result.

        A face goes `KEEP_S` after it was last found (later where results are rare), however new the result is that
        still tells of it.
        """
        latest = self._latest
        if latest is None:
            return []
        age_s = (pts - latest.pts) / CLOCK_RATE
        if age_s < 0:
            return []
        scale = (width / latest.width, height / latest.height)
        fresh = (face for face in latest.faces if age_s + face.unseen_s <= self._keep_s)
        return [self._overlay(face, age_s, scale) for face in fresh]

    def _overlay(self, face: Face, age_s: float, scale: tuple[float, float]) -> Overlay:
        x, y, w, h = face.box
        moved = (x + face.velocity[0] * age_s, y + face.velocity[1] * age_s, w, h)
        is_pixelated = face.is_hidden or (self._pixelate_unknown and face.person_id is None)
        head = _head(moved, face.velocity, age_s + face.unseen_s) if is_pixelated else None
        return Overlay(
            _scaled(moved, scale),
            "" if face.is_hidden else face.name,
            face.person_id is not None and not face.is_hidden,
            _scaled(head, scale) if head else None,
        )


def render(
    frame: VideoFrame, overlays: Sequence[Overlay], kinds: AbstractSet[PictureKind]
) -> Mapping[PictureKind, VideoFrame]:
    """The pictures of these `kinds`, made of a yuv420p frame in place; a copy is made only where the two differ.

    A frame of another format is converted first. Without anything to draw both are the frame itself.
    """
    frame = pixelate(frame, overlays)
    if "annotated" not in kinds:
        return dict.fromkeys(kinds, frame)
    differ = "clean" in kinds and any(overlay.name for overlay in overlays)
    clean = _copied(frame) if differ else frame
    frame = write_names(frame, overlays)
    return {kind: clean if kind == "clean" else frame for kind in kinds}


def draw(frame: VideoFrame, overlays: Sequence[Overlay]) -> VideoFrame:
    """Draw overlays into a yuv420p frame, in place, and return it; without overlays the frame is not touched.

    Faces are pixelated first, so that every name stays readable.
    A frame of another format is converted first and the new one returned. Boxes may lie partly or wholly outside.
    """
    return write_names(pixelate(frame, overlays), overlays)


def pixelate(frame: VideoFrame, overlays: Sequence[Overlay]) -> VideoFrame:
    """Make the hidden faces unrecognisable; in place, as `draw`."""
    hidden = [overlay.pixelated for overlay in overlays if overlay.pixelated is not None]
    if not hidden:
        return frame
    frame, planes = _opened(frame)
    for box in hidden:
        _pixelate(planes, box)
    return frame


def write_names(frame: VideoFrame, overlays: Sequence[Overlay]) -> VideoFrame:
    """Draw the boxes and their names; in place, as `draw`."""
    named = [overlay for overlay in overlays if overlay.name]
    if not named:
        return frame
    frame, planes = _opened(frame)
    for overlay in named:
        _name(planes, overlay)
    return frame


def _opened(frame: VideoFrame) -> tuple[VideoFrame, tuple[Plane, ...]]:
    """The frame as one that may be changed, yuv420p, and its planes."""
    if frame.format.name != "yuv420p":
        frame = frame.reformat(format="yuv420p")  # keeps pts and time base
    # A decoder may still refer to this picture to decode the next one (H.264); copies only then.
    frame.make_writable()
    return frame, tuple(_view(plane) for plane in frame.planes)


def _copied(frame: VideoFrame) -> VideoFrame:
    """The same picture of the same moment in memory of its own."""
    copy = VideoFrame(frame.width, frame.height, frame.format.name)
    for plane, original in zip(copy.planes, frame.planes, strict=True):
        _view(plane)[:] = _view(original)
    copy.pts, copy.time_base = frame.pts, frame.time_base
    copy.colorspace, copy.color_range = frame.colorspace, frame.color_range
    return copy


def _name(planes: tuple[Plane, ...], overlay: Overlay) -> None:
    if not _is_somewhere(overlay.box):
        return
    frame_height = planes[0].shape[0]
    colour = KNOWN if overlay.known else UNKNOWN
    x, y, w, h = (round(value) for value in overlay.box)
    _outline(planes, (x, y, w, h), max(2, frame_height // 240), colour)
    label = render_label(overlay.name, max(12, frame_height // 32))
    _stamp(planes, label, x, y - label.height if y >= label.height else y + h, colour)


def _head(box: Box, velocity: tuple[float, float], unseen_s: float) -> Box:
    """The whole head around a face's box, wider the longer it was not seen."""
    x, y, w, h = box
    size = max(w, h)
    across, down = (
        HEAD_MARGIN * size + unseen_s * (WIDER_PER_S * size + SPEED_ERROR * abs(speed)) for speed in velocity
    )
    return x - across, y - down, w + 2 * across, h + 2 * down


def _scaled(box: Box, scale: tuple[float, float]) -> Box:
    return box[0] * scale[0], box[1] * scale[1], box[2] * scale[0], box[3] * scale[1]


def _pixelate(planes: tuple[Plane, ...], box: Box) -> None:
    """Turn the part inside `box` into coarse blocks of its mean colour."""
    height, width = planes[0].shape
    if not _is_somewhere(box):  # it must be hidden, and nobody knows where it is
        box = (0.0, 0.0, float(width), float(height))
    block = max(MIN_BLOCK_PX, max(box[2:]) / BLOCKS_ACROSS)
    # At even pixels, where the chroma samples are, and never less than the box.
    left, top = max(0, math.floor(box[0] / 2)), max(0, math.floor(box[1] / 2))
    right, bottom = math.ceil((box[0] + box[2]) / 2), math.ceil((box[1] + box[3]) / 2)
    right, bottom = min((width + 1) // 2, right), min((height + 1) // 2, bottom)
    if left >= right or top >= bottom:
        return
    blocks = (max(1, round(2 * (right - left) / block)), max(1, round(2 * (bottom - top) / block)))
    _coarsen(planes[0][2 * top : 2 * bottom, 2 * left : 2 * right], blocks)
    for plane in planes[1:]:
        _coarsen(plane[top:bottom, left:right], blocks)


def _is_somewhere(box: Box) -> bool:
    """Whether the box has edges: none of its numbers, nor their sums, is infinite or not a number."""
    return math.isfinite(sum(map(abs, box)))


def _coarsen(part: Plane, blocks: tuple[int, int]) -> None:
    means = cv2.resize(part, blocks, interpolation=cv2.INTER_AREA)
    part[:] = cv2.resize(means, part.shape[1::-1], interpolation=cv2.INTER_NEAREST)


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
        return (await self.pictures(lambda: {"annotated"}))["annotated"]

    async def pictures(self, wanted: Callable[[], AbstractSet[PictureKind]]) -> Mapping[PictureKind, VideoFrame]:
        """The next frame as the pictures that are `wanted` when it comes."""
        frame = await self._next_frame()
        overlays = self._overlays.at(frame.pts or 0, frame.width, frame.height)
        kinds = wanted()
        if not overlays:
            return dict.fromkeys(kinds, frame)
        return await asyncio.get_running_loop().run_in_executor(self._executor, render, frame, overlays, kinds)
