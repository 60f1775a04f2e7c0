"""Puts figures into pictures and pictures into clips, and writes down the truth."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from ..faces import Picture
from .cast import ENROLLED, Look, Sprite, sprites

WIDTH, HEIGHT, FPS = 1280, 720, 30
# Less of a face than this in sight, and the truth calls it hidden.
VISIBLE = 0.5
NOISE_PICTURES = 4

Box = tuple[float, float, float, float]
Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Pose:
    """Where a face is: the centre of its box and the box's width in pixels, turned by `tilt` degrees in the picture.

    `turn` is how much of its width is left of a head turned aside, `light` multiplies its brightness.
    """

    at: float
    x: float
    y: float
    size: float
    tilt: float = 0.0
    turn: float = 1.0
    light: float = 1.0


@dataclass(frozen=True)
class Actor:
    """A face from its first pose to its last; `at` in seconds, straight lines between."""

    name: str
    poses: tuple[Pose, ...]
    look: Look = Look()

    def pose(self, at: float) -> Pose | None:
        """The pose at a moment, or None when the face is not there."""
        times = [pose.at for pose in self.poses]
        if not times[0] <= at <= times[-1]:
            return None
        names = ("x", "y", "size", "tilt", "turn", "light")
        values = [float(np.interp(at, times, [getattr(pose, name) for pose in self.poses])) for name in names]
        return Pose(at, *values)


@dataclass(frozen=True)
class Scene:
    """One clip. `quick` scenes are those of the tests; `noise` is a standard deviation, `crf` the compression."""

    name: str
    seconds: float
    actors: tuple[Actor, ...]
    background: str = "wall"
    noise: float = 2.0
    crf: int = 23
    codec: str = "libx264"
    quick: bool = False


@dataclass(frozen=True)
class Seen:
    """One face of the truth."""

    person: str | None
    id: int
    box: Box

    def written(self, *, is_hidden: bool) -> dict[str, Any]:
        """As the truth file has it."""
        face: dict[str, Any] = {"person": self.person, "id": self.id, "box": [round(side, 1) for side in self.box]}
        return {**face, "hidden": True} if is_hidden else face


def write(scene: Scene, folder: Path) -> Path:
    """Write the clip and its truth into `folder`; returns the clip's path."""
    clip = folder / f"{scene.name}.{'webm' if scene.codec == 'libvpx' else 'mp4'}"
    truth = []
    with av.open(str(clip), "w") as container:
        quality = {"crf": str(scene.crf), "b": "4M", "deadline": "realtime", "cpu-used": "8"}
        options = quality if scene.codec == "libvpx" else {"crf": str(scene.crf), "preset": "ultrafast"}
        stream = container.add_stream(scene.codec, rate=FPS, options=options)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for index, (picture, seen) in enumerate(pictures(scene)):
            frame = av.VideoFrame.from_ndarray(picture, format="yuv420p")
            frame.pts, frame.time_base = index, Fraction(1, FPS)
            container.mux(stream.encode(frame))
            truth.append([each.written(is_hidden=not is_visible(each, seen)) for each in seen])
        container.mux(stream.encode(None))
    text = json.dumps({"width": WIDTH, "height": HEIGHT, "fps": FPS, "frames": truth})
    clip.with_suffix(".json").write_text(text, encoding="utf-8")
    return clip


def pictures(scene: Scene) -> Iterator[tuple[Picture, list[Seen]]]:
    """The scene's pictures, planes of yuv420p below each other, each with its truth. Later actors stand in front."""
    generator = np.random.default_rng(sum(scene.name.encode()))
    empty = backdrop(scene.background, generator)
    grain = [_grain(scene.noise, generator) for _ in range(NOISE_PICTURES)]
    for index in range(round(scene.seconds * FPS)):
        picture = empty.copy()
        seen: list[Seen] = []
        for number, actor in enumerate(scene.actors):
            pose = actor.pose(index / FPS)
            if pose is not None:
                box = place(picture, sprites(actor.name, actor.look), pose)
                seen.append(Seen(actor.name if actor.name in ENROLLED else None, number + 1, box))
        planes = cv2.cvtColor(picture, cv2.COLOR_RGB2YUV_I420)
        noisy = cv2.add(planes, grain[index % NOISE_PICTURES], dtype=cv2.CV_8U)
        yield np.asarray(noisy, np.uint8), seen


