"""Which looks are worth an embedding: judged on real faces."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from server.recognition.engine import Engine, open_engine
from server.recognition.pictures import Box, Photo, Pixels
from server.recognition.quality import Quality, quality

from .faces import astronaut

MIN_PX, MIN_SHARPNESS = 40.0, 0.06


@pytest.fixture(scope="module")
def box() -> Box:
    engine: Engine = open_engine()
    return engine.find(Photo(astronaut()))[0].box


def judged(pixels: Pixels, box: Box, scale: float = 1.0) -> Quality:
    small = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    place = (box[0] * scale, box[1] * scale, box[2] * scale, box[3] * scale)
    return quality(Photo(np.asarray(small, np.uint8)), place, MIN_PX, MIN_SHARPNESS)


def test_a_good_face_is_nearly_perfect(box: Box) -> None:
    best = judged(astronaut(), box)
    assert best.flaw is None
    assert 0.5 < best.score <= 1.0


def test_a_smaller_face_is_worse_and_a_very_small_one_does_not_count(box: Box) -> None:
    half, tiny = (judged(astronaut(), box, wanted / min(box[2:])) for wanted in (56, 38))
    assert 0 < half.score < judged(astronaut(), box).score
    assert (tiny.score, tiny.flaw) == (0.0, "too_small")


def test_a_blurred_face_does_not_count(box: Box) -> None:
    def blurred(share: float) -> Quality:
        return judged(np.asarray(cv2.GaussianBlur(astronaut(), (0, 0), share * box[2]), np.uint8), box)

    assert blurred(0.005).flaw is None
    assert (blurred(0.06).score, blurred(0.06).flaw) == (0.0, "blurred")


def test_bad_light_is_worse(box: Box) -> None:
    good = judged(astronaut(), box).score
    dark = judged(np.asarray(astronaut() * 0.15, np.uint8), box)
    bright = judged(np.asarray(255 - (255 - astronaut()) * 0.15, np.uint8), box)
    assert dark.score < 0.5 * good
    assert bright.score < 0.5 * good


def test_a_face_cut_by_the_pictures_edge_is_worse(box: Box) -> None:
    half_way = int(box[0] + box[2] / 2)
    cut = judged(np.ascontiguousarray(astronaut()[:, half_way:]), (box[0] - half_way, *box[1:]))
    assert cut.score < 0.7 * judged(astronaut(), box).score


def test_a_plain_grey_patch_is_no_face() -> None:
    assert judged(np.full((200, 200, 3), 128, np.uint8), (50, 50, 100, 100)).flaw == "blurred"
