"""Real faces for the tests, from packages: nothing is stored here."""

from __future__ import annotations

import importlib.util
from functools import cache
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage import data

Picture = NDArray[np.uint8]

# Left, top and side of three faces in the group photo.
ALONE = [(0, 200, 264), (191, 82, 256), (673, 284, 248)]


@cache
def astronaut() -> Picture:
    """RGB 512x512: Eileen Collins; public domain, NASA."""
    return np.asarray(data.astronaut(), dtype=np.uint8)  # type: ignore[no-untyped-call]


@cache
def six_people() -> Picture:
    """RGB: a photograph of six people, from the insightface wheel (the package itself is not imported)."""
    spec = importlib.util.find_spec("insightface")
    assert spec is not None
    assert spec.submodule_search_locations
    file = Path(next(iter(spec.submodule_search_locations))) / "data" / "images" / "t1.jpg"
    return np.asarray(Image.open(file).convert("RGB"), dtype=np.uint8)


def portraits() -> list[Picture]:
    """RGB: seven people, each alone and from near."""
    six = six_people()
    corners = [(60, 268), (266, 151), (465, 266), (748, 352), (906, 58), (1125, 272)]
    return [astronaut()[40:200, 140:300], *(six[y - 25 : y + 150, max(0, x - 35) : x + 140] for x, y in corners)]


def crowd(face_px: int) -> Picture:
    """RGB 1280x720: six people in the corner, their faces about `face_px` wide."""
    scale = face_px / 100
    people = cv2.resize(six_people(), None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    picture = np.full((720, 1280, 3), 110, np.uint8)
    height, width = min(720, people.shape[0]), min(1280, people.shape[1])
    picture[:height, :width] = people[:height, :width]
    return picture


def one_of_six(place: int) -> Picture:
    """RGB: one of three people of the group photo, alone and twice as large."""
    left, top, side = ALONE[place]
    part = six_people()[top : top + side, left : left + side]
    return np.asarray(Image.fromarray(part).resize((2 * side, 2 * side), Image.Resampling.BICUBIC))


def saved(file: Path, picture: Picture) -> Path:
    """The picture as a JPEG file, its folder made."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(jpeg(picture))
    return file


def jpeg(rgb: Picture, quality: int = 92) -> bytes:
    """The picture as a JPEG file's bytes."""
    buffer = BytesIO()
    Image.fromarray(rgb).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()
