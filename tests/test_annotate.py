"""Drawing: the pixels change where they should and nowhere else, in any script, whatever the box."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from aiortc import VideoStreamTrack
from av.video.frame import VideoFrame

from server.annotate import KEEP_S, AnnotatedTrack, Overlay, Overlays, PictureKind, draw, render
from server.events import Detections, Face
from server.labels import choose_font, render_label
from server.recognition.detectors import CnnDetector
from server.recognition.pictures import LIKELY, Pixels

from .faces import astronaut
from .peers import TIME_BASE, picture

ADA = Overlay((100, 100, 80, 90), "Ada Sample", known=True)
STRANGER = Overlay((300, 200, 60, 60), "Unknown", known=False)


def pixels(frame: VideoFrame) -> Pixels:
    return np.asarray(frame.to_ndarray(), np.uint8).copy()


def changed(before: VideoFrame, overlays: list[Overlay]) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """Which luma pixels drawing changes."""
    height = before.height
    original = pixels(before)[:height]
    difference: np.ndarray[tuple[int, ...], np.dtype[np.bool_]] = pixels(draw(before, overlays))[:height] != original
    return difference


def test_nothing_to_draw_leaves_the_frame_alone() -> None:
    frame = picture()
    original = pixels(frame)
    assert draw(frame, []) is frame
    assert (pixels(frame) == original).all()


def test_a_box_and_its_label_are_drawn_and_nothing_else() -> None:
    marks = changed(picture(), [ADA])
    assert marks[100, 100:180].mean() > 0.9, "upper edge"
    assert marks[189, 100:180].mean() > 0.9, "lower edge"
    assert marks[100:190, 100].mean() > 0.9, "left edge"
    assert marks[100:190, 179].mean() > 0.9, "right edge"
    assert not marks[110:180, 110:170].any(), "the face stays free"
    assert marks[76:100, 100:180].mean() > 0.7, "the label sits on the box"
    assert not marks[200:].any()
    assert not marks[:, 260:].any()


def test_the_known_and_the_unknown_differ_in_colour() -> None:
    frame = draw(picture(), [ADA, STRANGER])
    rgb = frame.to_ndarray(format="rgb24").astype(int)
    known, unknown = rgb[145, 101], rgb[230, 301]
    assert known[1] > known[0] + 60, "green"
    assert unknown[0] > unknown[2] + 60, "amber"


@pytest.mark.parametrize(
    "box",
    [(-50, -50, 100, 100), (600, 320, 200, 200), (-10, 340, 2000, 90), (5, 0, 0, 0), (900, 900, 10, 10), (3, 3, 1, 1)],
)
def test_boxes_over_the_edge_are_clipped(box: tuple[float, float, float, float]) -> None:
    frame = draw(picture(), [Overlay(box, "Ada", known=True)])
    assert (frame.width, frame.height) == (640, 360)


@pytest.mark.parametrize("size", [(642, 362), (641, 361), (98, 54), (1920, 1080)])
def test_any_size_of_frame(size: tuple[int, int]) -> None:
    width, height = size
    frame = VideoFrame(width, height, "yuv420p")
    for plane in frame.planes:
        plane.update(bytes(plane.buffer_size))
    drawn = draw(frame, [Overlay((10, 20, 30, 25), "Ada", known=True)])
    assert drawn.to_ndarray(format="rgb24").any()


def test_a_frame_of_another_format_is_converted() -> None:
    frame = picture().reformat(format="rgb24")
    frame.pts = 77
    drawn = draw(frame, [ADA])
    assert (drawn.format.name, drawn.pts) == ("yuv420p", 77)


def test_a_frame_still_used_by_its_decoder_is_not_changed() -> None:
    frame = picture()
    reference = VideoFrame(frame.width, frame.height, "yuv420p")
    original = pixels(frame)
    draw(reference, [ADA])
    assert (pixels(frame) == original).all()


@pytest.mark.parametrize("name", ["Ada", "Žofie Ångström", "Дмитрий", "Ελένη", "محمد", "李小龙", "अदा", "<b>../x</b>"])
def test_names_in_any_script(name: str) -> None:
    label = render_label(name, 20)
    assert label.width % 2 == label.height % 2 == 0
    assert (label.coverage > 127).sum() > 20
    assert label.height == render_label("Unknown", 20).height


def test_every_letter_has_a_glyph_of_its_own() -> None:
    boxes = {render_label(letter, 20).coverage.tobytes() for letter in "李小龙"}
    assert len(boxes) == 3, "the letters of a script without a font all look the same"
    assert choose_font("Дмитрий", 20) is choose_font("Дмитрий", 20)


def test_a_very_long_name_is_cut() -> None:
    assert render_label("x" * 500, 20).width == render_label("x" * 39 + "…", 20).width


def detections(pts: int = 9000, velocity: tuple[float, float] = (0.0, 0.0)) -> Detections:
    face = Face(1, 7, "Ada", 0.9, (100, 50, 40, 40), velocity, 0.3)
    return Detections("1", pts, 640, 360, (face,))


def test_a_box_moves_with_its_face_between_recognitions() -> None:
    overlays = Overlays()
    overlays.update(detections(velocity=(30.0, -10.0)))
    (overlay,) = overlays.at(9000 + 9000, 640, 360)
    assert overlay.box == pytest.approx((103, 49, 40, 40))


def test_a_box_is_scaled_when_the_picture_changes_its_size() -> None:
    overlays = Overlays()
    overlays.update(detections())
    (overlay,) = overlays.at(9000, 1280, 720)
    assert overlay.box == pytest.approx((200, 100, 80, 80))


def test_a_box_goes_when_its_result_is_old() -> None:
    overlays = Overlays()
    assert overlays.at(0, 640, 360) == []
    overlays.update(detections())
    assert overlays.at(9000 + round(KEEP_S * 90_000), 640, 360)
    assert not overlays.at(9001 + round(KEEP_S * 90_000), 640, 360)


def test_boxes_do_not_blink_where_results_are_rare() -> None:
    overlays = Overlays()
    face = Face(1, None, "Unknown", 1.0, (10.0, 10.0, 20.0, 20.0), is_hidden=True)
    for second in (0, 1, 2):
        overlays.update(Detections("1", second * 90_000, 640, 360, (face,)))
    assert overlays.at(2 * 90_000 + 126_000, 640, 360)[0].pixelated, "hidden until the next result has come"
    assert not overlays.at(2 * 90_000 + 136_000, 640, 360)
    overlays.update(Detections("1", 60 * 90_000, 640, 360, (face,)))
    assert not overlays.at(60 * 90_000 + 181_000, 640, 360), "a pause is no interval"
    overlays.update(Detections("1", 60 * 90_000 + 15_000, 640, 360, (face,)))
    assert not overlays.at(61 * 90_000, 640, 360)
    assert not overlays.at(0, 640, 360), "a frame from before"


async def test_the_annotated_track_is_a_video_stream_track() -> None:
    frames: asyncio.Queue[VideoFrame] = asyncio.Queue()
    overlays = Overlays()
    with ThreadPoolExecutor(1) as executor:
        track = AnnotatedTrack(frames.get, overlays, executor)
        assert isinstance(track, VideoStreamTrack)
        plain = picture()
        plain.pts = 9000
        original = pixels(plain)
        await frames.put(plain)
        assert await track.recv() is plain
        assert (pixels(plain) == original).all(), "nothing to draw: untouched"
        overlays.update(detections())
        await frames.put(plain)
        assert (pixels(await track.recv()) != original).any()


def result(*faces: Face, pts: int = 9000, size: tuple[int, int] = (512, 512)) -> Detections:
    return Detections("1", pts, *size, faces)


def hidden(velocity: tuple[float, float] = (0.0, 0.0), unseen_s: float = 0.0) -> Face:
    """The astronaut's face, as recognition tells of somebody without consent."""
    return Face(1, None, "Unknown", 0.9, (180, 62, 85, 110), velocity, 0.3, unseen_s, is_hidden=True)


