"""How good a look at a face would be, before the dear embedding is made: from 0 to 1, in less than a millisecond.

Size, sharpness, light, and whether the picture's edge cuts the face. What is below the gates is drawn and followed, but
never named.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from .pictures import Box, Picture, Pixels

# A face of this size has all that dlib's 150-pixel crop can use.
FULL_SIZE_PX = 112.0
# Sharpness is compared at the size of the smallest face that is named, where all faces can have the same detail.
SHARPNESS_SIDE_PX = 40
# A face sharper than this is not named better for it.
FULL_SHARPNESS = 0.3
# Grey values between which a face shows what it looks like, and how much they must differ.
DARK, BRIGHT = 50.0, 205.0
FULL_CONTRAST = 35.0

Flaw = Literal["too_small", "blurred"]


@dataclass(frozen=True, slots=True)
class Quality:
    """`score` compares looks of one face; `flaw` is why a look would not count, None where it would.

    `size_px` is the shorter side of the face's box.
    """

    score: float
    flaw: Flaw | None
    size_px: float


def quality(picture: Picture, box: Box, min_face_px: float, min_sharpness: float) -> Quality:
    """Judge the face in `box` (pixels of the picture)."""
    size = min(box[2:])
    if size < min_face_px:
        return Quality(0.0, "too_small", size)
    crop, _, _ = picture.rgb(box)
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
    sharp = sharpness(np.asarray(grey, np.uint8), SHARPNESS_SIDE_PX)
    if sharp < min_sharpness:
        return Quality(0.0, "blurred", size)
    factors = (
        size / FULL_SIZE_PX,
        sharp / FULL_SHARPNESS,
        float(grey.std()) / FULL_CONTRAST,
        _light(float(grey.mean())),
        _share_inside(box, picture),
    )
    return Quality(float(np.prod([min(1.0, factor) for factor in factors])), None, size)


def sharpness(grey: Pixels, side: int) -> float:
    """How much fine detail a face has: variance of the Laplacian at `side` pixels with its contrast normalised.

    Pech-Pacheco et al., "Diatom autofocusing in brightfield microscopy" (2000).
    """
    small = cv2.resize(grey, (side, side), interpolation=cv2.INTER_AREA).astype(np.float64)
    normal = (small - small.mean()) / max(float(small.std()), 1.0)
    return float(cv2.Laplacian(normal, cv2.CV_64F)[1:-1, 1:-1].var())


def _light(mean: float) -> float:
    """1 for a well-lit face, falling to 0 for black and white."""
    return min(mean / DARK, (255 - mean) / (255 - BRIGHT))


def _share_inside(box: Box, picture: Picture) -> float:
    x, y, width, height = box
    across = min(x + width, picture.width) - max(x, 0.0)
    down = min(y + height, picture.height) - max(y, 0.0)
    return max(0.0, across) * max(0.0, down) / (width * height)
