"""What befalls the recognition process, and that nothing else suffers from it. The real process throughout."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
from contextlib import AsyncExitStack
from pathlib import Path

import av
import numpy as np
import psutil
import pytest

from server.errors import Unavailable
from server.recognition.gallery import Known, KnownFace
from server.recognition.worker import FIRST_DELAY_S, HEALTHY_S, MAX_DELAY_S, delay_after

from .faces import astronaut, crowd, jpeg
from .live import live
from .peers import Client, PatternTrack
from .wait import until, until_sync
from .working import START_S, STEP, Bench, child_pid, frame_of, needs_signals, running

# How long a starved process runs, and how long it then waits for its next turn.
TURN_S, PAUSE_S = 0.02, 0.1


async def until_one_face(bench: Bench) -> None:
    await bench.until_told(frame_of(astronaut()), lambda result: len(result.faces) == 1)
    await until(lambda: bench.results[-1].pts == bench.clock["1"], what="the last frame is done")


async def until_replaced(bench: Bench, first: int) -> None:
    """Faces are found again, by another process than `first`, and nobody needs to be told anything."""
    bench.results.clear()
    await until(lambda: bench.state() == "running", START_S)
    await bench.until_told(frame_of(astronaut()), lambda result: len(result.faces) == 1)
    assert child_pid() != first
    assert bench.worker.state_words == ""


@needs_signals
async def test_a_killed_process_is_replaced_and_its_boxes_vanish() -> None:
    async with running() as bench:
        told: list[tuple[str, str]] = []
        bench.worker.on_state = lambda: told.append((bench.state(), bench.worker.state_words))
        assert (bench.state(), bench.worker.state_words) == ("starting", "Recognition is starting.")
        await until_one_face(bench)
        before, first = bench.results[-1].faces[0].track_id, child_pid()
        bench.results.clear()
        shared = bench.worker._memory._memory
        assert shared is not None
        shared.unlink()  # as a process does that has no memory left to map it
        os.kill(first, signal.SIGKILL)
        await until(lambda: any(not result.faces for result in bench.results))
        assert bench.state() == "restarting"
        assert bench.count("recognition_restarts_total") == 1

        await until_replaced(bench, first)
        assert bench.results[-1].faces[0].track_id > before
        words = "Recognition is starting again: it ended with exit code -9."
        assert told == [("running", ""), ("restarting", words), ("running", "")]


@needs_signals
async def test_a_starved_process_may_take_its_time_and_a_hung_one_is_replaced() -> None:
    async with running(recognition_timeout_s=1.0) as bench:
        await until_one_face(bench)
        first, done = child_pid(), bench.count("frames_recognised_total", camera="1")
        bench.show(av.VideoFrame(6000, 6000, "yuv420p"))
        while bench.count("frames_recognised_total", camera="1") == done:  # on this diet it takes more than a second
            os.kill(first, signal.SIGSTOP)
            await asyncio.sleep(PAUSE_S)
            os.kill(first, signal.SIGCONT)
            await asyncio.sleep(TURN_S)
            assert bench.state() == "running"
        assert child_pid() == first

        os.kill(first, signal.SIGSTOP)
        bench.show(frame_of(astronaut()))
        await until(lambda: bench.state() == "restarting")
        assert "it did not answer within 1 s" in bench.worker.state_words
        await until_replaced(bench, first)


@pytest.mark.skipif(sys.platform != "linux", reason="needs prlimit")
async def test_a_process_without_memory_is_replaced() -> None:
    import resource  # noqa: PLC0415 - there is none on Windows

    async with running() as bench:
        await until_one_face(bench)
        first = child_pid()
        held = psutil.Process(first).memory_info().vms
        resource.prlimit(first, resource.RLIMIT_AS, (held, held))
        bench.show(av.VideoFrame(4000, 4000, "yuv420p"))
        await until(lambda: bench.state() == "restarting")
        assert "it ended with exit code 1" in bench.worker.state_words
        await until_replaced(bench, first)


async def test_a_process_that_holds_too_much_memory_is_renewed(caplog: pytest.LogCaptureFixture) -> None:
    """The limit is less than the models need, so it counts from there: too small a one renews nothing for ever."""
    with caplog.at_level(logging.WARNING, "surveillx.recognition"):
        async with running(recognition_memory_mb=1) as bench:
            await until_one_face(bench)
            first = child_pid()
            assert [record.message for record in caplog.records if "recognition_memory_mb = 1 is" in record.message]
            assert bench.count("recognition_restarts_total") == 0
            bench.show(av.VideoFrame(10_000, 10_000, "yuv420p"))
            await until(lambda: bench.state() == "restarting", START_S)
            assert shown(bench) == bench.clock["1"] / STEP, "between two jobs"
            assert "MB of memory, more than the" in bench.worker.state_words
            await until_replaced(bench, first)


async def test_thirty_faces_cost_frames_and_never_make_a_queue() -> None:
    many = np.tile(crowd(50)[:360, :640], (3, 3, 1))  # six people, nine times
    async with running(recognition_min_face_px=24) as bench:
        frame = frame_of(many)
        await bench.until_told(frame, lambda result: len(result.faces) >= 30)
        enough = bench.count("frames_recognised_total", camera="1") + 5
        while bench.count("frames_recognised_total", camera="1") < enough:
            bench.show(frame)
            assert len(bench.worker._frames) <= 1
            await asyncio.sleep(0.02)
        await until(lambda: bench.results[-1].pts == bench.clock["1"], what="the newest frame was recognised")
        await until(lambda: shown(bench) == bench.clock["1"] / STEP, what="each frame is counted")
        assert bench.count("frames_dropped_total", camera="1", stage="recognition") > 0
        times = [result.pts for result in bench.results]
        assert times == sorted(times)


def shown(bench: Bench) -> float:
    dropped = bench.count("frames_dropped_total", camera="1", stage="recognition")
    return bench.count("frames_recognised_total", camera="1") + dropped


async def test_a_missing_model_is_said_in_words_and_tried_again(tmp_path: Path) -> None:
    missing = tmp_path / "yunet.onnx"
    words = f"Recognition cannot start: Setting recognition_yunet names {missing}, but there is no such file."
    async with running(recognition_yunet=str(missing)) as bench:
        waiting = asyncio.create_task(bench.worker.examine(jpeg(astronaut())))
        await until(lambda: bench.state() == "restarting", START_S)
        assert bench.worker.state_words == words
        for photo in (waiting, bench.worker.examine(b""), bench.worker.face_of("1", 1)):
            with pytest.raises(Unavailable) as caught:
                await photo
            assert caught.value.detail == words, "at once, because waiting would not help"
        await until(lambda: bench.count("recognition_restarts_total") == 2, START_S)


@needs_signals
async def test_the_video_knows_nothing_of_it(tmp_path: Path) -> None:
    async with live(tmp_path, recognition_every=5, recognition_timeout_s=1.0) as server, AsyncExitStack() as clients:
        camera, viewer = Client(server.http), Client(server.http)
        for client in (camera, viewer):
            clients.push_async_callback(client.close)
        await camera.publish(PatternTrack())
        seen = await viewer.view()
        recognition = server.parts.recognition
        await until(lambda: recognition.state == "running", START_S)
        for how, what in ((signal.SIGKILL, "exit code -9"), (signal.SIGSTOP, "did not answer")):
            os.kill(child_pid(), how)
            await until(lambda: recognition.state == "restarting", START_S)
            answer = (await server.http.get("/readyz")).json()
            assert answer["recognition"] == "restarting"
            assert what in answer["recognition_words"]
            frames = seen.frames
            await until(lambda frames=frames: seen.frames > frames + 5)  # type: ignore[misc]
            await until(lambda: recognition.state == "running", START_S)


def test_who_keeps_dying_must_wait_longer_and_longer() -> None:
    delays = [FIRST_DELAY_S]
    while delays[-1] < MAX_DELAY_S:
        delays.append(delay_after(ran_s=0.0, last_s=delays[-1]))
    assert delays == sorted(set(delays))
    assert delay_after(0.0, 0.0) == FIRST_DELAY_S
    assert delay_after(0.0, MAX_DELAY_S) == MAX_DELAY_S
    assert delay_after(HEALTHY_S, MAX_DELAY_S) == FIRST_DELAY_S, "healthy again"


@needs_signals
async def test_a_gallery_too_large_for_the_pipe_blocks_nobody_while_the_process_hangs() -> None:
    async with running() as bench:
        await until(lambda: bench.state() == "running", START_S)
        os.kill(child_pid(), signal.SIGSTOP)
        faces = [KnownFace(n, f"Person {n}", np.full(128, n / 1000)) for n in range(1000)]
        bench.worker.set_gallery(Known(tuple(faces)))
        await asyncio.sleep(0)  # the loop goes on, and the worker can be closed


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
