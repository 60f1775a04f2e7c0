from __future__ import annotations

import pytest

from server.recognition.motion import closeness, iou, paired
from server.recognition.pictures import Box


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
