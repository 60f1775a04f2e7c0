"""Makes the whole set: the enrolment photos and the clips."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..faces import Picture, jpeg
from .cast import ENROLLED, Look, sprites
from .film import Pose, place, write
from .scenes import SCENES

PHOTO_SIZE = (640, 480)
# How each is photographed: a portrait, and for some a second one. No clip shows them so.
PORTRAITS = (
    (Look(gain=1.08, gamma=0.92), Pose(0, 240, 300, 150, -5)),
    (Look(gain=0.85, tint=(1.0, 0.95, 0.88)), Pose(0, 250, 310, 128, 8, 0.93)),
)
WITH_TWO = ("Ben", "Cleo")


def generate(folder: Path, *, quick: bool = False) -> list[Path]:
    """Make the set in `folder`; returns the clips, each with its truth beside it."""
    for name in ENROLLED:
        person = folder / "people" / name
        person.mkdir(parents=True, exist_ok=True)
        for number, (look, pose) in enumerate(PORTRAITS[: 2 if name in WITH_TWO else 1], 1):
            (person / f"{number}.jpg").write_bytes(jpeg(portrait(name, look, pose)))
    clips = folder / "clips"
    clips.mkdir(parents=True, exist_ok=True)
    return [write(scene, clips) for scene in SCENES if scene.quick or not quick]


def portrait(name: str, look: Look, pose: Pose) -> Picture:
    """A photo for enrolment: the person before a plain wall."""
    height, width = PHOTO_SIZE
    shade = np.linspace(190, 150, height).astype(np.uint8)[:, None, None]
    picture = np.broadcast_to(shade, (height, width, 3)).copy()
    place(picture, sprites(name, look), pose)
    return picture
