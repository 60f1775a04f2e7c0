"""Keeps the server from doing more than the machine can: reads how it keeps up, asks the governor, sets the pace.

Event loop's thread only.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from .camera import Cameras
from .config import Settings
from .governor import Governor, Reading, words
from .metrics import Metrics
from .pulse import Pulse
from .recognition.worker import RecognitionWorker
from .threadnames import ThreadNames

logger = logging.getLogger("surveillx.overload")

READ_EVERY_S = 1.0


class Overload:
    """Runs beside the cameras. `on_change` hears when `words` are others."""

    def __init__(
        self,
        settings: Settings,
        metrics: Metrics,
        cameras: Cameras,
        recognition: RecognitionWorker,
        undecoded: Callable[[], int],
    ) -> None:
        """`undecoded` says how many pictures wait for a decoder, of the publisher for whom most do."""
        self.governor = Governor(recognises=settings.recognition_every > 0)
        self.read: Callable[[], Reading] = self._read
        self.on_change: Callable[[], None] = lambda: None
        self._every = settings.recognition_every
        self._metrics = metrics
        self._cameras = cameras
        self._recognition = recognition
        self._undecoded = undecoded
        self._pulse = Pulse(metrics)
        self._thread_names = ThreadNames()
        self._recognised_s = 0.0
        self._read_at = time.monotonic()

    @property
    def words(self) -> str:
        """What the pages should say of it: a sentence, or nothing."""
        return words(self.governor.pace)

    async def run(self, ready: asyncio.Event) -> None:
        """Watch and steer until cancelled."""
        async with self._pulse.running():
            ready.set()
            while True:
                await asyncio.sleep(READ_EVERY_S)
                self._thread_names.tell()
                self.steer(self.read(), time.monotonic())

    def steer(self, reading: Reading, now: float) -> None:
        """Do what follows from a reading at the monotonic time `now`."""
        self._metrics.picture_age.set(reading.picture_age_s)
        why = self.governor.judge(reading, now)
        if not why:
            return
        pace = self.governor.pace
        self._cameras.set_pace(pace)
        self._metrics.degradation.set(self.governor.step)
        recognised = f"every {pace.recognition_factor * self._every}th picture" if self._every else "none"
        logger.warning("%s: recognised: %s; shown: 1 of %d", why, recognised, pace.frame_divisor)
        self.on_change()

    def _read(self) -> Reading:
        now = time.monotonic()
        passed_s, self._read_at = now - self._read_at, now
        workloads = [camera.workload(now) for camera in self._cameras.all()]
        recognised_s, self._recognised_s = self._recognition.busy_s - self._recognised_s, self._recognition.busy_s
        return Reading(
            loop_lag_s=self._pulse.lag_s(),
            picture_age_s=max((each.age_s for each in workloads), default=0.0),
            undecoded=self._undecoded(),
            camera_busy=max((each.busy for each in workloads), default=0.0),
            recognition_busy=recognised_s / max(passed_s, 1e-3),
        )
