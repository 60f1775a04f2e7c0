"""Viewers and publishers that come and go: each connects, gets or sends pictures, and leaves in one of three ways.

Reads lines "WHO HOW COUNT" from stdin, such as "viewer delete 20", and answers each on stdout, when all have come and
gone, with one line of JSON: the seconds each took from its offer to its first picture. WHO: "viewer" watches camera 1
until its first picture is complete; "publisher" sends as a camera of its own until a viewer of it has a picture. HOW:
"delete" takes leave over HTTP, "close" hangs up, "stay" does neither: whoever kills this process makes them vanish.
`python -m server.bench.visitors URL`.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from http import HTTPStatus
from typing import Protocol

import httpx
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription, VideoStreamTrack

from ..publisher.peer import allow_loopback
from .counting import CountingViewer, joining

AT_ONCE = 2
TIMEOUT_S = 20.0
POLL_S = 0.01
TAKEN_POLL_S = 0.2
CAMERA = "visitor"


class Visitor(Protocol):
    """Somebody who comes and goes."""

    async def arrive(self, http: httpx.AsyncClient) -> None:
        """Connect, and stay until the first picture."""

    async def leave(self, http: httpx.AsyncClient, *, politely: bool) -> None:
        """Hang up; `politely`: after having told the server."""


class VisitingViewer:
    """A viewer of one camera."""

    def __init__(self, camera_id: str = "1") -> None:
        self._camera_id = camera_id
        self._session_id = ""
        self._viewer = CountingViewer()

    async def arrive(self, http: httpx.AsyncClient) -> None:
        """Connect, and stay until the first keyframe is there with all its packets."""
        await self._viewer.connect(http, joining(self._camera_id, self._remember))
        async with asyncio.timeout(TIMEOUT_S):
            await self._viewer.shown.wait()

    def _remember(self, session_id: str) -> None:
        self._session_id = session_id

    async def leave(self, http: httpx.AsyncClient, *, politely: bool) -> None:
        """Hang up."""
        if politely:
            (await http.delete(f"/webrtc/sessions/{self._session_id}")).raise_for_status()
        await self._viewer.close()


class VisitingPublisher:
    """A camera of its own with a viewer, so that all that a camera starts is started and ended."""

    def __init__(self) -> None:
        self._session_id = ""
        self._viewer = VisitingViewer(CAMERA)
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._connection.addTransceiver(VideoStreamTrack(), direction="sendonly")

    async def arrive(self, http: httpx.AsyncClient) -> None:
        """Publish until the camera is online and its viewer has a picture."""
        await self._connection.setLocalDescription(await self._connection.createOffer())
        async with asyncio.timeout(TIMEOUT_S):
            response = await self._offer(http)
            answer = response.raise_for_status().json()
            self._session_id = answer["session_id"]
            await self._connection.setRemoteDescription(RTCSessionDescription(answer["sdp"], "answer"))
            while not await _is_online(http):  # noqa: ASYNC110 - the server is to be asked
                await asyncio.sleep(POLL_S)
        await self._viewer.arrive(http)

    async def _offer(self, http: httpx.AsyncClient) -> httpx.Response:
        """The one before may have vanished: its place is free when it has been silent for a while."""
        offer = {"sdp": self._connection.localDescription.sdp, "type": "offer", "camera_id": CAMERA}
        while (response := await http.post("/webrtc/streamer", json=offer)).status_code == HTTPStatus.CONFLICT:  # noqa: ASYNC110
            await asyncio.sleep(TAKEN_POLL_S)
        return response

    async def leave(self, http: httpx.AsyncClient, *, politely: bool) -> None:
        """Stop publishing; the viewer goes too."""
        await self._viewer.leave(http, politely=politely)
        if politely:
            (await http.delete(f"/webrtc/sessions/{self._session_id}")).raise_for_status()
        await self._connection.close()


async def _is_online(http: httpx.AsyncClient) -> bool:
    return any(camera["id"] == CAMERA and camera["online"] for camera in (await http.get("/api/cameras")).json())


async def visit(http: httpx.AsyncClient, who: str, how: str) -> tuple[Visitor, float]:
    """Come, and go unless `how` is "stay"; who it was, and the seconds until the first picture."""
    visitor: Visitor = VisitingPublisher() if who == "publisher" else VisitingViewer()
    began = time.monotonic()
    await visitor.arrive(http)
    took_s = time.monotonic() - began
    if how != "stay":
        await visitor.leave(http, politely=how == "delete")
    return visitor, took_s


async def play(url: str) -> None:
    """Obey stdin until it ends."""
    allow_loopback()
    staying: list[Visitor] = []
    async with httpx.AsyncClient(base_url=url, timeout=TIMEOUT_S) as http:
        while line := (await asyncio.to_thread(sys.stdin.readline)).split():
            who, how, count = line
            seconds: list[float] = []
            while len(seconds) < int(count):
                together = min(AT_ONCE, int(count) - len(seconds)) if who == "viewer" else 1
                visits = await asyncio.gather(*(visit(http, who, how) for _ in range(together)))
                seconds += [took_s for _, took_s in visits]
                staying += [visitor for visitor, _ in visits if how == "stay"]
            print(json.dumps(seconds), flush=True)


if __name__ == "__main__":
    asyncio.run(play(sys.argv[1]))
