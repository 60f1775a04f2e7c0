"""What a clip really shows, from the JSON file that stands beside it.

    {"width": 1280, "height": 720, "fps": 30, "frames": [[{"person": "Ada", "id": 1, "box": [x, y, w, h]}, ...], ...]}

One list a frame, in order. `person` is a name, or null for a stranger; whoever is not enrolled counts as a stranger
too. `id` tells one appearance from another: who leaves and comes back has a new one. `box` is in pixels, as the
detector draws it. A face that is more hidden than seen (behind another, outside the picture) has `"hidden": true`: it
need not be found, but its name is right where it is.
"""

from __future__ import annotations

import json
import math
import unicodedata
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .processes import BenchError

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class TrueFace:
    """A face that is there, in one frame."""

    person: str | None
    id: int
    box: Box
    is_hidden: bool = False

    @property
    def size(self) -> float:
        """The shorter side in pixels, as `recognition_min_face_px` means it."""
        return min(self.box[2:])


@dataclass(frozen=True)
class Truth:
    """All faces of a clip by frame; boxes in pixels of a picture of this size."""

    width: int
    height: int
    frames: tuple[tuple[TrueFace, ...], ...]

    def at(self, frame: int, width: int, height: int) -> list[TrueFace]:
        """The faces of a frame, in pixels of a picture of this size; nothing after the truth's end."""
        if frame >= len(self.frames):
            return []
        across, down = width / self.width, height / self.height
        scale = (across, down, across, down)
        return [
            replace(face, box=_box([side * by for side, by in zip(face.box, scale, strict=True)]))
            for face in self.frames[frame]
        ]


def load_truth(file: Path) -> Truth:
    """Read a truth file.

    Raises:
        BenchError: it cannot be read or has another form; names the file and the frame.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        width, height = int(content["width"]), int(content["height"])
        frames = [_frame(file, number, faces) for number, faces in enumerate(content["frames"])]
    except OSError as error:
        raise BenchError(f"The truth {file} cannot be read: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BenchError(f"{file} is not a truth file: {error!r}. docs/recognition.md shows its form.") from error
    if width <= 0 or height <= 0 or not frames:
        raise BenchError(f"{file} is not a truth file: it needs a width, a height and frames.")
    return Truth(width, height, tuple(frames))


def _frame(file: Path, number: int, faces: Any) -> tuple[TrueFace, ...]:
    try:
        return tuple(
            TrueFace(_name(face["person"]), int(face["id"]), _box(face["box"]), bool(face.get("hidden")))
            for face in faces
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BenchError(
            f"{file}: frame {number} has another form than docs/recognition.md says: {error!r}."
        ) from error


def _name(person: Any) -> str | None:
    return None if person is None else unicodedata.normalize("NFC", str(person))


def _box(sides: Any) -> Box:
    x, y, width, height = (float(side) for side in sides)
    if not (math.isfinite(x + y + width + height) and width > 0 and height > 0):
        raise ValueError(f"a box is x, y, width and height, not {sides}")
    return x, y, width, height
