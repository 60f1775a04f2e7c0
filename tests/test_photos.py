from __future__ import annotations

import warnings
import zlib
from io import BytesIO

import cv2
import numpy as np
import pytest
from PIL import Image

from server.errors import Unprocessable
from server.recognition.engine import Engine, open_engine
from server.recognition.photos import LONG_SIDE, MAX_BYTES, MAX_PIXELS, examine, opened
from server.recognition.pictures import Pixels
from server.sample import PHOTO

from .faces import astronaut, jpeg, six_people

ORIENTATION_TAG = 0x0112
# EXIF orientation -> how the camera stored the upright picture.
STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    6: Image.Transpose.ROTATE_90,
    8: Image.Transpose.ROTATE_270,
}


@pytest.fixture(scope="module")
def engine() -> Engine:
    return open_engine()


def saved(rgb: Pixels, kind: str, **options: object) -> bytes:
    buffer = BytesIO()
    Image.fromarray(rgb).save(buffer, kind, **options)
    return buffer.getvalue()


def refusal(photo: bytes, engine: Engine) -> Unprocessable:
    with pytest.raises(Unprocessable) as caught:
        examine(photo, engine)
    assert caught.value.detail.endswith(".")
    assert "Please" in caught.value.detail, "it says what to do next"
    return caught.value


def blurred(rgb: Pixels, sigma: float) -> Pixels:
    return np.asarray(cv2.GaussianBlur(rgb, (0, 0), sigma), np.uint8)


def test_a_good_photo_gives_an_embedding_and_a_thumbnail(engine: Engine) -> None:
    examined = examine(jpeg(astronaut()), engine)
    assert examined.embedding.shape == (128,)
    assert examined.embedding.dtype == np.float64
    thumbnail = Image.open(BytesIO(examined.thumbnail))
    assert (thumbnail.format, thumbnail.size) == ("JPEG", (160, 160))
    assert len(examined.thumbnail) < 20_000
    assert not thumbnail.getexif(), "nothing of the photo but the face"


def test_the_sample_photo_is_a_good_one(engine: Engine) -> None:
    assert examine(PHOTO.read_bytes(), engine).embedding.shape == (128,)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "BMP"])
def test_other_kinds_of_files(engine: Engine, kind: str) -> None:
    expected = examine(jpeg(astronaut(), quality=98), engine).embedding
    assert np.linalg.norm(examine(saved(astronaut(), kind), engine).embedding - expected) < 0.15


@pytest.mark.parametrize("orientation", STORED)
def test_photos_are_turned_upright(engine: Engine, orientation: int) -> None:
    image = Image.fromarray(astronaut())
    stored = STORED[orientation]
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = orientation
    photo = saved(np.asarray(image if stored is None else image.transpose(stored)), "JPEG", exif=exif, quality=92)
    expected = examine(jpeg(astronaut()), engine).embedding
    assert np.linalg.norm(examine(photo, engine).embedding - expected) < 0.2


def test_a_transparent_png_and_a_grey_one(engine: Engine) -> None:
    opaque = np.dstack([astronaut(), np.full((512, 512), 255, np.uint8)])
    assert examine(saved(opaque, "PNG"), engine).embedding.shape == (128,)
    assert examine(saved(astronaut()[:, :, 1], "PNG"), engine).embedding.shape == (128,)


def test_what_is_transparent_is_white() -> None:
    pixels = np.zeros((64, 64, 4), np.uint8)
    assert opened(saved(pixels, "PNG")).pixels.min() == 255
    palette = Image.new("P", (64, 64))
    palette.info["transparency"] = 0
    buffer = BytesIO()
    palette.save(buffer, "PNG", transparency=0)
    assert opened(buffer.getvalue()).pixels.min() == 255


