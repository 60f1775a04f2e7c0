"""Generate the sample camera's clip, where its faces are, and the enrolled person's photo into server/sample.

Usage: python -m tools.make_sample (two minutes; needs the development packages; nothing is downloaded).

Two people sit in a drawn classroom, move, lean towards the camera and turn, and the last frame leads into the first.
Their faces come from one photograph: NASA's portrait of Eileen Collins in scikit-image, in the public domain. The first
person is the photograph as it is. No second portrait with a licence as clear was found in a package, so the second
person is made from the same one: features moved by a thin-plate spline, other hair, brows and a beard. For dlib that is
somebody else, 0.76 away from the original; tests/test_sample.py holds it to that over the whole clip.

The clip is VP9 in MP4: every PyAV wheel decodes it, and no part of it needs a codec under the GPL or a patent licence.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import face_recognition
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage import data
from skimage.transform import ThinPlateSplineTransform

from server.sample import PERSON_NAME

Floats = NDArray[np.float32]
Points = NDArray[np.float64]

OUT = Path(__file__).resolve().parent.parent / "server" / "sample"
WIDTH, HEIGHT, FPS, SECONDS = 1280, 720, 30, 12
QUALITY_CRF = 28

# Of the photograph: where the head is, (left, top, right, bottom), and where dlib expects the face, as CSS edges.
HEAD = (125, 8, 325, 200)
FACE = (70, 267, 180, 178)
# A figure is drawn on a piece of the photograph's plane this large, beginning at this point, enlarged.
FIGURE_SIZE, FIGURE_ORIGIN, ENLARGED = (420, 512), (16, 0), 2

# For the second person: shift, then stretch about the centre (dx, dy, sx, sy), in the photograph's pixels.
FEATURES = {
    "chin": (0.0, 4.94, 1.09, 1.01),
    "left_eye": (0.72, 2.19, 1.0, 0.82),
    "right_eye": (-0.72, 2.19, 1.0, 0.82),
    "nose_tip": (0.0, 2.02, 1.41, 1.02),
    "mouth": (0.0, 7.3, 0.84, 0.87),
    "brows": (0.0, 3.09, 1.01, 1.0),
}
HAIR_TINT, SKIN_TINT = (0.38, 0.33, 0.32), (0.88, 0.8, 0.74)
DARK_HAIR = np.array((52, 38, 30), np.float32)


@dataclass(frozen=True)
class Path2D:
    """How a figure moves, as functions of the phase 0..1 of the loop: whole numbers of swings, so that it closes."""

    centre: tuple[float, float]
    sway: tuple[float, float]
    size: tuple[float, float]
    light: tuple[float, float]
    start: float

    def wave(self, phase: float, swings: int) -> float:
        return math.sin(2 * math.pi * (swings * phase + self.start))

    def matrix(self, phase: float) -> Floats:
        """From figure to picture: the nose goes to the path, the head tilts, its width shrinks as it turns."""
        scale = (self.size[0] + self.size[1] * self.wave(phase + 0.1, 2)) / ENLARGED
        tilt = math.radians(5) * self.wave(phase, 3)
        turn = 1 - 0.06 * (1 + self.wave(phase + 0.2, 2))
        x = self.centre[0] + self.sway[0] * self.wave(phase, 1)
        y = self.centre[1] + self.sway[1] * self.wave(phase, 4)
        linear = scale * np.array([[math.cos(tilt) * turn, -math.sin(tilt)], [math.sin(tilt) * turn, math.cos(tilt)]])
        nose = ENLARGED * (np.array((224, 125)) - FIGURE_ORIGIN)
        return np.column_stack([linear, np.array((x, y)) - linear @ nose]).astype(np.float32)

    def brightness(self, phase: float) -> float:
        return self.light[0] + self.light[1] * self.wave(phase + 0.35, 1)


def main() -> None:
    photograph = np.asarray(data.astronaut(), np.uint8)  # type: ignore[no-untyped-call]
    landmarks = points_of(photograph)
    mask = head_mask(photograph)
    figures = [
        (
            figure(photograph.astype(np.float32), mask, (70, 105, 150)),
            Path2D((400, 305), (150, 12), (1.2, 0.26), (1.0, 0.1), 0.0),
        ),
        (second_person(photograph, mask, landmarks), Path2D((905, 320), (110, 10), (1.12, 0.2), (0.85, 0.14), 0.4)),
    ]
    OUT.mkdir(exist_ok=True)
    write_clip(OUT / "classroom.mp4", figures)
    write_truth(OUT / "classroom.json", [path for _, path in figures])
    Image.fromarray(photograph[0:330, 60:390]).save(OUT / "person.jpg", quality=92)


def points_of(photograph: NDArray[np.uint8]) -> dict[str, Points]:
    """dlib's landmarks, by feature."""
    found = face_recognition.face_landmarks(photograph, [FACE])[0]
    points = {name: np.array(found[name], np.float64) for name in ("chin", "left_eye", "right_eye", "nose_tip")}
    points["nose_bridge"] = np.array(found["nose_bridge"], np.float64)
    points["mouth"] = np.unique(np.array(found["top_lip"] + found["bottom_lip"], np.float64), axis=0)
    points["brows"] = np.array(found["left_eyebrow"] + found["right_eyebrow"], np.float64)
    return points


