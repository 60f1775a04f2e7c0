"""The search over whole frames with the real detector: small, turned, covered, at tile borders, in any picture."""

from __future__ import annotations

from collections.abc import Sequence

import av
import cv2
import numpy as np
import pytest
from av.video.reformatter import VideoReformatter
from skimage import data

from server.recognition.detectors import CnnDetector, HogDetector
from server.recognition.motion import iou
from server.recognition.pictures import SURE, Box, Detection, Photo, Planes, packed
from server.recognition.search import Search, merged, packed_places, tiles

from .faces import Picture, astronaut, crowd

SWEEP_JOBS = 6


@pytest.fixture(scope="module")
def detector() -> CnnDetector:
    return CnnDetector()


def planes(rgb: Picture) -> Planes:
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
    return packed(frame.reformat(format="yuv420p"), VideoReformatter())


def face_at(x: int, y: int, width: int, size: tuple[int, int] = (1280, 720)) -> tuple[Picture, Box]:
    """A grey picture with one face whose box begins at x, y, and that box."""
    scale = width / 85  # the face of the astronaut is 85 px wide and begins at 180, 62
    portrait = cv2.resize(astronaut()[20:240, 110:330], None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    picture = np.full((size[1], size[0], 3), 110, np.uint8)
    left, top = round(x - 70 * scale), round(y - 42 * scale)
    inside = portrait[max(0, -top) : size[1] - top, max(0, -left) : size[0] - left]
    left, top = max(0, left), max(0, top)
    picture[top : top + inside.shape[0], left : left + inside.shape[1]] = inside
    return picture, (float(x), float(y), float(width), width * 1.3)


def sure(found: Sequence[Detection]) -> list[Box]:
    return [face.box for face in found if face.confidence >= SURE]


def sweep(search: Search, picture: Planes, jobs: int = SWEEP_JOBS) -> list[Box]:
    """All sure faces of so many frames, followed as tracks would."""
    followed: list[Box] = []
    for _ in range(jobs):
        found = sure(search.faces(picture, followed, busy=False))
        followed += [box for box in found if not any(iou(box, old) > 0.2 for old in followed)]
    return followed


@pytest.mark.parametrize("face_px", [24, 32, 48, 80])
def test_a_row_of_six_is_found_and_seen_again_in_every_frame(detector: CnnDetector, face_px: int) -> None:
    search, picture = Search(detector), planes(crowd(face_px))
    followed = sweep(search, picture)
    assert len(followed) >= 6
    for _ in range(3):
        seen = search.faces(picture, followed, busy=True)
        assert sum(any(iou(box, face.box) > 0.3 for face in seen) for box in followed) >= 6


@pytest.mark.parametrize(("x", "y"), [(420, 330), (436, 100), (850, 350), (2, 2), (1230, 660), (640, 360)])
def test_a_small_face_is_found_once_wherever_it_is(detector: CnnDetector, x: int, y: int) -> None:
    """The first ones lie on the borders of tiles."""
    picture, box = face_at(x, y, 24)
    (found,) = sweep(Search(detector), planes(picture))
    assert iou(found, box) > 0.3


def test_a_followed_face_is_seen_where_it_went(detector: CnnDetector) -> None:
    search = Search(detector)
    (followed,) = sweep(search, planes(face_at(400, 300, 24)[0]))
    moved, box = face_at(412, 306, 24)
    assert any(iou(face.box, box) > 0.3 for face in search.faces(planes(moved), [followed], busy=True))


@pytest.mark.parametrize("angle", [-20, 20])
def test_a_small_turned_head_is_found(detector: CnnDetector, angle: int) -> None:
    picture, box = face_at(600, 300, 36)
    turn = cv2.getRotationMatrix2D((618, 323), angle, 1)
    turned = np.asarray(cv2.warpAffine(picture, turn, (1280, 720), borderValue=(110, 110, 110)), np.uint8)
    (found,) = sweep(Search(detector), planes(turned))
    assert iou(found, box) > 0.3


def test_a_small_face_behind_a_mask_is_found(detector: CnnDetector) -> None:
    picture, box = face_at(600, 300, 40)
    x, y, width, height = (round(value) for value in box)
    picture[y + round(0.62 * height) : y + height, x : x + width] = (120, 160, 200)
    (found,) = sweep(Search(detector), planes(picture))
    assert iou(found, box) > 0.3


@pytest.mark.parametrize("size", [(640, 480), (720, 1280), (1920, 1080), (321, 241), (1279, 719), (480, 270)])
def test_any_size_of_picture(detector: CnnDetector, size: tuple[int, int]) -> None:
    picture, box = face_at(size[0] // 2, size[1] // 2, max(size) // 20, size)
    (found,) = sweep(Search(detector), planes(picture), 8)
    assert iou(found, box) > 0.3


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (3, 900), (71, 33), (16, 1280)])
def test_tiny_pictures_have_no_faces(detector: CnnDetector, size: tuple[int, int]) -> None:
    assert sweep(Search(detector), planes(np.full((size[1], size[0], 3), 128, np.uint8)), 3) == []


