from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from server.recognition.vitals import MOST_PATIENCE, ROOM_TO_GROW, MemoryLimit, Patience, memory_mb, processor_s

from .wait import until_sync

AN_HOUR_S = 3600.0


@contextmanager
def child(program: str) -> Iterator[int]:
    with subprocess.Popen([sys.executable, "-c", f"print(flush=True); {program}"], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield process.pid
        finally:
            process.kill()


def test_who_uses_no_time_hangs() -> None:
    with child("input()") as pid:
        assert Patience(pid, AN_HOUR_S).is_over()


def test_who_gets_on_is_waited_for_but_not_for_ever() -> None:
    with child("exec('while True: pass')") as pid:
        patience = Patience(pid, AN_HOUR_S)
        for _ in range(MOST_PATIENCE - 1):
            work_a_little(pid)
            assert not patience.is_over()
        work_a_little(pid)
        assert patience.is_over()


def test_who_uses_more_time_than_a_job_needs_hangs_in_a_loop() -> None:
    with child("exec('while True: pass')") as pid:
        patience = Patience(pid, 0.01)
        work_a_little(pid)
        assert patience.is_over()


def work_a_little(pid: int) -> None:
    before_s = processor_s(pid)
    until_sync(lambda: processor_s(pid) > before_s + 0.015)


def test_who_is_gone_holds_nothing_and_is_not_waited_for() -> None:
    with child("input()") as pid:
        assert memory_mb(pid) > 1
    for gone in (pid, None):
        assert memory_mb(gone) == 0
        assert processor_s(gone) == 0
        assert Patience(gone, AN_HOUR_S).is_over()


def test_memory_has_a_limit() -> None:
    limit = MemoryLimit(1500)
    assert [limit.is_exceeded(held_mb) for held_mb in (200, 1500, 1501)] == [False, False, True]


def test_a_limit_below_what_the_models_need_is_raised_and_reported(caplog: pytest.LogCaptureFixture) -> None:
    limit = MemoryLimit(100)
    with caplog.at_level(logging.WARNING, "surveillx.recognition"):
        assert not limit.is_exceeded(200)
    assert "recognition_memory_mb = 100 is too little" in caplog.text
    assert not limit.is_exceeded(200 * ROOM_TO_GROW)
    assert limit.is_exceeded(200 * ROOM_TO_GROW + 1)