def head_mask(photograph: NDArray[np.uint8]) -> Floats:
    """How much of each pixel belongs to the head, 0 to 1."""
    left, top, right, bottom = HEAD
    labels = np.full(photograph.shape[:2], cv2.GC_BGD, np.uint8)
    labels[top:bottom, left:right] = cv2.GC_PR_BGD
    cv2.ellipse(labels, (226, 105), (75, 92), 0, 0, 360, cv2.GC_PR_FGD, -1)
    cv2.ellipse(labels, (224, 130), (45, 58), 0, 0, 360, cv2.GC_FGD, -1)
    labels[150:bottom, left:178] = labels[150:bottom, 268:right] = cv2.GC_BGD  # the suit's collar
    models = np.zeros((2, 1, 65))
    cv2.grabCut(photograph[:, :, ::-1].copy(), labels, HEAD, models[0], models[1], 8, cv2.GC_INIT_WITH_MASK)
    head = np.isin(labels, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8)
    _, parts, sizes, _ = cv2.connectedComponentsWithStats(head)
    largest = (parts == 1 + np.argmax(sizes[1:, cv2.CC_STAT_AREA])).astype(np.float32)
    return soft(cv2.erode(largest, np.ones((3, 3), np.uint8)), 1.2)


def second_person(photograph: NDArray[np.uint8], mask: Floats, landmarks: dict[str, Points]) -> Floats:
    """The figure of somebody else, made of the same photograph."""
    styled = restyled(photograph.astype(np.float32), mask, landmarks)
    return figure(reshaped(styled, landmarks), reshaped(mask, landmarks), (120, 118, 70))


def restyled(picture: Floats, mask: Floats, landmarks: dict[str, Points]) -> Floats:
    """Dark hair, strong brows, a beard, darker skin."""
    forehead = np.array([(262, 80), (225, 72), (188, 80)], np.float64)
    above_chin = (np.arange(picture.shape[0]) < 150)[:, None]
    hair = soft(((mask > 0.4) & above_chin & (filled(np.vstack([landmarks["chin"], forehead])) < 0.5)), 2)
    picture = picture * (1 - hair[:, :, None] * (1 - np.array(HAIR_TINT, np.float32)))
    for cover in (beard(landmarks), brows(landmarks)):
        picture = picture + cover[:, :, None] * (DARK_HAIR - picture)
    return np.asarray(np.clip(picture * np.array(SKIN_TINT, np.float32), 0, 255), np.float32)


def beard(landmarks: dict[str, Points]) -> Floats:
    chin, mouth = landmarks["chin"], landmarks["mouth"]
    corners = mouth[np.argmin(mouth[:, 0])] + (-4, -2), mouth[np.argmax(mouth[:, 0])] + (4, -2)
    under_nose = landmarks["nose_tip"][2] + (0, 7)
    lips = cv2.convexHull(mouth.astype(np.float32))[:, 0].astype(np.float64)
    where = soft(filled(np.vstack([chin[2:15], corners[1], under_nose, corners[0]])), 3.5) * (
        1 - soft(filled(lips), 1.2)
    )
    stubble = soft(np.random.default_rng(3).standard_normal(where.shape), 0.8) * 1.5
    return np.asarray(np.clip(where * (0.62 + 0.12 * stubble), 0, 0.8), np.float32)


