"""Pictures as recognition wants them: scaled down for finding faces, cropped for naming one.

`Planes` is a video frame, packed tightly so that it can go through shared memory; `Photo` is a still. Both give small
parts of themselves as 8-bit arrays, so that no whole 720p frame is ever converted to RGB.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import av
import cv2
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Box = tuple[float, float, float, float]

PACKED_FORMATS = ("yuv420p", "yuvj420p")

# What a detection's confidence means: from POSSIBLE on it deserves a closer look, from LIKELY on it may be a face, from
# SURE on it is one.
POSSIBLE = 0.3
LIKELY = 0.4
SURE = 0.65


@dataclass(frozen=True, slots=True)
class Detection:
    """A face found. `box` is x, y, width, height in pixels of the picture, `confidence` runs from 0 to 1."""

    box: Box
    confidence: float

    def scaled(self, across: float, down: float) -> Detection:
        """The same face in a picture that is so many times as wide and high."""
        x, y, width, height = self.box
        return Detection((x * across, y * down, width * across, height * down), self.confidence)

    def moved(self, right: float, down: float) -> Detection:
        """The same face in a picture that began so many pixels further left and up."""
        x, y, width, height = self.box
        return Detection((x + right, y + down, width, height), self.confidence)


class Picture(Protocol):
    """Something in which faces can be found."""

    @property
    def width(self) -> int:
        """Pixels across."""

    @property
    def height(self) -> int:
        """Pixels down."""

    def bgr(self, long_side: int) -> Pixels:
        """The whole picture, (h, w, 3) BGR, its longer side at most `long_side` pixels."""

    def part(self, box: Box, scale: float) -> tuple[Pixels, Box]:
        """The part inside `box`, (h, w, 3) BGR at `scale`, and the box that it really shows."""

    def rgb(self, box: Box) -> tuple[Pixels, int, int]:
        """The part inside `box` (x, y, width, height), (h, w, 3) RGB, and the x and y where that part begins."""


@dataclass(frozen=True, slots=True, eq=False)
class Planes:
    """A yuv420p frame without padding: `data` holds all of Y, then U, then V, as flat uint8."""

    width: int
    height: int
    data: Pixels

    def bgr(self, long_side: int) -> Pixels:
        """See `Picture`. Planes are scaled before they are converted: that is a third of the work."""
        scale = min(1.0, long_side / max(self.width, self.height))
        return _joined(_resized(list(self._planes()), scale), cv2.COLOR_YUV2BGR_I420)

    def part(self, box: Box, scale: float) -> tuple[Pixels, Box]:
        """See `Picture`. The part begins at even pixels, where the chroma samples are."""
        planes, shown = self._inside(box)
        return _joined(_resized(planes, scale), cv2.COLOR_YUV2BGR_I420), shown

    def rgb(self, box: Box) -> tuple[Pixels, int, int]:
        """See `Picture`. The part begins at even pixels."""
        planes, shown = self._inside(box)
        return _joined(planes, cv2.COLOR_YUV2RGB_I420), int(shown[0]), int(shown[1])

    def _inside(self, box: Box) -> tuple[list[Pixels], Box]:
        left, top, right, bottom = (edge // 2 for edge in clipped(box, self.width, self.height))
        right, bottom = max(right, left + 1), max(bottom, top + 1)
        luma, *chroma = self._planes()
        planes = [luma[2 * top : 2 * bottom, 2 * left : 2 * right], *(p[top:bottom, left:right] for p in chroma)]
        return planes, (2 * left, 2 * top, 2 * (right - left), 2 * (bottom - top))

    def _planes(self) -> tuple[Pixels, Pixels, Pixels]:
        views = []
        offset = 0
        for width, height in plane_sizes(self.width, self.height):
            views.append(self.data[offset : offset + width * height].reshape(height, width))
            offset += width * height
        return views[0], views[1], views[2]


@dataclass(frozen=True, slots=True, eq=False)
class Photo:
    """A still picture: `pixels` is (h, w, 3) RGB."""

    pixels: Pixels

    @property
    def width(self) -> int:
        """Pixels across."""
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        """Pixels down."""
        return int(self.pixels.shape[0])

    def bgr(self, long_side: int) -> Pixels:
        """See `Picture`."""
        scale = min(1.0, long_side / max(self.width, self.height))
        size = (_at_least_one(self.width * scale), _at_least_one(self.height * scale))
        return np.ascontiguousarray(_sized(self.pixels, size)[:, :, ::-1])

    def part(self, box: Box, scale: float) -> tuple[Pixels, Box]:
        """See `Picture`."""
        crop, left, top = self.rgb(box)
        height, width = crop.shape[:2]
        size = (_at_least_one(width * scale), _at_least_one(height * scale))
        return np.ascontiguousarray(_sized(crop, size)[:, :, ::-1]), (left, top, width, height)

    def rgb(self, box: Box) -> tuple[Pixels, int, int]:
        """See `Picture`."""
        left, top, right, bottom = clipped(box, self.width, self.height)
        return np.ascontiguousarray(self.pixels[top:bottom, left:right]), left, top


def packed(frame: av.VideoFrame, reformatter: VideoReformatter) -> Planes:
    """Copy a decoded frame of any format and size into `Planes`.

    `reformatter` is the calling thread's own; only frames that are not yuv420p go through it.
    """
    if frame.format.name not in PACKED_FORMATS:
        frame = reformatter.reformat(frame, format="yuv420p")
    sizes = plane_sizes(frame.width, frame.height)
    data = np.empty(sum(width * height for width, height in sizes), np.uint8)
    offset = 0
    for plane, (width, height) in zip(frame.planes, sizes, strict=True):
        # Rows in a decoder's memory are longer than the picture is wide.
        rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
        data[offset : offset + width * height].reshape(height, width)[:] = rows[:height, :width]
        offset += width * height
    return Planes(frame.width, frame.height, data)


def plane_sizes(width: int, height: int) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
    """Width and height of Y, U and V; chroma of an odd size is rounded up."""
    half = ((width + 1) // 2, (height + 1) // 2)
    return (width, height), half, half


def clipped(box: Box, width: int, height: int) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of `box` inside a picture of this size, at least one pixel each way."""
    left = min(max(int(box[0]), 0), width - 1)
    top = min(max(int(box[1]), 0), height - 1)
    right = min(max(int(box[0] + box[2]), left + 1), width)
    bottom = min(max(int(box[1] + box[3]), top + 1), height)
    return left, top, right, bottom