@pytest.mark.parametrize("kind", ["16-bit grey", "CMYK", "animated WebP", "polyglot"])
def test_unusual_but_honest_files(engine: Engine, kind: str) -> None:
    image, buffer = Image.fromarray(astronaut()), BytesIO()
    if kind == "16-bit grey":
        Image.fromarray(np.asarray(image.convert("L"), np.uint16) * 257).save(buffer, "PNG")
    elif kind == "CMYK":
        image.convert("CMYK").save(buffer, "JPEG", quality=95)
    elif kind == "animated WebP":
        image.save(buffer, "WEBP", save_all=True, append_images=[Image.new("RGB", image.size)], duration=100)
    else:
        buffer.write(jpeg(astronaut()) + b"PK\x03\x04<script>alert(1)</script>")
    examined = examine(buffer.getvalue(), engine)
    expected = examine(jpeg(astronaut()), engine).embedding
    assert np.linalg.norm(examined.embedding - expected) < 0.35
    assert b"script" not in examined.thumbnail


def test_a_photo_of_a_large_camera(engine: Engine) -> None:
    portrait = np.asarray(Image.fromarray(astronaut()[:300, 60:420]).resize((4800, 4000)))
    photo = jpeg(portrait, quality=70)
    assert max(opened(photo).pixels.shape) <= LONG_SIDE
    assert examine(photo, engine).embedding.shape == (128,)


def test_nobody(engine: Engine) -> None:
    assert refusal(jpeg(astronaut()[280:, 60:280]), engine).reason == "no_face"


def test_several(engine: Engine) -> None:
    error = refusal(jpeg(six_people()), engine)
    assert error.reason == "several_faces"
    assert "6 faces" in error.detail


def test_a_small_face(engine: Engine) -> None:
    small = np.asarray(Image.fromarray(astronaut()).resize((256, 256)))
    canvas = np.full((900, 1200, 3), 128, np.uint8)
    canvas[:256, :256] = small
    for photo in (small, canvas):
        error = refusal(jpeg(np.ascontiguousarray(photo)), engine)
        assert error.reason == "too_small"
        assert "80 are needed" in error.detail


def test_a_blurred_face(engine: Engine) -> None:
    assert refusal(jpeg(blurred(astronaut(), 2.9)), engine).reason == "blurred"
    assert examine(jpeg(blurred(astronaut(), 0.7)), engine).embedding.shape == (128,), "a little is no harm"


@pytest.mark.parametrize(
    "photo",
    [
        b"",
        b"GIF89a" + bytes(100),
        b"\xff\xd8\xff\xe0" + bytes(50),
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"%PDF-1.4\n" + bytes(100),
        jpeg(astronaut())[:9000],
        saved(astronaut(), "PNG")[:9000],
        saved(astronaut(), "TIFF"),
        saved(astronaut(), "GIF"),
    ],
    ids=["empty", "gif-head", "jpeg-head", "svg", "pdf", "half-jpeg", "half-png", "tiff", "gif"],
)
def test_what_is_not_a_photo(engine: Engine, photo: bytes) -> None:
    assert refusal(photo, engine).reason == "not_an_image"


def test_too_many_bytes_are_refused_unread(engine: Engine) -> None:
    error = refusal(jpeg(astronaut()) + bytes(MAX_BYTES), engine)
    assert error.reason == "not_an_image"
    assert "20 MB" in error.detail


@pytest.mark.parametrize("side", [7100, 10_000, 20_000])
def test_too_many_pixels_are_refused_by_the_header(engine: Engine, side: int) -> None:
    assert side * side > MAX_PIXELS
    black = saved(np.zeros((1, 1), np.uint8), "PNG")
    header = side.to_bytes(4, "big") * 2
    bomb = black[:16] + header + black[24:]
    # The checksum of the header must fit, or Pillow refuses the file for that.
    checksum = zlib.crc32(bomb[12:29]).to_bytes(4, "big")
    error = refusal(bomb[:29] + checksum + bomb[33:], engine)
    assert error.reason == "not_an_image"
    assert "million pixels" in error.detail


def test_a_refusal_changes_no_warning_filters(engine: Engine) -> None:
    before = list(warnings.filters)
    refusal(b"", engine)
    assert list(warnings.filters) == before