def portrait(size: tuple[int, int] = (512, 512)) -> VideoFrame:
    frame = VideoFrame.from_ndarray(np.ascontiguousarray(astronaut()[: size[1], : size[0]]), format="rgb24")
    return frame.reformat(format="yuv420p")


def bgr(frame: VideoFrame) -> Pixels:
    return np.asarray(frame.to_ndarray(format="bgr24"), np.uint8)


def overlays_of(detected: Detections, *, pixelate_unknown: bool = False) -> Overlays:
    overlays = Overlays(pixelate_unknown=pixelate_unknown)
    overlays.update(detected)
    return overlays


def test_each_face_goes_half_a_second_after_it_was_last_seen() -> None:
    """A result may be new and still tell of a face that was not found in its frame."""
    seen = Face(1, None, "Unknown", 0.9, (10, 10, 40, 40))
    missed = Face(2, None, "Unknown", 0.9, (300, 10, 40, 40), unseen_s=0.3)
    overlays = overlays_of(result(seen, missed))
    assert len(overlays.at(9000 + round(0.19 * 90_000), 512, 512)) == 2
    (left,) = overlays.at(9000 + round(0.21 * 90_000), 512, 512)
    assert left.box[0] == 10
    assert overlays.at(9001 + round(0.5 * 90_000), 512, 512) == []


