"""A real face that moves over a background on a known path: what following faces is measured against."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import av
import cv2
import numpy as np
from av.video.reformatter import VideoReformatter
from skimage import data

from server.annotate import Overlays
from server.events import Detections, Face
from server.recognition.motion import Motion, iou, paired
from server.recognition.pictures import Box, Planes, packed
from server.recognition.search import Search

from .faces import astronaut

WIDTH, HEIGHT = 1280, 720
FPS = 30
RECOGNISED_EVERY = 5
CLOCK_HZ = 90_000
# The astronaut from the hair to the collar, and the face in it as a detector sees it at full size.
PORTRAIT = (30, 230, 130, 310)
FACE: Box = (50.0, 33.0, 84.0, 109.0)
# How late results come, in turn; seconds.
LATE_S = (0.06, 0.14, 0.2, 0.09, 0.17)


@dataclass(frozen=True, slots=True)
class Path:
    """Where the face is: `place` gives the centre's x and y and the size (1 is 84 px) at a time in seconds."""

    name: str
    place: Callable[[float], tuple[float, float, float]]

    def box(self, at: float) -> Box:
        """The face at that time."""
        x, y, size = self.place(at)
        width, height = FACE[2] * size, FACE[3] * size
        return x - width / 2, y - height / 2, width, height


def _stop_and_go(at: float) -> tuple[float, float, float]:
    """A second of walking, a second of standing."""
    whole, part = divmod(at, 2.0)
    return 250 + 200 * (whole + min(part, 1.0)), 360, 1.0


PATHS = (
    Path("straight", lambda at: (200 + 220 * at, 300 + 20 * at, 1.0)),
    Path(
        "to and fro", lambda at: (640 + 150 * math.sin(math.tau * at / 4), 360 + 30 * math.sin(math.tau * at / 2), 1.0)
    ),
    Path("nearer and farther", lambda at: (640, 360, 1.2 + 0.6 * math.sin(math.tau * at / 4))),
    Path("stop and go", _stop_and_go),
)


def picture(path: Path, at: float) -> Planes:
    """The frame at that time."""
    x, y, size = path.place(at)
    top, bottom, left, right = PORTRAIT
    portrait = astronaut()[top:bottom, left:right]
    place = np.array(
        [[size, 0, x - size * (FACE[0] + FACE[2] / 2)], [0, size, y - size * (FACE[1] + FACE[3] / 2)]], np.float64
    )
    scene = np.asarray(cv2.resize(np.asarray(data.coffee(), np.uint8), (WIDTH, HEIGHT)), np.uint8)  # type: ignore[no-untyped-call]
    cv2.warpAffine(portrait, place, (WIDTH, HEIGHT), dst=scene, borderMode=cv2.BORDER_TRANSPARENT)
    frame = av.VideoFrame.from_ndarray(scene, format="rgb24").reformat(format="yuv420p")
    return packed(frame, VideoReformatter())


def overlaps(path: Path, search: Search, seconds: float) -> list[float]:
    """Follow the face and return the IoU of its drawn box and its true one in each frame from the first result on."""
    results = list(recognised(path, search, seconds))
    overlays = Overlays()
    found: list[float] = []
    for index in range(round(seconds * FPS)):
        while results and results[0][0] <= index / FPS:
            overlays.update(results.pop(0)[1])
            found = found or [0.0]
        drawn = overlays.at(round(index / FPS * CLOCK_HZ), WIDTH, HEIGHT)
        if found:
            found.append(max((iou(each.box, path.box(index / FPS)) for each in drawn), default=0.0))
    return found[1:]


def recognised(path: Path, search: Search, seconds: float) -> Iterator[tuple[float, Detections]]:
    """What recognition tells of every fifth frame, and when it does."""
    motion: Motion | None = None
    for index in range(0, round(seconds * FPS), RECOGNISED_EVERY):
        at = index / FPS
        expected = [motion.predicted(at)] if motion else []
        faces: list[Box] = [each.box for each in search.faces(picture(path, at), expected, busy=False)]
        if motion is None and faces:
            motion = Motion(faces[0], at)
        elif motion is not None:
            for _, face in paired(expected, faces):
                motion.follow(faces[face], at)
        if motion is not None:
            late = LATE_S[index // RECOGNISED_EVERY % len(LATE_S)]
            yield at + late, Detections("1", round(at * CLOCK_HZ), WIDTH, HEIGHT, (_face(motion, at),))


def _face(motion: Motion, at: float) -> Face:
    return Face(1, None, "Unknown", 0.9, motion.predicted(at), motion.velocity, unseen_s=at - motion.seen_at)
