"""A clip of thirty faces, for what a full room costs: the sample's portrait many times, each moving a little."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
from PIL import Image

from ..sample import PHOTO

WIDTH, HEIGHT, FPS, SECONDS = 1280, 720, 30, 4
COLUMNS, ROWS = 6, 5
FACES = COLUMNS * ROWS
# Pixels a portrait moves to and fro; it stays within its own place.
SWAY = 12


def write(file: Path) -> None:
    """Write the clip, H.264, 720p at 30 fps, some seconds that lead into themselves."""
    place = (WIDTH // COLUMNS, HEIGHT // ROWS)
    with Image.open(PHOTO) as photo:
        portrait = np.asarray(photo.convert("RGB").resize((place[1] - 2, place[1] - 2)))
    with av.open(str(file), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"crf": "20", "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number in range(FPS * SECONDS):
            frame = av.VideoFrame.from_ndarray(_picture(portrait, place, number / (FPS * SECONDS)), "rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def _picture(portrait: np.ndarray, place: tuple[int, int], phase: float) -> np.ndarray:
    picture = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    side = portrait.shape[0]
    for column in range(COLUMNS):
        for row in range(ROWS):
            sway = round(SWAY * np.sin(2 * np.pi * (phase + (column + row) / 7)))
            left = column * place[0] + (place[0] - side) // 2 + sway
            top = row * place[1] + 1
            picture[top : top + side, left : left + side] = portrait
    return picture
