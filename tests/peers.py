"""Real WebRTC peers for the tests, and datagram paths between them that lose what the test says."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
from aiortc import (
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpSender,
    RTCRtpTransceiver,
    RTCSessionDescription,
    VideoStreamTrack,
)
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av import VideoFrame
from httpx import AsyncClient

TIME_BASE = Fraction(1, 90_000)


def new_peer() -> RTCPeerConnection:
    """A peer without ICE servers."""
    return RTCPeerConnection(RTCConfiguration(iceServers=[]))


def picture(width: int = 640, height: int = 360, phase: float = 0.0) -> VideoFrame:
    """A smooth moving pattern, yuv420p."""
    x = np.arange(width)[None, :] / width
    y = np.arange(height)[:, None] / height
    luma = 128 + 80 * np.sin(2 * math.pi * (x * 3 + phase)) * np.cos(2 * math.pi * (y * 2 + phase / 2))
    frame = np.full((height * 3 // 2, width), 128, np.uint8)
    frame[:height] = luma.astype(np.uint8)
    return VideoFrame.from_ndarray(frame, format="yuv420p")


class PatternTrack(VideoStreamTrack):
    """A camera that films `picture` at `fps`."""

    def __init__(self, width: int = 640, height: int = 360, fps: int = 30) -> None:
        super().__init__()
        self.size = (width, height)
        self._interval_s = 1 / fps
        self._started = time.monotonic()
        self.sent = 0

    async def recv(self) -> VideoFrame:
        due = self._started + self.sent * self._interval_s
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        frame = picture(*self.size, phase=self.sent / 30)
        frame.pts, frame.time_base = round(self.sent * self._interval_s * 90_000), TIME_BASE
        self.sent += 1
        return frame


class Counter:
    """Drains a track and counts its frames."""

    def __init__(self, track: MediaStreamTrack) -> None:
        self.frames = 0
        self.latest: VideoFrame | None = None
        self.gaps: list[float] = []
        self._track = track
        self.task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        last = None
        try:
            while True:
                frame = await self._track.recv()
                assert isinstance(frame, VideoFrame)
                now = time.monotonic()
                if last is not None:
                    self.gaps.append(now - last)
                last = now
                self.latest = frame
                self.frames += 1
        except MediaStreamError:
            pass


async def connect(sender: RTCPeerConnection, receiver: RTCPeerConnection) -> None:
    """Negotiate two peers of this process."""
    await sender.setLocalDescription(await sender.createOffer())
    await receiver.setRemoteDescription(sender.localDescription)
    await receiver.setLocalDescription(await receiver.createAnswer())
    await sender.setRemoteDescription(receiver.localDescription)


def only(transceiver: RTCRtpTransceiver, codec: str | None) -> None:
    """Let it offer nothing but this codec ("video/H264"), and retransmission; None leaves it as it is."""
    if codec is not None:
        capabilities = RTCRtpSender.getCapabilities("video").codecs
        transceiver.setCodecPreferences([each for each in capabilities if each.mimeType in (codec, "video/rtx")])


class Client:
    """A publisher or viewer of a running server, over its real HTTP interface."""

    def __init__(self, http: AsyncClient, camera_id: str = "1") -> None:
        self.peer = new_peer()
        self.session_id = ""
        self.rendition = ""
        self.picture = ""
        self.change: Callable[[str], str] = lambda sdp: sdp  # what is sent of the offer
        self.received: Counter | None = None
        self._http = http
        self._camera_id = camera_id

    async def publish(self, track: MediaStreamTrack, codec: str | None = None) -> None:
        only(self.peer.addTransceiver(track, "sendonly"), codec)
        await self._offer("/webrtc/streamer")

    async def view(self, codec: str | None = None) -> Counter:
        transceiver = self.peer.addTransceiver("video", "recvonly")
        only(transceiver, codec)
        await self._offer("/webrtc/viewer")
        self.received = Counter(transceiver.receiver.track)
        return self.received

    async def _offer(self, path: str) -> None:
        await self.peer.setLocalDescription(await self.peer.createOffer())
        body = {"sdp": self.change(self.peer.localDescription.sdp), "type": "offer", "camera_id": self._camera_id}
        if self.rendition:
            body["rendition"] = self.rendition
        if self.picture:
            body["picture"] = self.picture
        response = await self._http.post(path, json=body)
        response.raise_for_status()
        answer = response.json()
        self.session_id = answer["session_id"]
        await self.peer.setRemoteDescription(RTCSessionDescription(answer["sdp"], "answer"))

    async def show(self, picture: str) -> None:
        """Ask for the other kind of picture."""
        response = await self._http.patch(f"/webrtc/sessions/{self.session_id}", json={"picture": picture})
        response.raise_for_status()

    async def limit(self, rendition: str) -> None:
        """Ask for no better a rendition, or with "auto" for the best."""
        response = await self._http.patch(f"/webrtc/sessions/{self.session_id}", json={"rendition": rendition})
        response.raise_for_status()

    async def close(self) -> None:
        await self.peer.close()
        if self.received is not None:
            await self.received.task


def drop_datagrams(peer: RTCPeerConnection, lose: Callable[[bytes], bool]) -> None:
    """Lose the outgoing datagrams of a peer for which `lose` says so."""
    for transceiver in peer.getTransceivers():
        transport: Any = transceiver.receiver.transport.transport
        stock = transport._send

        async def send(data: bytes, stock: Any = stock) -> None:
            if not lose(data):
                await stock(data)

        transport._send = send
