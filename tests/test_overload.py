"""A busy server does less and says so: pace of the cameras, health, events and metrics, in the real application."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from server.events import Detections, Face, ServerChanged
from server.governor import Reading
from server.pace import FULL, Pace

from .live import Live, live
from .peers import Client, PatternTrack
from .wait import until

LATE = Reading(picture_age_s=0.5)


def steer(server: Live, reading: Reading, seconds: int, start: float) -> None:
    """Give it a reading a second, without waiting for the seconds to pass."""
    server.parts.overload.read = Reading  # nothing of its own beside ours
    for second in range(seconds):
        server.parts.overload.steer(reading, start + second)


def encoded_pictures(server: Live) -> float:
    [family] = server.parts.metrics.frames_encoded.collect()
    return sum(sample.value for sample in family.samples if sample.name.endswith("_total"))


async def test_every_part_says_that_the_server_is_busy_and_that_it_is_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with live(tmp_path) as server:
        caplog.set_level(logging.WARNING, "surveillx.overload")
        began = time.monotonic()
        with server.parts.events.subscribe(ServerChanged) as told:
            steer(server, LATE, 5, began)
            event = await told.next()
        assert isinstance(event, ServerChanged)
        assert event.degraded == "The server is busy: pictures are shown at half the rate."
        assert (await server.http.get("/readyz")).json()["degraded"] == event.degraded
        assert (await server.camera())["frame_divisor"] == 2
        assert "surveillx_degradation 1.0" in (await server.http.get("/metrics")).text
        assert server.parts.cameras.open("2").pace == Pace(1, 2), "a camera that comes later"
        with server.parts.events.subscribe(ServerChanged) as told:
            steer(server, Reading(), 30, began + 10)
            event = await told.next()
        assert isinstance(event, ServerChanged)
        assert event.degraded == ""
        assert server.parts.cameras.get("1").pace == FULL
        messages = [record.message for record in caplog.records if record.name == "surveillx.overload"]
        assert messages == [
            "pictures are 500 ms old when they leave: recognised: none; shown: 1 of 2",
            "there is room again: recognised: none; shown: 1 of 1",
        ]


async def test_a_camera_keeps_the_pace(tmp_path: Path) -> None:
    async with live(tmp_path) as server, AsyncExitStack() as clients:
        publisher, viewer = Client(server.http), Client(server.http)
        for client in (publisher, viewer):
            clients.push_async_callback(client.close)
        await publisher.publish(PatternTrack())
        counter = await viewer.view()
        await until(lambda: counter.frames > 5)
        camera = server.parts.cameras.get("1")
        server.parts.cameras.set_pace(Pace(2, 3))
        received, encoded = (
            camera._received,
            encoded_pictures(server),
        )
        await until(lambda: camera._received >= received + 30)
        shown = encoded_pictures(server) - encoded
        assert 1 <= shown <= (camera._received - received) / 3 + 5  # some were on their way
        skipped = server.parts.metrics.frames_dropped.labels("1", "pace")._value.get()
        assert skipped >= 18


async def test_recognition_follows_the_pace(tmp_path: Path) -> None:
    async with live(tmp_path, recognition_every=5) as server:
        await until(lambda: server.parts.recognition.state == "running", 60)
        publisher = Client(server.http)
        await publisher.publish(PatternTrack())
        try:
            await until(lambda: server.parts.recognition.busy_s > 0, what="something is recognised")
            camera = server.parts.cameras.get("1")
            server.parts.cameras.set_pace(Pace(6))
            assert camera.status()["recognition_every"] == 90, "nobody watches, and no face is new"
            camera.show(Detections("1", 1, 640, 360, (Face(7, None, "Unknown", 1.0, (1, 1, 9, 9)),)))
            assert camera.status()["recognition_every"] == 30, "a new face"
            with camera.tap(1):
                camera._new_face_at = 0.0
                assert camera.status()["recognition_every"] == 30, "somebody watches"
            assert camera.status()["recognition_every"] == 90
            assert camera.status()["recognition"] == "running"
        finally:
            await publisher.close()


async def test_the_server_reads_itself(tmp_path: Path) -> None:
    """With a viewer there: pictures have an age and the thread is in use; nobody waits."""
    async with live(tmp_path) as server, AsyncExitStack() as clients:
        publisher, viewer = Client(server.http), Client(server.http)
        for client in (publisher, viewer):
            clients.push_async_callback(client.close)
        await publisher.publish(PatternTrack())
        counter = await viewer.view()
        readings: list[Reading] = []
        own = server.parts.overload.read

        def read() -> Reading:
            readings.append(own())
            return Reading()

        server.parts.overload.read = read
        await until(lambda: counter.frames > 5)
        await until(lambda: readings and readings[-1].picture_age_s > 0, what="a reading with pictures")
        assert 0 < readings[-1].camera_busy < 2
        assert readings[-1].undecoded < 30
        await asyncio.sleep(0)
