"""Whatever recognition, a class list, a photo or a peer's fragment may hold: drawn or refused, never a crash."""

from __future__ import annotations

from fractions import Fraction
from io import BytesIO

import numpy as np
import pytest
from av.video.frame import VideoFrame
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from server.annotate import Overlay, Overlays, draw, render
from server.errors import BadRequest, Unprocessable
from server.events import Detections, Face
from server.recognition.photos import LONG_SIDE, opened
from server.roster_csv import read_csv
from server.sdp import MAX_CANDIDATES
from server.trickle import RemoteIce, parse_fragment

from .test_sdp import FIREFOX
from .test_trickle import FRAGMENT

sides = st.integers(2, 200) | st.sampled_from((16, 17, 640, 641))
# Every float there is: recognition is a process of its own, and a box may come out of a division by zero.
numbers = st.floats(-1e4, 1e4) | st.floats() | st.integers(-(10**30), 10**30).map(float)
boxes = st.tuples(numbers, numbers, numbers, numbers)
# Any script, both directions, control characters, lone surrogates, letters that no font has.
names = st.text(max_size=60) | st.sampled_from(
    (
        "",
        " ",
        "\n",
        "\0",
        "\u202eadA",
        "مریم",
        "דוד",
        "Ω" * 500,
        "👩🏽‍🏫",
        "🇮🇳" * 20,
        "\ud800",
        "a\u0300" * 50,
        "\ufdfd" * 40,
    )
)
faces = st.builds(
    Face,
    track_id=st.integers(0, 5),
    person_id=st.none() | st.integers(1, 5),
    name=names,
    confidence=st.floats(0, 1),
    box=boxes,
    velocity=st.tuples(numbers, numbers),
    unseen_s=st.floats(0, 1),
    is_hidden=st.booleans(),
)


def grey(width: int, height: int, pixels: str = "yuv420p") -> VideoFrame:
    frame = VideoFrame.from_ndarray(np.full((height, width, 3), 90, np.uint8), format="rgb24").reformat(format=pixels)
    frame.pts, frame.time_base = 9000, Fraction(1, 90_000)
    return frame


@given(
    sides,
    sides,
    st.lists(st.builds(Overlay, boxes, names, st.booleans(), st.none() | boxes), min_size=1, max_size=4),
    st.sampled_from(("yuv420p", "yuv420p", "rgb24", "gray", "yuv422p")),
)
def test_any_overlay_on_any_frame(width: int, height: int, overlays: list[Overlay], pixels: str) -> None:
    drawn = draw(grey(width, height, pixels), overlays)
    assert (drawn.width, drawn.height) == (width, height)
    assert drawn.pts == 9000


@given(st.lists(faces, max_size=4), sides, sides, sides, sides, st.integers(-(2**40), 2**40), st.booleans())
def test_any_result_of_recognition(
    found: list[Face], width: int, height: int, seen_width: int, seen_height: int, later: int, pixelate: bool
) -> None:
    overlays = Overlays(pixelate_unknown=pixelate)
    overlays.update(Detections("1", 9000, seen_width, seen_height, tuple(found)))
    pictures = render(grey(width, height), overlays.at(9000 + later, width, height), {"annotated", "clean"})
    assert {(each.width, each.height) for each in pictures.values()} == {(width, height)}


@st.composite
def spoilt_text(draw: st.DrawFn, text: str) -> str:
    """A text with some of its parts overwritten."""
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(text)))
        text = text[:at] + draw(st.text(max_size=8)) + text[at + draw(st.integers(0, 8)) :]
    return text


@given(spoilt_text(FRAGMENT) | st.text())
def test_any_fragment(text: str) -> None:
    try:
        fragment = parse_fragment(text)
        ice = RemoteIce(FIREFOX)
        taken = [] if ice.is_restart(fragment) else ice.take(fragment)
    except BadRequest as refused:
        _ = refused.detail
        return
    assert len(taken) <= MAX_CANDIDATES
    assert all(0 < each.port <= 65535 and each.component == 1 for each in taken)


ROSTER = 'name,roll_no,class,photo\nAda Sample,7,5a,ada.jpg;ada2.jpg\n"Grace, H.",8,5b,\n'


@given(
    spoilt_text(ROSTER) | st.text() | st.binary().map(lambda data: data.decode("latin-1")),
    st.lists(st.text(max_size=20) | st.sampled_from(("ada.jpg", "5a/7 Ada.jpg", "../../x.jpg", "a\0.png")), max_size=5),
)
def test_any_list_of_a_class(text: str, files: list[str]) -> None:
    try:
        roster = read_csv(text, files)
    except Unprocessable as refused:
        _ = refused.detail
        return
    assert all(photo in files for entry in roster.entries for photo in entry.files)


def encoded(kind: str, mode: str, size: tuple[int, int]) -> bytes:
    buffer = BytesIO()
    Image.new(mode, size, 3).save(buffer, kind)
    return buffer.getvalue()


PHOTOS = [
    encoded(*each)
    for each in (
        ("JPEG", "RGB", (64, 48)),
        ("JPEG", "CMYK", (33, 31)),
        ("PNG", "RGBA", (40, 50)),
        ("PNG", "P", (40, 50)),
        ("PNG", "I;16", (21, 20)),
        ("WEBP", "RGBA", (32, 32)),
        ("BMP", "1", (31, 33)),
    )
]


@st.composite
def spoilt_photos(draw: st.DrawFn) -> bytes:
    """A small picture with some bytes changed: mostly its header, where sizes and lengths stand."""
    data = bytearray(draw(st.sampled_from(PHOTOS)))
    for _ in range(draw(st.integers(1, 8))):
        at = draw(st.integers(0, min(60, len(data))) | st.integers(0, len(data)))
        data[at : at + draw(st.integers(0, 4))] = draw(
            st.binary(max_size=4) | st.sampled_from((b"\xff" * 4, b"\0" * 4))
        )
    return bytes(data)


@given(spoilt_photos() | st.binary(max_size=200))
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")  # Pillow's, of files that are odd
def test_any_photo(data: bytes) -> None:
    """FAULTS 32: opened and no larger than it may be, or refused with the reason."""
    try:
        photo = opened(data)
    except Unprocessable as refused:
        _ = refused.reason
        return
    assert max(photo.rgb((0, 0, 1e9, 1e9))[0].shape[:2]) <= LONG_SIDE