def test_a_hidden_face_cannot_be_found_any_more_and_has_no_name_or_box() -> None:
    frame = portrait()
    before = bgr(frame)
    detector = CnnDetector()
    assert any(face.confidence > LIKELY for face in detector.detect(before))
    (overlay,) = overlays_of(result(hidden())).at(9000, 512, 512)
    assert (overlay.name, overlay.known) == ("", False)
    after = bgr(draw(frame, [overlay]))
    assert [face for face in detector.detect(after) if face.confidence > LIKELY] == []
    changes = np.abs(after.astype(int) - before.astype(int)).max(axis=2) > 8
    assert changes[70:160, 185:260].mean() > 0.5
    assert changes[30:55, 190:250].mean() > 0.3, "the hair as well"
    assert not changes[260:].any(), "the rest stays"
    assert not changes[:, 350:].any()


def test_a_hidden_face_is_few_flat_blocks() -> None:
    (overlay,) = overlays_of(result(hidden())).at(9000, 512, 512)
    assert overlay.pixelated is not None
    x, y, w, h = (round(value) for value in overlay.pixelated)
    luma = pixels(draw(portrait(), [overlay]))[:512]
    head = luma[y + 2 : y + h - 2, x + 2 : x + w - 2]
    assert len(np.unique(head)) <= 64, "at most 6 x 8 blocks, each of one value"
    steps = (np.diff(head.astype(int), axis=1) != 0).any(axis=0).sum()
    assert steps <= 6


@pytest.mark.parametrize("velocity", [(300.0, 0.0), (-200.0, 150.0)])
def test_pixels_move_with_a_hidden_face_and_grow_while_it_is_unseen(velocity: tuple[float, float]) -> None:
    now = overlays_of(result(hidden(velocity))).at(9000, 512, 512)[0].pixelated
    later = overlays_of(result(hidden(velocity))).at(9000 + 27_000, 512, 512)[0].pixelated
    unseen = overlays_of(result(hidden(velocity, unseen_s=0.15))).at(9000, 512, 512)[0].pixelated
    assert now is not None
    assert later is not None
    assert unseen is not None
    assert now[2] < unseen[2] < later[2]
    middle = [later[axis] + later[axis + 2] / 2 - now[axis] - now[axis + 2] / 2 for axis in (0, 1)]
    assert middle == pytest.approx([velocity[0] * 0.3, velocity[1] * 0.3])


def test_a_hidden_face_is_never_drawn_as_somebody() -> None:
    face = Face(1, 7, "Ada Sample", 0.9, (180, 62, 85, 110), is_hidden=True)
    (overlay,) = overlays_of(result(face)).at(9000, 512, 512)
    assert (overlay.name, overlay.known) == ("", False)


