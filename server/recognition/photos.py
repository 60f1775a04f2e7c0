"""Photos for enrolment: from the bytes of a file to one face's embedding, or a refusal that says what to do.

Runs where the engine runs: in the recognition process for the web, in its own process for `surveillx enroll`. A file
is never trusted: its kind is taken from its content, and its size is known before a pixel is decoded.
"""

from __future__ import annotations

import struct
import warnings
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

import cv2
import numpy as np
from PIL import Image, ImageOps

from ..errors import Unprocessable
from .gallery import Embedding
from .pictures import SURE, Box, Detection, Photo, Picture
from .quality import sharpness

if TYPE_CHECKING:
    from .engine import Engine  # for its type only: importing it is the recognition process's affair

MAX_BYTES = 20_000_000
MAX_PIXELS = 50_000_000
# What cannot be decoded at a smaller size: so many pixels take 97 MB (measured; a JPEG at the limit above takes 92 MB).
MAX_PIXELS_PROGRESSIVE = 25_000_000
MAX_PIXELS_NOT_JPEG = 14_000_000
FORMATS = ("JPEG", "PNG", "WEBP", "BMP")

# Photos are reduced to this before faces are looked for; a portrait's face keeps far more than it needs.
LONG_SIDE = 2048
# What the detector sees, first for portraits of any size, then again for faces that are small in a large picture.
SEARCH_LONG_SIDES = (640, 1280)
MIN_FACE_PX = 80

# Variance of the Laplacian over a face of 80 px with its contrast normalised. Measured: sharp photos 0.075 and more; a
# blur of 2 % of the face's width 0.010 to 0.042, of 3 %, where a face is 0.45 apart from itself, 0.005 to 0.015.
MIN_SHARPNESS = 0.015
SHARPNESS_SIDE_PX = 80

THUMBNAIL_PX = 160
THUMBNAIL_MARGIN = 0.35
THUMBNAIL_QUALITY = 85


@dataclass(frozen=True, slots=True, eq=False)
class ExaminedPhoto:
    """What is kept of a photo: `embedding` (128,) float64, and a small JPEG of the face."""

    embedding: Embedding
    thumbnail: bytes


def examine(photo: bytes, engine: Engine) -> ExaminedPhoto:
    """Find the one face of a photo (JPEG, PNG, WebP or BMP) and make what the gallery needs of it.

    Raises:
        Unprocessable: it cannot serve; `reason` is not_an_image, no_face, several_faces, too_small or blurred.
    """
    picture = opened(photo)
    box = _the_one_face(picture, engine)
    if _sharpness(picture, box) < MIN_SHARPNESS:
        raise Unprocessable(
            "The face in this photo is blurred. Please take one with more light, holding the camera still.",
            reason="blurred",
        )
    return ExaminedPhoto(engine.embed(picture, box), thumbnail(picture, box))


def opened(photo: bytes) -> Photo:
    """Decode a photo upright and no larger than `LONG_SIDE`.

    Raises:
        Unprocessable: it is not an image of a known kind, or larger than any camera makes.
    """
    if len(photo) > MAX_BYTES:
        raise _not_an_image(f"This file is larger than {MAX_BYTES // 1_000_000} MB. Please save the photo smaller.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            return _decoded(photo)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise _too_many_pixels(MAX_PIXELS) from error
    except (OSError, SyntaxError, ValueError, struct.error) as error:  # what Pillow's readers raise for broken files
        raise _not_an_image(
            "This file is not a photo that can be opened. Please choose a JPEG, PNG, WebP or BMP picture."
        ) from error


def _decoded(photo: bytes) -> Photo:
    with Image.open(BytesIO(photo), formats=FORMATS) as image:
        if image.width * image.height > _most_pixels(image):
            raise _too_many_pixels(_most_pixels(image))
        image.draft("RGB", (LONG_SIDE, LONG_SIDE))  # JPEG only: decodes at a half, a quarter or an eighth
        image.thumbnail((LONG_SIDE, LONG_SIDE))
        # Phones store pictures lying on their side, with a note of how to turn them.
        upright = _opaque(ImageOps.exif_transpose(image))
    return Photo(np.asarray(upright, np.uint8))


def _sharpness(picture: Photo, box: Box) -> float:
    crop, _, _ = picture.rgb(box)
    return sharpness(np.asarray(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), np.uint8), SHARPNESS_SIDE_PX)


def _opaque(image: Image.Image) -> Image.Image:
    """8-bit RGB; what is transparent becomes white, as a page would show it."""
    if image.mode.startswith("I;16") or image.mode == "I":  # 16-bit grey, which Pillow would cut off at 255
        return Image.fromarray((np.asarray(image, np.uint32) >> 8).astype(np.uint8)).convert("RGB")
    if not image.has_transparency_data:
        return image.convert("RGB")
    layered = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layered.size, "white"), layered).convert("RGB")


def _the_one_face(picture: Photo, engine: Engine) -> Box:
    faces: list[Detection] = []
    for long_side in SEARCH_LONG_SIDES:
        faces = faces or [face for face in engine.find(picture, long_side) if face.confidence >= SURE]
    if not faces:
        raise Unprocessable(
            "No face was found in this photo. Please use one that shows the face from the front, in good light.",
            reason="no_face",
        )
    if len(faces) > 1:
        raise Unprocessable(
            f"This photo shows {len(faces)} faces. Please cut out the one that is meant, or use a photo of one person.",
            reason="several_faces",
        )
    across = min(faces[0].box[2:])
    if across < MIN_FACE_PX:
        raise Unprocessable(
            f"The face in this photo is too small: {across:.0f} pixels across, {MIN_FACE_PX} are needed. Please use a "
            "photo taken from nearer.",
            reason="too_small",
        )
    return faces[0].box


def thumbnail(picture: Picture, box: Box) -> bytes:
    """A small square JPEG of the face in `box`."""
    x, y, width, height = box
    side = max(width, height) * (1 + 2 * THUMBNAIL_MARGIN)
    crop, _, _ = picture.rgb((x + (width - side) / 2, y + (height - side) / 2, side, side))
    square = ImageOps.fit(Image.fromarray(crop), (THUMBNAIL_PX, THUMBNAIL_PX))
    buffer = BytesIO()
    square.save(buffer, "JPEG", quality=THUMBNAIL_QUALITY)
    return buffer.getvalue()


def _most_pixels(image: Image.Image) -> int:
    """How many pixels a file of this kind may have, so that looking at it takes no more than 100 MB."""
    if image.format != "JPEG":
        return MAX_PIXELS_NOT_JPEG
    return MAX_PIXELS_PROGRESSIVE if "progressive" in image.info else MAX_PIXELS


def _too_many_pixels(most: int) -> Unprocessable:
    return _not_an_image(
        f"This picture has more than {most // 1_000_000} million pixels. Please save the photo smaller, or as a JPEG."
    )


def _not_an_image(detail: str) -> Unprocessable:
    return Unprocessable(detail, reason="not_an_image")
