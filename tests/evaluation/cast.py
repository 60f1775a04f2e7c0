"""Who appears: seven faces from packages (see tests/faces.py), cut out with head and neck and put onto a jumper.

Names are invented. Four people are enrolled; the others are strangers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from ..faces import Picture, astronaut, six_people

Floats = NDArray[np.float32]
Colour = tuple[int, int, int]
Box = tuple[float, float, float, float]

# A sprite shows this much round the face's box, in widths and heights of the box.
LEFT, ABOVE, RIGHT, BELOW = 1.1, 0.75, 1.1, 1.25
# The width of the face in the largest sprite; each further one has half of it, so that none is reduced too far at once.
LARGEST_PX = 160
LEVELS = 4


@dataclass(frozen=True)
class Source:
    """A face in a photograph; `box` is the detector's own, x, y, width, height."""

    photograph: Callable[[], Picture]
    box: Box
    jumper: Colour


CAST = {
    "Ada": Source(astronaut, (178, 63, 89, 112), (70, 105, 150)),
    "Ben": Source(six_people, (463, 270, 112, 145), (92, 92, 100)),
    "Cleo": Source(six_people, (1131, 275, 91, 121), (60, 58, 62)),
    "Dan": Source(six_people, (744, 343, 101, 131), (140, 40, 46)),
    "stranger 1": Source(six_people, (60, 270, 107, 125), (44, 44, 52)),
    "stranger 2": Source(six_people, (267, 151, 99, 116), (96, 70, 88)),
    "stranger 3": Source(six_people, (905, 65, 99, 136), (120, 122, 116)),
}
ENROLLED = ("Ada", "Ben", "Cleo", "Dan")
STRANGERS = tuple(name for name in CAST if name not in ENROLLED)


@dataclass(frozen=True)
class Look:
    """What happens to a face before it is put into a picture. Lengths are in widths of the face."""

    gain: float = 1.0
    gamma: float = 1.0
    tint: tuple[float, float, float] = (1.0, 1.0, 1.0)
    defocus: float = 0.0
    motion: float = 0.0
    cover: Literal["", "mask", "hand"] = ""


@dataclass(frozen=True, eq=False)
class Sprite:
    """One size of a figure. `pixels` is (h, w, 4): RGB multiplied by coverage, and coverage from 0 to 255.

    `face_px` is the width of the face's box, `box` that box in pixels of the sprite.
    """

    pixels: Picture
    face_px: float
    box: Box


@cache
def sprites(name: str, look: Look) -> tuple[Sprite, ...]:
    """The figure in several sizes, the largest first."""
    sprite = _cut_out(CAST[name], look)
    levels = [sprite]
    for _ in range(LEVELS - 1):
        levels.append(_halved(levels[-1]))
    return tuple(levels)


def _cut_out(source: Source, look: Look) -> Sprite:
    x, y, width, height = source.box
    scale = LARGEST_PX / width
    size = (round((LEFT + 1 + RIGHT) * LARGEST_PX), round((ABOVE + 1 + BELOW) * height * scale))
    move = np.array([[scale, 0, -scale * (x - LEFT * width)], [0, scale, -scale * (y - ABOVE * height)]])
    photograph = source.photograph()
    piece = cv2.warpAffine(photograph, move, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    box = (LEFT * LARGEST_PX, ABOVE * height * scale, float(LARGEST_PX), height * scale)
    head, body = _head(size, box)[:, :, None], _body(size, box)[:, :, None]
    colour = piece.astype(np.float32) * head + np.array(source.jumper, np.float32) * (1 - head)
    pixels = _changed(colour, np.maximum(head, body), box, look)
    return Sprite(np.asarray(np.clip(pixels, 0, 255), np.uint8), LARGEST_PX, box)


def _head(size: tuple[int, int], box: Box) -> Floats:
    """Coverage of head and neck: an oval, soft at its edge."""
    x, y, width, height = box
    return _oval(size, (x + width / 2, y + 0.45 * height), (0.78 * width, 0.82 * height), 0.07 * width)


def _body(size: tuple[int, int], box: Box) -> Floats:
    x, y, width, height = box
    return _oval(size, (x + width / 2, y + 2.1 * height), (1.45 * width, 0.95 * height), 0.03 * width)


def _oval(size: tuple[int, int], centre: tuple[float, float], axes: tuple[float, float], soft_px: float) -> Floats:
    area = np.zeros(size[::-1], np.float32)
    middle, radii = (round(centre[0]), round(centre[1])), (round(axes[0]), round(axes[1]))
    cv2.ellipse(area, middle, radii, 0, 0, 360, 1.0, -1, cv2.LINE_AA)
    return np.asarray(cv2.GaussianBlur(area, (0, 0), soft_px), np.float32)


def _changed(colour: Floats, cover: Floats, box: Box, look: Look) -> Floats:
    """The largest sprite's pixels: covered, lit and blurred as `look` says."""
    for area, paint in _covers(colour.shape[1::-1], box, look.cover):
        colour = colour * (1 - area[:, :, None]) + np.array(paint, np.float32) * area[:, :, None]
    plain = np.clip(colour, 0, 255) / 255
    lit = np.clip(plain**look.gamma * look.gain * np.array(look.tint, np.float32), 0, 1)
    pixels = 255 * np.dstack([lit * cover, cover])
    if look.motion:
        pixels = cv2.blur(pixels, (max(1, round(look.motion * LARGEST_PX)), 1))
    if look.defocus:
        pixels = cv2.GaussianBlur(pixels, (0, 0), look.defocus * LARGEST_PX)
    return np.asarray(pixels, np.float32)


def _covers(size: tuple[int, int], box: Box, kind: str) -> list[tuple[Floats, Colour]]:
    """Areas, 0 to 1, and the colour that covers them."""
    x, y, width, height = box
    if kind == "mask":
        middle = (x + width / 2, y + 0.8 * height)
        return [(_oval(size, middle, (0.5 * width, 0.3 * height), 0.015 * width), (196, 212, 220))]
    if kind == "hand":
        spots = [(0.12, 0.95), (0.2, 0.8), (0.3, 0.72), (0.42, 0.7)]
        return [
            (
                _oval(size, (x + u * width, y + v * height), (0.075 * width, 0.28 * height), 0.02 * width),
                (204, 156, 130),
            )
            for u, v in spots
        ]
    return []


def _halved(sprite: Sprite) -> Sprite:
    height, width = sprite.pixels.shape[:2]
    half = (width // 2, height // 2)
    pixels = cv2.resize(sprite.pixels, half, interpolation=cv2.INTER_AREA)
    across, down = half[0] / width, half[1] / height
    x, y, w, h = sprite.box
    return Sprite(np.asarray(pixels, np.uint8), sprite.face_px * across, (x * across, y * down, w * across, h * down))
