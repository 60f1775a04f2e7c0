from __future__ import annotations

import multiprocessing

import pytest

from server.errors import Unavailable
from server.recognition.gallery import Known, KnownFace

from .faces import astronaut, jpeg, six_people
from .wait import until
from .working import START_S, STEP, frame_of, names, running


async def test_faces_are_found_named_and_named_anew() -> None:
    async with running() as bench:
        assert bench.state() == "starting"
        examined = await bench.worker.examine(jpeg(astronaut()))
        assert bench.state() == "running"
        frame = frame_of(astronaut())

        unknown = await bench.until_told(frame, lambda result: names(result) == ["Unknown"])
        assert (unknown.camera_id, unknown.width, unknown.height) == ("1", 512, 512)
        assert unknown.pts % STEP == 0

        bench.worker.set_gallery(Known((KnownFace(7, "Ada", examined.embedding),)))
        known = await bench.until_told(frame, lambda result: names(result) == ["Ada"])
        assert known.faces[0].person_id == 7
        assert known.faces[0].track_id == unknown.faces[0].track_id
        assert known.faces[0].distance is not None
        assert known.faces[0].distance < 0.3

        bench.results.clear()
        bench.worker.set_gallery(Known())
        await bench.until_told(frame, lambda result: names(result) == ["Unknown"])
        assert bench.count("recognition_seconds") > 0


async def test_boxes_come_before_the_name() -> None:
    async with running() as bench:
        examined = await bench.worker.examine(jpeg(astronaut()))
        bench.worker.set_gallery(Known((KnownFace(7, "Ada", examined.embedding),)))
        named = await bench.until_told(frame_of(astronaut()), lambda result: names(result) == ["Ada"])
        told = [names(result) for result in bench.results if result.pts == named.pts]
        assert told == [["Unknown"], ["Ada"]], "the third look's frame: its box at once, the name after the look"


async def test_the_newest_frame_wins_and_cameras_take_turns() -> None:
    async with running() as bench:
        frame = frame_of(astronaut())
        await bench.until_told(frame, lambda result: len(result.faces) == 1)
        bench.results.clear()
        for _ in range(10):
            for camera_id in ("a", "b", "c"):
                bench.show(frame, camera_id)
        await until(lambda: {"a", "b", "c"} <= {result.camera_id for result in bench.results}, START_S)
        told = (result for result in bench.results if result.camera_id != "1")
        order = list(dict.fromkeys((result.camera_id, result.pts) for result in told))
        assert order == [("a", 10 * STEP), ("b", 10 * STEP), ("c", 10 * STEP)]
        assert bench.count("frames_dropped_total", camera="a", stage="recognition") == 9
        numbers = {face.track_id for result in bench.results for face in result.faces if result.camera_id != "1"}
        assert len(numbers) == 3, "tracks are numbered over all cameras"


async def test_frames_may_change_their_size_and_format() -> None:
    async with running() as bench:
        for rgb, people in ((astronaut()[:333, :451], 1), (six_people(), 6), (astronaut(), 1)):
            result = await bench.until_told(
                frame_of(rgb),
                lambda told, rgb=rgb, people=people: (  # type: ignore[misc]
                    (told.height, told.width) == rgb.shape[:2] and len(told.faces) == people
                ),
            )
            assert all(face.confidence > 0.5 for face in result.faces)
        grey = frame_of(astronaut()).reformat(format="gray")
        bench.results.clear()
        assert len((await bench.until_told(grey, lambda told: bool(told.faces))).faces) == 1


async def test_a_forgotten_camera_is_told_nothing_more() -> None:
    async with running() as bench:
        frame = frame_of(astronaut())
        first = await bench.until_told(frame, lambda result: len(result.faces) == 1)
        bench.show(frame)
        bench.worker.forget("1")
        bench.results.clear()
        bench.show(frame, "2")
        await until(lambda: bool(bench.results), START_S)
        assert {result.camera_id for result in bench.results} == {"2"}
        again = await bench.until_told(frame, lambda result: result.camera_id == "1" and len(result.faces) == 1)
        assert again.faces[0].track_id > first.faces[0].track_id


async def test_switched_off_it_costs_nothing_and_says_so() -> None:
    async with running(recognition_every=0) as bench:
        assert bench.state() == "off"
        bench.show(frame_of(astronaut()))
        bench.worker.set_gallery(Known())
        bench.worker.forget("1")
        with pytest.raises(Unavailable, match="switched off"):
            await bench.worker.examine(jpeg(astronaut()))
        assert not multiprocessing.active_children()