@pytest.mark.parametrize("side", [64, 300, 900])
def test_a_face_that_fills_the_picture_is_one_face(detector: CnnDetector, side: int) -> None:
    close = np.asarray(cv2.resize(astronaut()[40:200, 150:300], (side, side)), np.uint8)
    assert len(sweep(Search(detector), planes(close))) == 1


def test_a_grey_picture_is_searched_as_well(detector: CnnDetector) -> None:
    grey = cv2.cvtColor(cv2.cvtColor(crowd(40), cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    assert len(sweep(Search(detector), planes(np.asarray(grey, np.uint8)))) >= 6


@pytest.mark.parametrize("name", ["coffee", "rocket", "chelsea", "brick", "grass", "gravel", "text", "coins"])
def test_nothing_begins_a_track_where_nobody_is(detector: CnnDetector, name: str) -> None:
    still = np.asarray(getattr(data, name)(), np.uint8)
    still = still if still.ndim == 3 else np.repeat(still[:, :, None], 3, axis=2)
    scale = 1280 / max(still.shape[:2])
    still = np.asarray(cv2.resize(still, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)[:720]
    picture = np.full((720, 1280, 3), 110, np.uint8)
    picture[: still.shape[0], : still.shape[1]] = still
    assert sweep(Search(detector), planes(picture)) == []


def test_while_looks_are_due_the_sweep_slows_down_but_goes_on() -> None:
    counted = Counted()
    search, picture = Search(counted), planes(np.zeros((720, 1280, 3), np.uint8))
    for _ in range(9):
        search.faces(picture, [], busy=True)
    assert counted.passes == 9 + 3
    search.faces(picture, [], busy=False)
    assert counted.passes == 9 + 3 + 2


def test_expected_faces_outside_the_picture_cost_nothing() -> None:
    counted = Counted()
    search = Search(counted)
    search.faces(
        planes(np.zeros((270, 480, 3), np.uint8)), [(-200.0, 10.0, 40.0, 40.0), (481.0, 0.0, 40.0, 40.0)], True
    )
    assert counted.passes == 1


def test_a_slow_detector_sees_the_picture_once() -> None:
    counted = Counted()
    counted.is_quick = False
    Search(counted).faces(planes(np.zeros((720, 1280, 3), np.uint8)), [(10.0, 10.0, 40.0, 40.0)], False)
    assert counted.passes == 1


def test_hog_finds_faces_through_the_search() -> None:
    import face_recognition  # noqa: PLC0415 - loads its models

    search = Search(HogDetector(face_recognition))
    assert len(sure(search.faces(Photo(astronaut()), [], busy=False))) == 1


@pytest.mark.parametrize("size", [(1280, 720), (640, 480), (720, 1280), (1920, 1080), (1279, 719), (500, 30)])
def test_tiles_cover_the_picture_and_overlap(size: tuple[int, int]) -> None:
    width, height = size
    scale = min(1.0, 960 / max(size))
    covered = np.zeros((height, width), int)
    for x, y, w, h in tiles(width, height, scale):
        assert max(w, h) * scale <= 353
        covered[round(y) : round(y + h), round(x) : round(x + w)] += 1
    assert covered.min() >= 1


def test_of_finds_that_are_one_face_the_surest_stays() -> None:
    whole = Detection((100, 100, 40, 52), 0.7)
    tile = Detection((102, 101, 38, 50), 0.9)
    half = Detection((101, 102, 20, 50), 0.6)
    neighbour = Detection((135, 100, 40, 52), 0.8)
    assert merged([whole, tile, half, neighbour]) == [tile, neighbour]


def test_cells_of_the_mosaic_do_not_overlap() -> None:
    shapes = [(90, 60), (50, 200), (70, 300), (90, 400), (10, 10)]
    places, height = packed_places(shapes, 480)
    canvas = np.zeros((height, 480), int)
    for (left, top), (down, across) in zip(places, shapes, strict=True):
        assert canvas[top : top + down, left : left + across].shape == (down, across)
        canvas[top : top + down, left : left + across] += 1
    assert canvas.max() == 1


class Counted:
    """A detector that finds nothing and counts its passes."""

    name = "counted"

    def __init__(self) -> None:
        self.is_quick = True
        self.passes = 0

    def detect(self, bgr: Picture) -> list[Detection]:
        assert bgr.ndim == 3
        self.passes += 1
        return []

    def long_side(self, wanted: int) -> int:
        return wanted