def brows(landmarks: dict[str, Points]) -> Floats:
    lines = np.zeros((512, 512), np.float32)
    for brow in np.split(landmarks["brows"].astype(np.int32), 2):
        cv2.polylines(lines, [brow], False, 1.0, 3, cv2.LINE_AA)
    return soft(lines, 1) * 0.6


def reshaped(picture: Floats, landmarks: dict[str, Points]) -> Floats:
    """Move the features; the frame around the head stays where it is."""
    still = [(x, y) for x in (0, 256, 511) for y in (0, 256, 511) if (x, y) != (256, 256)]
    still += [(140, 15), (226, 8), (310, 15), (130, 110), (320, 110)]
    moved = {name: shifted(points, *FEATURES.get(name, (0, 0, 1, 1))) for name, points in landmarks.items()}
    spline = ThinPlateSplineTransform()  # type: ignore[no-untyped-call]
    spline.estimate(np.vstack([*moved.values(), still]), np.vstack([*landmarks.values(), still]))
    rows, columns = np.mgrid[0 : picture.shape[0], 0 : picture.shape[1]]
    source = spline(np.stack([columns.ravel(), rows.ravel()], axis=1).astype(np.float64)).astype(np.float32)
    x, y = (source[:, axis].reshape(picture.shape[:2]) for axis in (0, 1))
    return np.asarray(cv2.remap(picture, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE), np.float32)


def shifted(points: Points, dx: float, dy: float, sx: float, sy: float) -> Points:
    centre = points.mean(axis=0)
    return np.asarray((points - centre) * (sx, sy) + centre + (dx, dy))


def figure(picture: Floats, mask: Floats, jumper: tuple[int, int, int]) -> Floats:
    """Head and shoulders, (h, w, 4): RGB multiplied by coverage, and coverage from 0 to 1."""
    width, height = FIGURE_SIZE
    across, down = FIGURE_ORIGIN
    size = (width * ENLARGED, height * ENLARGED)
    # Below the photograph's own edge of the head there is only the jumper, so the piece may end inside it.
    piece = np.dstack([picture, mask])[down : down + height, across : across + width]
    head = np.asarray(cv2.resize(piece, size, interpolation=cv2.INTER_CUBIC), np.float32)
    cover = np.clip(head[:, :, 3:], 0, 1)
    body = shoulders(size, jumper)
    head_layer = np.dstack([np.clip(head[:, :, :3], 0, 255) * cover, cover])
    return np.asarray(body + head_layer * (1 - body[:, :, 3:]), np.float32)


def shoulders(size: tuple[int, int], colour: tuple[int, int, int]) -> Floats:
    """A jumper with a high collar, lit from the left."""
    left = [(180, 182), (172, 214), (150, 234), (100, 256), (64, 290), (46, 350), (36, 420), (30, 512)]
    right = [(448 - x, y) for x, y in reversed(left)]
    outline = np.array([*left, *right], np.float64)
    points = (outline - FIGURE_ORIGIN) * ENLARGED
    # Blurred and cut at the middle: that rounds the corners.
    cover = np.clip((soft(filled(points, size[::-1]), 12) - 0.5) * 8 + 0.5, 0, 1)
    collar = soft(filled(points[[0, 1, -2, -1]], size[::-1]), 2.0)
    light = np.linspace(1.15, 0.75, size[0], dtype=np.float32)[None, :] * (1 - 0.18 * collar)
    return np.dstack([np.array(colour, np.float32) * (light * cover)[:, :, None], cover])


