"""Real faces for the tests, from packages: nothing is stored here."""

from __future__ import annotations

import importlib.util
from functools import cache
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage import data

Picture = NDArray[np.uint8]


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


def jpeg(rgb: Picture, quality: int = 92) -> bytes:
    """The picture as a JPEG file's bytes."""
    buffer = BytesIO()
    Image.fromarray(rgb).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()
