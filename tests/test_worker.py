from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from server.config import Settings
from server.errors import Unavailable, Unprocessable
from server.events import Detections
from server.metrics import Metrics
from server.recognition.gallery import Known, KnownFace
from server.recognition.pictures import Pixels
from server.recognition.questions import MAX_WAITING
from server.recognition.worker import RecognitionWorker

from .faces import astronaut, jpeg, six_people
from .wait import until, until_sync

START_S = 60.0
STEP = 15_000  # of the 90 kHz clock: every fifth frame of thirty a second

needs_signals = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")


@dataclass
class Bench:
    """A running worker and everything it told."""

    worker: RecognitionWorker
    metrics: Metrics
    results: list[Detections]
    clock: dict[str, int] = field(default_factory=dict)

    def show(self, frame: av.VideoFrame, camera_id: str = "1") -> None:
        self.clock[camera_id] = self.clock.get(camera_id, 0) + STEP
        self.worker.submit(camera_id, self.clock[camera_id], frame)

    async def until_told(self, frame: av.VideoFrame, what: Callable[[Detections], bool]) -> Detections:
        """Show `frame` again and again until a result is as wanted."""

        def told() -> Detections | None:
            if "1" not in self.worker._frames:  # a frame that is not taken yet would be replaced, and time would jump
                self.show(frame)
            return next((result for result in reversed(self.results) if what(result)), None)

        found = await until(told, START_S)
        assert found is not None
        return found

    def state(self) -> str:
        return self.worker.state

    def count(self, name: str, **labels: str) -> float:
        value = self.metrics._registry.get_sample_value(f"surveillx_{name}", labels)
        return value or 0.0


@asynccontextmanager
async def running(**settings: object) -> AsyncIterator[Bench]:
    results: list[Detections] = []
    metrics = Metrics()
    # Patient, so that a busy machine does not look like a hung process.
    settings = {"recognition_timeout_s": 30.0, **settings}
    worker = RecognitionWorker(Settings(**settings), metrics, results.append)  # type: ignore[arg-type]
    await worker.start()
    try:
        yield Bench(worker, metrics, results)
    finally:
        await worker.close()
        assert not multiprocessing.active_children()
        assert not [thread for thread in threading.enumerate() if thread.name.startswith("surveillx-recognition")]


def frame_of(rgb: Pixels) -> av.VideoFrame:
    return av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24").reformat(format="yuv420p")


def child_pid() -> int:
    (child,) = multiprocessing.active_children()
    assert child.pid is not None
    return child.pid


def names(result: Detections) -> list[str]:
    return sorted(face.name for face in result.faces)


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


@needs_signals
async def test_a_killed_process_is_replaced_and_its_boxes_vanish() -> None:
    async with running() as bench:
        frame = frame_of(astronaut())
        before = await bench.until_told(frame, lambda result: len(result.faces) == 1)
        await until(lambda: bench.results[-1].pts == bench.clock["1"])
        bench.results.clear()
        first = child_pid()
        os.kill(first, signal.SIGKILL)
        await until(lambda: any(not result.faces for result in bench.results))
        assert bench.state() == "restarting"
        assert bench.count("recognition_restarts_total") == 1

        after = await bench.until_told(frame, lambda result: len(result.faces) == 1)
        assert bench.state() == "running"
        assert child_pid() != first
        assert after.faces[0].track_id > before.faces[0].track_id


@needs_signals
async def test_a_hung_process_is_killed_and_replaced() -> None:
    async with running(recognition_timeout_s=1.0) as bench:
        frame = frame_of(astronaut())
        await bench.until_told(frame, lambda result: len(result.faces) == 1)
        first = child_pid()
        os.kill(first, signal.SIGSTOP)
        bench.show(frame)
        await until(lambda: bench.state() == "restarting")
        await bench.until_told(frame, lambda _: bench.state() == "running")
        assert child_pid() != first


@needs_signals
async def test_a_gallery_too_large_for_the_pipe_blocks_nobody_while_the_process_hangs() -> None:
    async with running() as bench:
        await until(lambda: bench.state() == "running", START_S)
        os.kill(child_pid(), signal.SIGSTOP)
        faces = [KnownFace(n, f"Person {n}", np.full(128, n / 1000)) for n in range(1000)]
        bench.worker.set_gallery(Known(tuple(faces)))
        await asyncio.sleep(0)  # the loop goes on, and the worker can be closed


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
        waiting = asyncio.create_task(bench.worker.examine(slow_photo()))
        await asyncio.sleep(0)  # let it hand in the photo
        await until(lambda: not bench.worker._questions, START_S)
        os.kill(child_pid(), signal.SIGKILL)
        with pytest.raises(Unavailable):
            await waiting


def slow_photo() -> bytes:
    """A picture that takes a good part of a second to read: nearly as many pixels as are allowed, and all noise."""
    file = BytesIO()
    noise = np.random.default_rng(1).integers(0, 256, (3700, 3700), np.uint8)
    Image.fromarray(noise).save(file, "PNG", compress_level=1)
    return file.getvalue()


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


@needs_signals
def test_the_process_ends_when_the_server_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "host.py"
    script.write_text(
        textwrap.dedent("""
        import asyncio, multiprocessing
        from server.config import Settings
        from server.metrics import Metrics
        from server.recognition.worker import RecognitionWorker

        async def main():
            worker = RecognitionWorker(Settings(), Metrics(), print)
            await worker.start()
            while worker.state != "running":
                await asyncio.sleep(0.05)
            print(multiprocessing.active_children()[0].pid, flush=True)
            await asyncio.Event().wait()

        if __name__ == "__main__":
            asyncio.run(main())
        """)
    )
    root = Path(__file__).parent.parent
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True, cwd=root) as server:
        assert server.stdout is not None
        pid = int(server.stdout.readline())
        assert is_alive(pid)
        server.kill()
        until_sync(lambda: not is_alive(pid), what="the recognition process ended")


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"


@needs_signals
async def test_an_interrupt_of_the_terminal_does_not_concern_the_process_even_while_it_starts() -> None:
    async with running() as bench:
        await until(multiprocessing.active_children, START_S)
        process = child_pid()
        for _ in range(20):
            os.kill(process, signal.SIGINT)
            await asyncio.sleep(0)
        await until(lambda: bench.state() == "running", START_S)
        assert child_pid() == process
        assert bench.count("recognition_restarts_total") == 0