def _at_least_one(length: float) -> int:
    return max(1, int(length))


def _resized(planes: list[Pixels], scale: float) -> list[Pixels]:
    """Y, U and V at `scale`; before they are converted, that is a third of the work."""
    height, width = planes[0].shape
    half = (_at_least_one(width * scale / 2), _at_least_one(height * scale / 2))
    return [_sized(planes[0], (2 * half[0], 2 * half[1])), *(_sized(plane, half) for plane in planes[1:])]


def _sized(plane: Pixels, size: tuple[int, int]) -> Pixels:
    """The plane at `size` (across, down); averaged where it shrinks, so that no detail turns into noise."""
    if plane.shape[1::-1] == size:
        return plane
    method = cv2.INTER_AREA if size[0] < plane.shape[1] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(plane, size, interpolation=method), np.uint8)


def _joined(planes: list[Pixels], code: int) -> Pixels:
    """Convert three planes to (h, w, 3); the first has exactly twice the others' size."""
    luma, *chroma = planes
    height, width = (2 * side for side in chroma[0].shape)
    stacked = np.concatenate([_even(luma, width, height).ravel(), *(plane.ravel() for plane in chroma)])
    return np.asarray(cv2.cvtColor(stacked.reshape(height * 3 // 2, width), code), np.uint8)


def _even(luma: Pixels, width: int, height: int) -> Pixels:
    """Repeat the last column and row of an odd luma plane."""
    return np.pad(luma, ((0, height - luma.shape[0]), (0, width - luma.shape[1])), mode="edge")
