"""Many viewers in one process: they connect as browsers do and count packets, but decode nothing (0.006 core each).

Reads from stdin the number of viewers there should be, or "count"; answers each on stdout in one line of JSON: how many
pictures each viewer has received so far. `python -m server.bench.load URL [each]`; "each": the n-th watches camera n
instead of all the first.
"""

from __future__ import annotations

import asyncio
import json
import sys

import httpx
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.rtp import RtpPacket

from ..publisher.peer import allow_loopback

CONNECT_TIMEOUT_S = 15.0


class CountingViewer:
    """One peer connection whose receiver counts."""

    def __init__(self) -> None:
        self.pictures = 0
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._connected = asyncio.Event()
        self._connection.on("connectionstatechange", self._on_state)
        receiver = self._connection.addTransceiver("video", direction="recvonly").receiver
        # rtcdtlstransport.py:_handle_rtp_data hands each packet to this method of the receiver: no jitter buffer, no
        # decoder, no reports.
        vars(receiver).update(_handle_rtp_packet=self._count)

    async def _count(self, packet: RtpPacket, **_arrival_time_ms: int) -> None:
        # The marker ends a picture (RFC 7741, section 4.1).
        self.pictures += packet.marker

    def _on_state(self) -> None:
        if self._connection.connectionState == "connected":
            self._connected.set()

    async def connect(self, client: httpx.AsyncClient, camera_id: str = "1") -> None:
        """Offer, and wait for the connection.

        Raises:
            TimeoutError: it does not come.
            httpx.HTTPError: the server refuses.
        """
        await self._connection.setLocalDescription(await self._connection.createOffer())
        response = await client.post(
            "/webrtc/viewer",
            json={"sdp": self._connection.localDescription.sdp, "type": "offer", "camera_id": camera_id},
        )
        response.raise_for_status()
        await self._connection.setRemoteDescription(RTCSessionDescription(response.json()["sdp"], "answer"))
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            await self._connected.wait()

    async def close(self) -> None:
        """Hang up."""
        await self._connection.close()


async def play(url: str, which: str = "") -> None:
    """Obey stdin until it ends."""
    allow_loopback()
    viewers: list[CountingViewer] = []
    async with httpx.AsyncClient(base_url=url, timeout=CONNECT_TIMEOUT_S) as client:
        while line := (await asyncio.to_thread(sys.stdin.readline)).strip():
            while line.isdigit() and len(viewers) < int(line):
                viewers.append(CountingViewer())
                await viewers[-1].connect(client, str(len(viewers)) if which == "each" else "1")
            print(json.dumps([viewer.pictures for viewer in viewers]), flush=True)
    await asyncio.gather(*(viewer.close() for viewer in viewers))


if __name__ == "__main__":
    asyncio.run(play(*sys.argv[1:3]))
