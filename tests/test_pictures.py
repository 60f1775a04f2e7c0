from __future__ import annotations

import av
import numpy as np
import pytest
from av.video.reformatter import VideoReformatter

from server.recognition.pictures import Photo, Planes, clipped, packed

from .faces import astronaut


def planes_of(rgb: np.ndarray, pixel_format: str = "yuv420p") -> Planes:
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
    return packed(frame.reformat(format=pixel_format), VideoReformatter())


def difference(a: np.ndarray, b: np.ndarray) -> float:
    assert a.shape == b.shape
    return float(np.abs(a.astype(int) - b.astype(int)).mean())


@pytest.mark.parametrize("size", [(512, 512), (500, 333), (331, 501), (1, 1), (2, 3)])
def test_a_frame_of_any_size_keeps_its_picture(size: tuple[int, int]) -> None:
    rgb = astronaut()[: size[1], : size[0]]
    planes = planes_of(rgb)
    assert (planes.width, planes.height) == size
    crop, left, top = planes.rgb((0, 0, *size))
    assert (left, top) == (0, 0)
    shown = (min(size[1], crop.shape[0]), min(size[0], crop.shape[1]))
    assert difference(crop[: shown[0], : shown[1]], rgb[: shown[0], : shown[1]]) < 8  # 4:2:0 keeps a quarter of colour


@pytest.mark.parametrize("pixel_format", ["yuvj420p", "yuv422p", "yuv444p", "gray", "nv12", "rgb24"])
def test_other_pixel_formats_are_converted(pixel_format: str) -> None:
    grey = np.repeat(astronaut()[:, :, 1:2], 3, axis=2)
    crop, _, _ = planes_of(grey, pixel_format).rgb((0, 0, 512, 512))
    # yuvj420p uses the whole range of a byte; that only changes the contrast a little.
    assert difference(crop, grey) < 16


def test_padding_at_the_end_of_rows_is_left_out() -> None:
    frame = av.VideoFrame(width=101, height=50, format="yuv420p")
    assert any(plane.line_size > plane.width for plane in frame.planes), "this test needs a padded frame"
    for plane in frame.planes:
        rows = np.full((plane.height, plane.line_size), 255, np.uint8)
        rows[:, : plane.width] = 7
        plane.update(rows.tobytes())
    assert set(packed(frame, VideoReformatter()).data.tolist()) == {7}


def test_packing_copies() -> None:
    frame = av.VideoFrame.from_ndarray(astronaut(), format="rgb24").reformat(format="yuv420p")
    planes = packed(frame, VideoReformatter())
    before = planes.data.copy()
    for plane in frame.planes:
        plane.update(bytes(plane.buffer_size))
    assert np.array_equal(planes.data, before)


@pytest.mark.parametrize("long_side", [480, 100, 33])
def test_a_reduced_frame_looks_like_the_reduced_photo(long_side: int) -> None:
    rgb = astronaut()[:333]
    small = planes_of(rgb).bgr(long_side)
    assert long_side - 2 <= max(small.shape) <= long_side
    photo = Photo(rgb).bgr(small.shape[1])
    height = min(small.shape[0], photo.shape[0])
    assert difference(small[:height], photo[:height]) < 8


def test_nothing_is_enlarged() -> None:
    assert planes_of(astronaut()).bgr(4000).shape == (512, 512, 3)
    assert Photo(astronaut()).bgr(4000).shape == (512, 512, 3)


def test_a_crop_knows_where_it_begins() -> None:
    rgb = astronaut()
    for picture in (planes_of(rgb), Photo(rgb)):
        crop, left, top = picture.rgb((101.5, 51.2, 200.0, 100.0))
        assert left in {100, 101}
        assert top in {50, 51}
        assert difference(crop, rgb[top : top + crop.shape[0], left : left + crop.shape[1]]) < 8


@pytest.mark.parametrize("box", [(-50, -50, 100, 100), (600, 600, 10, 10), (-10, 20, 5, 5), (0, 0, 9999, 9999)])
def test_a_box_outside_the_picture_is_clipped(box: tuple[float, float, float, float]) -> None:
    left, top, right, bottom = clipped(box, 512, 512)
    assert 0 <= left < right <= 512
    assert 0 <= top < bottom <= 512
    assert planes_of(astronaut()).rgb(box)[0].size > 0
    assert Photo(astronaut()).rgb(box)[0].size > 0
