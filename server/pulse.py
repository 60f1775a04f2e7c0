"""The event loop's pulse: how late it is, and what it was doing when it stood still.

The loop beats ten times a second. A thread of its own watches the beat: when one is missing it writes down where the
loop's thread is at that moment, which nothing on the loop could, and again nothing until the pulse is back.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from .metrics import Metrics

logger = logging.getLogger("surveillx.pulse")

BEAT_S = 0.1
# No beat for so long: pictures stood still visibly.
BLOCKED_S = 0.3
# A loop that is blocked again and again is counted each time, and its stack written so often.
STACK_EVERY_S = 10.0
STACK_FRAMES = 12


class Pulse:
    """Beats inside `running`, on the loop of the caller."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._beat_at = 0.0
        self._lateness_s = 0.0
        self._beats = 0
        self._stopped = threading.Event()
        self._stack_at = float("-inf")
        self._has_told = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Beat and be watched; the thread ends with the block."""
        self._beat_at = time.monotonic()
        beating = asyncio.create_task(self._beat(), name="surveillx-pulse")
        watch = threading.Thread(target=self._watch, args=(threading.get_ident(),), name="surveillx-pulse", daemon=True)
        watch.start()
        try:
            yield
        finally:
            self._stopped.set()
            beating.cancel()
            await asyncio.gather(beating, return_exceptions=True)
            watch.join()  # it sleeps on `_stopped`

    def lag_s(self) -> float:
        """How late the loop was on average since the last call; for the loop's thread."""
        beats, lateness_s, self._beats, self._lateness_s = self._beats, self._lateness_s, 0, 0.0
        return lateness_s / beats if beats else 0.0

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(BEAT_S)
            now = time.monotonic()
            late_s = max(0.0, now - self._beat_at - BEAT_S)
            self._beats += 1
            self._lateness_s += late_s
            self._metrics.loop_lag.observe(late_s)
            self._beat_at = now
            if self._has_told:
                self._has_told = False
                logger.warning("the event loop goes on after %.2f s", late_s)

    def _watch(self, loop_thread: int) -> None:
        """On the watching thread."""
        counted = 0.0
        while not self._stopped.wait(BEAT_S):
            beat_at = self._beat_at
            blocked_s = time.monotonic() - beat_at - BEAT_S
            if blocked_s > BLOCKED_S and beat_at != counted:
                counted = beat_at
                self._metrics.loop_blocked.inc()
                self._tell(loop_thread, blocked_s)

    def _tell(self, loop_thread: int, blocked_s: float) -> None:
        now = time.monotonic()
        frame = sys._current_frames().get(loop_thread)  # noqa: SLF001 - documented, for debuggers
        if frame is None or now - self._stack_at < STACK_EVERY_S:
            return
        self._stack_at = now
        stack = "".join(traceback.format_stack(frame)[-STACK_FRAMES:])
        logger.warning("the event loop has been blocked for %.2f s, at:\n%s", blocked_s, stack)
        self._has_told = True
