"""Gives memory that nobody uses back to the system, after sessions have ended.

glibc keeps what is freed in the middle of its heaps: when 300 viewers have come and gone that is 15 to 20 MB, though no
object is left of them. malloc_trim(3) gives back every free page, which takes a millisecond or three. Elsewhere there
is no such call, and nothing happens.
"""

from __future__ import annotations

import asyncio
import ctypes
import sys

# Sessions end together, and closing takes a moment.
AFTER_S = 2.0


def give_back() -> None:
    """Give it back now; for any thread."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # musl has none
        if trim is not None:
            trim(ctypes.c_size_t(0))


async def give_back_after(ended: asyncio.Event) -> None:
    """Give it back whenever sessions have `ended`, until cancelled; on a thread of its own."""
    while True:
        await ended.wait()
        await asyncio.sleep(AFTER_S)
        ended.clear()
        await asyncio.to_thread(give_back)
