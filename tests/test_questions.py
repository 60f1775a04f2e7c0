"""Photos and faces of the live picture: asked for between two frames, answered by the real process."""

from __future__ import annotations

import asyncio
import os
import signal
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from server.errors import NotFound, Unavailable, Unprocessable
from server.recognition import questions
from server.recognition.questions import MAX_WAITING

from .faces import astronaut, crowd, jpeg, six_people
from .wait import until
from .working import START_S, child_pid, frame_of, needs_signals, running


async def test_photos_are_refused_with_the_reason() -> None:
    async with running() as bench:
        with pytest.raises(Unprocessable) as caught:
            await bench.worker.examine(jpeg(six_people()))
        assert caught.value.reason == "several_faces"
        assert caught.value.status == 422
        photo = jpeg(astronaut())
        outcomes = await asyncio.gather(
            *(bench.worker.examine(photo) for _ in range(MAX_WAITING + 1)), return_exceptions=True
        )
        refused = [outcome for outcome in outcomes if isinstance(outcome, Unavailable)]
        assert [error.headers for error in refused] == [{"Retry-After": "5"}]


@needs_signals
async def test_a_photo_that_is_lost_with_the_process_is_an_answer_too() -> None:
    async with running() as bench:
        await until(lambda: bench.state() == "running", START_S)
        os.kill(child_pid(), signal.SIGSTOP)
        waiting = asyncio.create_task(bench.worker.examine(jpeg(astronaut())))
        await asyncio.sleep(0)  # let it hand in the photo
        await until(lambda: not bench.worker._questions)
        os.kill(child_pid(), signal.SIGKILL)
        with pytest.raises(Unavailable):
            await waiting


async def test_closing_answers_those_who_wait_and_may_be_repeated() -> None:
    async with running() as bench:
        waiting = asyncio.create_task(bench.worker.examine(jpeg(astronaut())))
        await until(lambda: bool(bench.worker._questions))
        await bench.worker.close()
        with pytest.raises(Unavailable, match="stopping"):
            await waiting
        await bench.worker.close()
        bench.show(frame_of(astronaut()))
        with pytest.raises(Unavailable):
            await bench.worker.examine(b"")


async def test_a_face_of_the_live_picture_is_as_good_as_a_photo() -> None:
    async with running() as bench:
        frame = frame_of(astronaut())
        track = (await bench.until_told(frame, lambda result: len(result.faces) == 1)).faces[0].track_id
        taken = await bench.worker.face_of("1", track)
        examined = await bench.worker.examine(jpeg(astronaut()))
        assert np.linalg.norm(taken.embedding - examined.embedding) < 0.3
        assert Image.open(BytesIO(taken.thumbnail)).format == "JPEG"
        for camera_id, stranger in (("1", 999), ("2", track)):
            with pytest.raises(NotFound):
                await bench.worker.face_of(camera_id, stranger)

        small = await bench.until_told(frame_of(crowd(30)), lambda result: len(result.faces) == 6)
        with pytest.raises(Unprocessable) as caught:
            await bench.worker.face_of("1", small.faces[0].track_id)
        assert caught.value.reason == "too_small"


async def test_a_face_without_a_look_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running() as bench:
        frame = frame_of(crowd(90))
        await until(lambda: bench.state() == "running", START_S)
        bench.show(frame)
        await until(lambda: bench.count("frames_recognised_total", camera="1") == 1, START_S)
        assert len(bench.results[-1].faces) == 6
        tracks = [face.track_id for face in bench.results[-1].faces]  # one of them has had a look

        with monkeypatch.context() as patch:
            patch.setattr(questions, "LOOK_PATIENCE_S", 0.05)
            outcomes = await asyncio.gather(
                *(bench.worker.face_of("1", track) for track in tracks), return_exceptions=True
            )
        refused = [each for each in outcomes if isinstance(each, Unavailable)]
        assert [error.reason for error in refused] == ["no_look"] * 5, "no further frame came"
        assert not bench.worker._questions._watched

        monkeypatch.setattr(questions, "LOOK_PATIENCE_S", START_S)
        waiting = [asyncio.create_task(bench.worker.face_of("1", track)) for track in tracks]
        await bench.until_told(frame, lambda _: all(each.done() for each in waiting))
        assert all(each.result().thumbnail for each in waiting)
