"""Codecs and renditions over real connections: who gets which, each encoded once, decoded without a gap."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import numpy as np
import pytest
from av.video.frame import VideoFrame

from server.events import Detections, Face

from .live import Live, live
from .peers import Client, Counter, PatternTrack
from .wait import until

H264 = "video/H264"
VP8 = "video/VP8"


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Live]:
    async with live(tmp_path) as running:
        yield running


@pytest.fixture
async def clients(server: Live) -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


def client(server: Live, clients: AsyncExitStack) -> Client:
    made = Client(server.http)
    clients.push_async_callback(made.close)
    return made


async def seen(counter: Counter, frames: int = 10) -> VideoFrame:
    """Wait for so many more frames; the last one."""
    wanted = counter.frames + frames
    await until(lambda: counter.frames >= wanted, what=f"{frames} more frames")
    assert counter.latest is not None
    return counter.latest


def has_pattern(frame: VideoFrame) -> bool:
    """Whether it is the camera's bright pattern and not the dark slate."""
    return float(frame.to_ndarray()[: frame.height].mean()) > 90


async def test_each_viewer_gets_its_codec_and_each_codec_is_encoded_once(server: Live, clients: AsyncExitStack) -> None:
    await client(server, clients).publish(PatternTrack())
    codecs = (VP8, VP8, H264, H264)
    counters = [await client(server, clients).view(codec) for codec in codecs]
    frames = [await seen(counter) for counter in counters]
    assert all(has_pattern(frame) for frame in frames)
    assert server.parts.cameras.get("1").broadcast.encoders == 2
    metrics = (await server.http.get("/metrics")).text
    for codec in ("VP8", "H264"):
        assert f'surveillx_encodes_active{{camera="1",codec="{codec}",rendition="720p"}} 1.0' in metrics


async def test_a_viewer_that_offers_both_gets_vp8_whatever_it_likes_best(server: Live, clients: AsyncExitStack) -> None:
    counter = await client(server, clients).view()
    await seen(counter, 2)
    assert server.parts.metrics.encodes_active.labels("1", "VP8", "720p")._value.get() == 1
    assert server.parts.metrics.encodes_active.labels("1", "H264", "720p")._value.get() == 0


class GrowingTrack(PatternTrack):
    """A camera that changes its size after half a second."""

    async def recv(self) -> VideoFrame:
        self.size = (640, 360) if self.sent < 15 else (960, 540)
        return await super().recv()


async def test_a_publisher_of_h264_may_change_its_size_and_names_are_drawn(
    server: Live, clients: AsyncExitStack
) -> None:
    await client(server, clients).publish(GrowingTrack(), H264)
    counter = await client(server, clients).view()
    await until(lambda: counter.latest is not None and counter.latest.width == 960, what="the larger picture")
    plain = await seen(counter, 3)
    camera = server.parts.cameras.get("1")
    face = Face(1, 1, "Ada", 0.9, (240.0, 240.0, 300.0, 200.0))
    counter_before = counter.frames
    # The decoder needs each picture for the next one: what is drawn must not come back in later pictures.
    while counter.frames < counter_before + 20:
        camera.show(Detections("1", camera._last_pts, 960, 540, (face,)))
        await seen(counter, 1)
    assert counter.latest is not None
    assert abs(_chroma(counter.latest) - _chroma(plain)) > 20, "the box is drawn"
    await until(lambda: abs(_chroma(counter.latest) - _chroma(plain)) < 8, what="the box is gone without a trace")


def _chroma(frame: VideoFrame | None) -> float:
    """The redness on the upper edge of the box."""
    assert frame is not None
    plane = frame.planes[2]
    lines = np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)  # type: ignore[call-overload]
    return float(lines[120, 180:260].mean())
