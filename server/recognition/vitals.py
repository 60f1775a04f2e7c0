"""The recognition process seen from outside: how much memory it holds, and whether a late job is getting on.

Asks the system (psutil), some microseconds a question, so the event loop may ask.
"""

from __future__ import annotations

import logging

import psutil

logger = logging.getLogger("surveillx.recognition")

# A limit below what the models alone take would renew the process for ever: it may always grow by this much.
ROOM_TO_GROW = 1.5
# Longer than this many times its deadline no job may take, however busy the machine is.
MOST_PATIENCE = 10


class MemoryLimit:
    """The setting recognition_memory_mb for one process. The first question shows what it needs to begin with."""

    def __init__(self, limit_mb: float) -> None:
        self.limit_mb = limit_mb
        self._is_known = False

    def is_exceeded(self, held_mb: float) -> bool:
        """Whether a process that holds so much must be renewed."""
        if not self._is_known:
            self._is_known = True
            self._make_room(held_mb)
        return held_mb > self.limit_mb

    def _make_room(self, needed_mb: float) -> None:
        room_mb = ROOM_TO_GROW * needed_mb
        if room_mb > self.limit_mb:
            logger.warning(
                "Setting recognition_memory_mb = %.0f is too little: recognition holds %.0f MB from its start. "
                "It is renewed at %.0f MB instead.",
                self.limit_mb,
                needed_mb,
                room_mb,
            )
            self.limit_mb = room_mb


class Patience:
    """For one job: tells a process that hangs from one that the machine gives no time to.

    Who hangs uses no processor time at all (stopped, waiting for a lock), or more than a job can need (an endless
    loop). Who is starved gets on, slowly.
    """

    def __init__(self, pid: int | None, timeout_s: float) -> None:
        """The job begins now; `timeout_s` is enough for it on a machine that is not too busy."""
        self._pid = pid
        self._timeout_s = timeout_s
        self._before_s = self._used_s = processor_s(pid)
        self._left = MOST_PATIENCE

    def is_over(self) -> bool:
        """Ask each time when another `timeout_s` have passed."""
        used_s, last_s = processor_s(self._pid), self._used_s
        self._used_s = used_s
        self._left -= 1
        is_starved = used_s > last_s and used_s - self._before_s < self._timeout_s
        return not is_starved or self._left <= 0


def memory_mb(pid: int | None) -> float:
    """What the process holds of the machine's memory; 0 when it is gone."""
    try:
        return psutil.Process(pid).memory_info().rss / 1e6 if pid else 0.0
    except psutil.Error:
        return 0.0


def processor_s(pid: int | None) -> float:
    """The processor time the process has used so far; 0 when it is gone."""
    try:
        times = psutil.Process(pid).cpu_times() if pid else None
    except psutil.Error:
        return 0.0
    return times.user + times.system if times else 0.0
