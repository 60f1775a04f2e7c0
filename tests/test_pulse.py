"""The pulse: a block of the event loop is found while it lasts, with its place; the loop goes on."""

from __future__ import annotations

import asyncio
import logging
import threading
import time

import pytest

from server.metrics import Metrics
from server.pulse import Pulse

from .wait import until


def blocks(metrics: Metrics) -> float:
    return float(metrics.loop_blocked._value.get())


def hold_the_loop_up() -> None:
    time.sleep(0.8)


async def test_a_blocked_loop_is_counted_once_and_its_place_is_told(caplog: pytest.LogCaptureFixture) -> None:
    metrics = Metrics()
    pulse = Pulse(metrics)
    with caplog.at_level(logging.WARNING, "surveillx.pulse"):
        async with pulse.running():
            asyncio.get_running_loop().call_soon(hold_the_loop_up)
            await until(lambda: "goes on after" in caplog.text, what="the pulse is back")
    assert blocks(metrics) == 1
    told = [record for record in caplog.records if "has been blocked" in record.message]
    assert len(told) == 1
    assert told[0].threadName == "surveillx-pulse"
    assert "hold_the_loop_up" in told[0].message
    assert pulse.lag_s() > 0


async def test_every_block_is_counted_but_not_every_stack_written(caplog: pytest.LogCaptureFixture) -> None:
    metrics = Metrics()
    pulse = Pulse(metrics)
    async with pulse.running():
        for _ in range(2):
            beats = pulse._beats
            await until(lambda beats=beats: pulse._beats > beats, what="it beats again")  # type: ignore[misc]
            hold_the_loop_up()
        beats = pulse._beats
        await until(lambda: pulse._beats > beats)
    assert blocks(metrics) == 2
    assert caplog.text.count("has been blocked") == 1


async def test_a_free_loop_is_in_time_and_the_thread_ends() -> None:
    metrics = Metrics()
    pulse = Pulse(metrics)
    async with pulse.running():
        await until(lambda: pulse._beats > 2)
        assert any(thread.name == "surveillx-pulse" for thread in threading.enumerate())
    assert not any(thread.name == "surveillx-pulse" for thread in threading.enumerate())
    assert pulse._beats > 2
    assert f"surveillx_loop_lag_seconds_count {pulse._beats}.0" in metrics.render().decode()
    pulse.lag_s()
    assert pulse.lag_s() == 0, "asked again at once: nothing to tell"