def test_faces_without_a_name_are_pixelated_where_that_is_set() -> None:
    named, nobody = Face(1, 7, "Ada", 0.9, (10, 300, 60, 60)), Face(2, None, "Unknown", 0.9, (180, 62, 85, 110))
    assert all(each.pixelated is None for each in overlays_of(result(named, nobody)).at(9000, 512, 512))
    ada, unknown = overlays_of(result(named, nobody), pixelate_unknown=True).at(9000, 512, 512)
    assert ada.pixelated is None
    assert unknown.pixelated is not None
    drawn = bgr(draw(portrait(), [unknown]))
    assert [face for face in CnnDetector().detect(drawn) if face.confidence > LIKELY] == []


@pytest.mark.parametrize("size", [(511, 509), (65, 33), (512, 512)])
@pytest.mark.parametrize("box", [(-60, -60, 100, 100), (480, 480, 400, 400), (-50, -50, 2000, 2000), (700, 9, 5, 5)])
def test_pixelating_over_the_edge(size: tuple[int, int], box: tuple[float, float, float, float]) -> None:
    frame = draw(portrait(size), [Overlay(box, "", known=False, pixelated=box)])
    assert (frame.width, frame.height) == size


def test_a_face_that_fills_an_odd_picture_is_hidden_to_its_last_pixel() -> None:
    frame = portrait((301, 233))
    box = (-20.0, -20.0, 400.0, 400.0)
    luma = pixels_of(draw(frame, [Overlay(box, "", known=False, pixelated=box)]))
    assert len(np.unique(luma)) <= 64


def pixels_of(frame: VideoFrame) -> Pixels:
    """Luma of a frame of any size."""
    plane = frame.planes[0]
    lines = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
    return lines[:, : plane.width]


def test_a_grey_frame_is_pixelated_too() -> None:
    frame = portrait().reformat(format="gray")
    drawn = draw(frame, [Overlay((180, 62, 85, 110), "", known=False, pixelated=(150, 20, 150, 190))])
    assert len(np.unique(pixels_of(drawn)[30:200, 160:290])) <= 64


BOTH: set[PictureKind] = {"annotated", "clean"}


def test_the_clean_picture_hides_the_same_faces_and_has_no_boxes() -> None:
    secret = Overlay((180, 62, 85, 110), "Unknown", known=False, pixelated=(150, 20, 150, 190))
    frame = portrait()
    frame.pts, frame.time_base = 9000, TIME_BASE
    only_pixelated = pixels(draw(portrait(), [replace(secret, name="")]))
    pictures = render(frame, [secret, ADA], BOTH)
    assert (pixels(pictures["clean"]) == only_pixelated).all()
    assert (pixels(pictures["annotated"]) == pixels(draw(portrait(), [secret, ADA]))).all()
    assert pictures["clean"].pts == pictures["annotated"].pts == 9000
    assert pictures["clean"].time_base == pictures["annotated"].time_base
    alone = render(portrait(), [secret, ADA], {"clean"})
    assert list(alone) == ["clean"]
    assert (pixels(alone["clean"]) == only_pixelated).all()


def test_a_picture_is_copied_only_where_both_are_wanted_and_differ() -> None:
    frame = picture()
    frame.time_base = TIME_BASE
    assert render(frame, [ADA], {"annotated"})["annotated"] is frame
    assert render(frame, [ADA], {"clean"})["clean"] is frame
    nameless = replace(ADA, name="", pixelated=ADA.box)
    assert all(each is frame for each in render(frame, [nameless], BOTH).values())
    both = render(frame, [ADA], BOTH)
    assert both["annotated"] is frame
    assert both["clean"] is not frame
    assert render(frame, [ADA], set()) == {}


@pytest.mark.parametrize("size", [(641, 361), (98, 54), (1920, 1080)])
def test_the_clean_copy_is_the_same_in_any_size(size: tuple[int, int]) -> None:
    frame = portrait((301, 233)).reformat(*size)
    frame.time_base = TIME_BASE
    before = frame.to_ndarray(format="rgb24")
    clean = render(frame, [Overlay((10, 20, 30, 25), "Ada", known=True)], BOTH)["clean"]
    assert (clean.to_ndarray(format="rgb24") == before).all()