def place(picture: Picture, levels: Sequence[Sprite], pose: Pose) -> Box:
    """Put a figure into the picture; returns where the face's box is then."""
    fitting = [sprite for sprite in levels if sprite.face_px >= pose.size]
    sprite = fitting[-1] if fitting else levels[0]
    upright = _matrix(sprite, pose, 0.0)
    box = _bounds(upright, sprite.box)
    matrix = _matrix(sprite, pose, pose.tilt)
    height, width = sprite.pixels.shape[:2]
    left, top, right, bottom = _inside(_bounds(matrix, (0, 0, width, height)), picture)
    if left < right and top < bottom:
        shift = np.array([[1, 0, -left], [0, 1, -top], [0, 0, 1]])
        layer = cv2.warpPerspective(sprite.pixels, shift @ matrix, (right - left, bottom - top))
        part = picture[top:bottom, left:right]
        behind = cv2.multiply(part, cv2.merge([255 - layer[:, :, 3]] * 3), scale=1 / 255)
        part[:] = cv2.add(behind, cv2.convertScaleAbs(layer[:, :, :3], alpha=pose.light))
    return box


def _grain(deviation: float, generator: np.random.Generator) -> NDArray[np.int16]:
    """Sensor noise for the three planes of a picture."""
    return (deviation * generator.standard_normal((HEIGHT * 3 // 2, WIDTH), np.float32)).round().astype(np.int16)


def backdrop(kind: str, generator: np.random.Generator) -> Picture:
    """An empty room of one of four kinds: a lit wall, dark, busy with things, or outdoors and bright."""
    columns, rows = np.meshgrid(np.linspace(0, 1, WIDTH), np.linspace(0, 1, HEIGHT))
    tones = {"wall": (205, 198, 184), "dark": (58, 60, 68), "busy": (150, 140, 128), "bright": (226, 232, 238)}
    room = np.array(tones[kind]) * (1.05 - 0.25 * columns - 0.12 * rows)[:, :, None]
    for _ in range(60 if kind == "busy" else 6):
        x, y = int(generator.integers(0, WIDTH)), int(generator.integers(0, HEIGHT))
        w, h = (int(side) for side in generator.integers(30, 220, 2))
        shade = tuple(float(tone) for tone in generator.integers(30, 220, 3) * (0.4 if kind == "dark" else 1.0))
        cv2.rectangle(room, (x, y), (x + w, y + h), shade, -1)
    return np.asarray(np.clip(cv2.GaussianBlur(room, (0, 0), 1.5), 0, 255), np.uint8)


def _matrix(sprite: Sprite, pose: Pose, tilt: float) -> Matrix:
    """From sprite to picture: scaled, narrowed with the far side smaller, turned about the face's centre, moved."""
    x, y, width, height = sprite.box
    centre = np.array([[1, 0, -(x + width / 2)], [0, 1, -(y + height / 2)], [0, 0, 1]])
    scale = pose.size / width
    narrow = np.array([[scale * pose.turn, 0, 0], [0, scale, 0], [0.25 * (1 - pose.turn) / width, 0, 1]])
    angle = np.radians(tilt)
    turned = np.array([[np.cos(angle), -np.sin(angle), pose.x], [np.sin(angle), np.cos(angle), pose.y], [0, 0, 1]])
    return np.asarray(turned @ narrow @ centre)


def _bounds(matrix: Matrix, box: Box) -> Box:
    x, y, width, height = box
    corners = np.array([[[x, y], [x + width, y], [x + width, y + height], [x, y + height]]], np.float64)
    points = cv2.perspectiveTransform(corners, matrix)[0]
    (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
    return float(left), float(top), float(right - left), float(bottom - top)


def _inside(box: Box, picture: Picture) -> tuple[int, int, int, int]:
    x, y, width, height = box
    bottom, right = picture.shape[:2]
    return max(0, int(x)), max(0, int(y)), min(right, int(x + width) + 1), min(bottom, int(y + height) + 1)


def is_visible(face: Seen, all_seen: Sequence[Seen]) -> bool:
    """Whether more of a face is seen than hidden; who comes later in `all_seen` stands in front."""
    in_front = all_seen[list(all_seen).index(face) + 1 :]
    hidden = max([_shared(face.box, other.box) for other in in_front], default=0.0)
    return _shared(face.box, (0, 0, WIDTH, HEIGHT)) - hidden >= VISIBLE


def _shared(box: Box, other: Box) -> float:
    """The part of `box` that lies in `other`, 0 to 1."""
    across = min(box[0] + box[2], other[0] + other[2]) - max(box[0], other[0])
    down = min(box[1] + box[3], other[1] + other[3]) - max(box[1], other[1])
    return max(0.0, across) * max(0.0, down) / (box[2] * box[3])
