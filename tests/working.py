"""A running recognition worker for the tests: the real process, real faces."""

from __future__ import annotations

import multiprocessing
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import av
import numpy as np
import pytest

from server.config import Settings
from server.events import Detections
from server.metrics import Metrics
from server.recognition.pictures import Pixels
from server.recognition.worker import RecognitionWorker

from .wait import until

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
