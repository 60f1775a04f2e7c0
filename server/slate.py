"""The picture shown in place of a camera that sends none: it says so, and since when."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from .labels import render_label

DEFAULT_SIZE = (1280, 720)

# A dark blue-grey with light letters: calm in a wall of pictures, readable from across a room.
_GROUND = (40, 134, 122)
_INK = 200


def slate(lines: tuple[str, ...], size: tuple[int, int] = DEFAULT_SIZE) -> VideoFrame:
    """A new yuv420p frame of `size` (width, height; both even) with the lines centred, the first one larger."""
    return VideoFrame.from_ndarray(_picture(lines, size), format="yuv420p")


@lru_cache(maxsize=16)
def _picture(lines: tuple[str, ...], size: tuple[int, int]) -> NDArray[np.uint8]:
    width, height = size
    picture = np.empty((height * 3 // 2, width), np.uint8)
    picture[:height] = _GROUND[0]
    picture[height : height * 5 // 4] = _GROUND[1]
    picture[height * 5 // 4 :] = _GROUND[2]
    labels = [render_label(line, max(12, height // (24 if number else 14))) for number, line in enumerate(lines)]
    y = (height - sum(label.height for label in labels)) // 2
    for label in labels:
        x = max(0, (width - label.width) // 2)
        target = picture[y : y + label.height, x : x + label.width]
        ink = label.coverage[: target.shape[0], : target.shape[1]].astype(np.uint16)
        target[:] = (_GROUND[0] + ink * (_INK - _GROUND[0]) // 255).astype(np.uint8)
        y += label.height
    return picture
