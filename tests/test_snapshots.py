"""The picture of the moment as a JPEG file, over HTTP."""

from __future__ import annotations

import asyncio
from pathlib import Path

import cv2
import numpy as np
import pytest
from av.video.frame import VideoFrame

from server import snapshots
from server.camera import Camera
from server.jpeg import encode_jpeg

from .live import live

PATH = "/api/cameras/1/snapshot.jpg"


def brightness(jpeg: bytes) -> float:
    picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    return float(picture.mean())


async def film(camera: Camera) -> None:
    white = VideoFrame.from_ndarray(np.full((360, 640, 3), 255, np.uint8), format="rgb24").reformat(format="yuv420p")
    camera.claim(film)
    while True:
        camera.offer(film, white)
        await asyncio.sleep(0.05)


async def test_the_slate_and_then_the_camera_itself(tmp_path: Path) -> None:
    async with live(tmp_path) as running:
        slate = await running.http.get(PATH)
        assert (slate.headers["content-type"], slate.headers["cache-control"]) == ("image/jpeg", "no-store")
        assert brightness(slate.content) < 100
        filming = asyncio.create_task(film(running.parts.cameras.get("1")))
        try:
            assert brightness((await running.http.get(PATH)).content) > 200
        finally:
            filming.cancel()
        assert (await running.http.get("/api/cameras/none/snapshot.jpg")).status_code == 404
        assert not running.parts.cameras.get("1")._is_watched


async def test_strangers_see_nothing(tmp_path: Path) -> None:
    async with live(tmp_path, view_token="v") as running:
        assert (await running.http.get(PATH)).status_code == 401


async def test_pages_that_open_together_share_a_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoded = []

    def counted(frame: VideoFrame, quality: int) -> bytes:
        encoded.append(frame.pts)
        return encode_jpeg(frame, quality)

    monkeypatch.setattr(snapshots, "encode_jpeg", counted)
    async with live(tmp_path) as running:
        camera = running.parts.cameras.get("1")
        pictures = await asyncio.gather(*(running.parts.snapshots.take(camera) for _ in range(20)))
    assert len(set(pictures)) == len(encoded) == 1


async def test_a_camera_that_shows_nothing_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots, "WITHIN_S", 0.001)  # the slate takes longer
    async with live(tmp_path) as running:
        response = await running.http.get(PATH)
        assert (response.status_code, response.headers["retry-after"]) == (503, "2")
