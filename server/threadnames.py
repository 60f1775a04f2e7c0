"""Tells the system the names of our threads, so that `top -H`, `perf` and the bench can say which one is at work.

Python does that itself from 3.14 on. On Linux only, and only what is not told yet.
"""

from __future__ import annotations

import sys
import threading
from contextlib import suppress
from pathlib import Path

# TASK_COMM_LEN of the kernel, without the final zero.
LONGEST = 15
_PREFIX = "surveillx-"


class ThreadNames:
    """Remembers which threads have their names; call `tell` now and then."""

    def __init__(self) -> None:
        self._told: set[int] = set()

    def tell(self) -> None:
        """Name the new threads. The main thread keeps its name: it is the process's."""
        if not sys.platform.startswith("linux"):
            return
        threads = {
            each.native_id: each.name
            for each in threading.enumerate()
            if each.native_id is not None and each is not threading.main_thread()
        }
        for number in threads.keys() - self._told:
            with suppress(OSError):  # it has ended
                name = threads[number].removeprefix(_PREFIX)[:LONGEST]
                Path(f"/proc/self/task/{number}/comm").write_text(name)  # proc(5): a thread may name its siblings
        self._told = set(threads)
