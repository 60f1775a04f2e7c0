"""Free memory goes back to the system."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

from server import heap

from .wait import until

PROGRAM = """
import psutil
from server.heap import give_back

def resident_mb():
    return psutil.Process().memory_info().rss / 1e6

full = [bytes(50_000) for _ in range(2000)]
last = bytes(50_000)
del full
before = resident_mb()
give_back()
print(before - resident_mb())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc has it")
def test_free_pages_below_used_ones_are_given_back() -> None:
    result = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert float(result.stdout) > 50


async def test_it_is_given_back_each_time_sessions_have_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    times = 0

    def count() -> None:
        nonlocal times
        times += 1

    monkeypatch.setattr(heap, "give_back", count)
    monkeypatch.setattr(heap, "AFTER_S", 0.01)
    ended = asyncio.Event()
    task = asyncio.create_task(heap.give_back_after(ended))
    ended.set()
    await until(lambda: times == 1, what="it is given back")
    ended.set()
    await until(lambda: times == 2, what="and again")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
