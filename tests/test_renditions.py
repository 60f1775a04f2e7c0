"""Sizes for good and for slow lines."""

from __future__ import annotations

import pytest

from server.renditions import Scaler, renditions

from .peers import picture

FULL, LOW = renditions(2_500_000, 300_000)


@pytest.mark.parametrize(
    ("source", "full", "low"),
    [
        ((1280, 720), (1280, 720), (640, 360)),
        ((1920, 1080), (1280, 720), (640, 360)),
        ((720, 1280), (720, 1280), (360, 640)),
        ((640, 480), (640, 480), (480, 360)),
        ((640, 360), (640, 360), (640, 360)),
        ((321, 181), (320, 180), (320, 180)),
        ((1366, 769), (1278, 720), (638, 360)),
        ((1, 1), (2, 2), (2, 2)),
    ],
)
def test_no_frame_is_enlarged_and_sides_are_even(
    source: tuple[int, int], full: tuple[int, int], low: tuple[int, int]
) -> None:
    assert FULL.size(*source) == full
    assert LOW.size(*source) == low


def test_the_low_bitrate_is_never_the_higher_one() -> None:
    assert renditions(200_000, 300_000)[1].bitrate_bps == 200_000


def test_a_frame_is_scaled_once_and_keeps_its_time() -> None:
    scaler, frame = Scaler(LOW), picture(1280, 720)
    frame.pts = 4711
    small = scaler.fit(frame)
    assert (small.width, small.height, small.pts) == (640, 360, 4711)
    assert scaler.fit(frame) is small
    assert scaler.fit(picture(1280, 720)) is not small
    scaler.forget()


def test_a_frame_that_fits_passes_untouched() -> None:
    frame = picture(640, 360)
    assert Scaler(FULL).fit(frame) is frame
    assert Scaler(LOW).fit(frame) is frame
