from __future__ import annotations

import pytest

from server.recognition.detectors import CnnDetector
from server.recognition.motion import Motion, closeness, iou, paired
from server.recognition.pictures import Box
from server.recognition.search import Search

from .moving import PATHS, Path, overlaps


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ((0, 0, 10, 10), (0, 0, 10, 10), 1.0),
        ((0, 0, 10, 10), (5, 0, 10, 10), 1 / 3),
        ((0, 0, 10, 10), (20, 0, 10, 10), 0.0),
        ((0, 0, 10, 10), (20, 20, 10, 10), 0.0),
    ],
)
def test_iou(a: Box, b: Box, expected: float) -> None:
    assert iou(a, b) == pytest.approx(expected)


def test_boxes_of_other_sizes_and_far_away_are_other_faces() -> None:
    assert closeness((0, 0, 80, 80), (60, 0, 20, 20)) == 0
    assert closeness((0, 0, 80, 80), (90, 0, 80, 80)) == 0
    assert 0 < closeness((0, 0, 80, 80), (70, 0, 80, 80)) < 1


def test_the_best_pairs_are_taken_first() -> None:
    expected = [(0.0, 0.0, 80.0, 80.0), (60.0, 0.0, 80.0, 80.0)]
    found = [(58.0, 0.0, 80.0, 80.0), (20.0, 0.0, 80.0, 80.0)]
    assert sorted(paired(expected, found)) == [(0, 1), (1, 0)]
    assert paired([], found) == []


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.name)
def test_boxes_are_where_the_face_is_in_every_frame(path: Path) -> None:
    """30 frames a second, six recognised, each told 60 to 200 ms late; from the first box on, its speed yet unknown."""
    found = overlaps(path, Search(CnnDetector()), seconds=4.5)
    assert len(found) > 120
    assert sum(found) / len(found) >= 0.7


def test_a_speed_is_known_from_the_second_sighting_on() -> None:
    motion = Motion((100.0, 100.0, 80.0, 80.0), 0.0)
    motion.follow((120.0, 90.0, 80.0, 80.0), 0.2)
    assert motion.velocity == pytest.approx((100, -50))
    assert motion.predicted(0.4)[0] > motion.box[0] + 15


def test_a_still_face_does_not_shake_with_the_detectors_noise() -> None:
    motion = Motion((100.0, 100.0, 80.0, 80.0), 0.0)
    for n in range(1, 30):
        motion.follow((100.0 + 2 * (n % 2), 100.0, 80.0, 80.0), n / 6)
    assert abs(motion.velocity[0]) < 12


def test_a_face_that_stops_is_soon_believed() -> None:
    motion = Motion((100.0, 100.0, 80.0, 80.0), 0.0)
    for n in range(1, 7):
        motion.follow((100.0 + 40 * n, 100.0, 80.0, 80.0), n / 6)
    for n in range(7, 10):
        motion.follow((340.0, 100.0, 80.0, 80.0), n / 6)
    assert motion.predicted(9 / 6 + 0.2)[0] == pytest.approx(340, abs=20)