def classroom() -> Floats:
    """A wall lit by a window, a blackboard, a shelf."""
    columns, rows = np.meshgrid(np.arange(WIDTH, dtype=np.float32), np.arange(HEIGHT, dtype=np.float32))
    light = 1.06 - 0.22 * columns / WIDTH - 0.1 * rows / HEIGHT
    room = np.asarray(np.array((206, 201, 188)) * light[:, :, None], np.float32)
    rectangle(room, (240, 60, 880, 330), (120, 92, 62))
    rectangle(room, (252, 72, 868, 318), (52, 78, 68))
    for row, length in enumerate((380, 470, 300)):
        cv2.line(room, (300, 120 + 60 * row), (300 + length, 118 + 60 * row), (150, 165, 158), 3, cv2.LINE_AA)
    rectangle(room, (980, 90, 1220, 470), (140, 108, 74))
    for shelf in range(3):
        rectangle(room, (992, 102 + 122 * shelf, 1208, 212 + 122 * shelf), (96, 74, 52))
        for book in range(9):
            shade = 70 + 17 * ((3 * book + 5 * shelf) % 7)
            left = 998 + 23 * book
            rectangle(room, (left, 122 + 122 * shelf, left + 18, 212 + 122 * shelf), (shade, 90, 170 - shade // 2))
    grain = soft(np.random.default_rng(1).standard_normal((HEIGHT, WIDTH)), 1) * 3
    return np.asarray(cv2.GaussianBlur(room, (0, 0), 2.2) + grain[:, :, None], np.float32)


def draw_desks(picture: Floats) -> None:
    """In front of the people."""
    rectangle(picture, (0, 606, WIDTH, 628), (196, 156, 104))
    rectangle(picture, (0, 628, WIDTH, HEIGHT), (150, 116, 78))
    rectangle(picture, (WIDTH // 2 - 3, 606, WIDTH // 2 + 3, HEIGHT), (112, 84, 54))


def rectangle(picture: Floats, edges: tuple[int, int, int, int], colour: tuple[int, int, int]) -> None:
    left, top, right, bottom = edges
    cv2.rectangle(picture, (left, top), (right - 1, bottom - 1), colour, -1)


def frame_at(phase: float, background: Floats, figures: list[tuple[Floats, Path2D]]) -> NDArray[np.uint8]:
    picture = background.copy()
    for sprite, path in figures:
        layer = cv2.warpAffine(sprite, path.matrix(phase), (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR)
        picture = picture * (1 - layer[:, :, 3:]) + layer[:, :, :3] * path.brightness(phase)
    draw_desks(picture)
    return np.asarray(np.clip(picture, 0, 255), np.uint8)


def write_clip(file: Path, figures: list[tuple[Floats, Path2D]]) -> None:
    background = classroom()
    count = FPS * SECONDS
    options = {"crf": str(QUALITY_CRF), "b": "0", "cpu-used": "2", "g": str(count), "row-mt": "1"}
    with av.open(str(file), "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libvpx-vp9", rate=FPS, options=options)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for index in range(count):
            picture = frame_at(index / count, background, figures)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))


def write_truth(file: Path, paths: list[Path2D]) -> None:
    """Where the faces are in each frame, in the form of server/bench/truth.py: the first one's is known."""
    count = FPS * SECONDS
    names = (PERSON_NAME, None)
    frames = [
        [
            {"person": name, "id": number, "box": face_box(path.matrix(index / count))}
            for number, (name, path) in enumerate(zip(names, paths, strict=True), 1)
        ]
        for index in range(count)
    ]
    file.write_text(json.dumps({"width": WIDTH, "height": HEIGHT, "fps": FPS, "frames": frames}))


def face_box(matrix: Floats) -> list[int]:
    """The face's x, y, width and height in the picture."""
    top, right, bottom, left = FACE
    corners = np.array([(left, top), (right, top), (right, bottom), (left, bottom)]) - FIGURE_ORIGIN
    placed = ENLARGED * corners @ matrix[:, :2].T + matrix[:, 2]
    (x, y), (x_end, y_end) = placed.min(axis=0).round(), placed.max(axis=0).round()
    return [int(x), int(y), int(x_end - x), int(y_end - y)]


def filled(outline: Points, shape: tuple[int, int] = (512, 512)) -> Floats:
    area = np.zeros(shape, np.float32)
    cv2.fillPoly(area, [outline.round().astype(np.int32)], 1.0, cv2.LINE_AA)
    return area


def soft(area: NDArray[np.generic], sigma: float) -> Floats:
    return np.asarray(cv2.GaussianBlur(area.astype(np.float32), (0, 0), sigma), np.float32)


if __name__ == "__main__":
    main()
