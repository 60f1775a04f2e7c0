"""A viewer that costs little: it connects as a browser does, then reads no more of a packet than its header.

SRTP leaves the header in the clear, so that pictures are counted by their marker bits without decrypting: 150 viewers
fit beside a camera on one core. Receiver reports go out as a browser sends them, for the server has to read those too.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

import httpx
from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpReceiver, RTCSessionDescription
from aiortc.codecs.vpx import VpxPayloadDescriptor
from aiortc.rtp import RtcpReceiverInfo, RtcpRrPacket, RtpPacket, is_rtcp

from ..rtc_compat import send_rtcp, tap_datagrams, tap_packets, widen

CONNECT_TIMEOUT_S = 15.0

Join = Callable[[httpx.AsyncClient, RTCPeerConnection], Awaitable[None]]


def joining(camera_id: str, on_session: Callable[[str], None] = lambda _session_id: None) -> Join:
    """How a viewer joins our server (and what speaks like it); `on_session` is told the session's id."""

    async def join(client: httpx.AsyncClient, peer: RTCPeerConnection) -> None:
        peer.addTransceiver("video", direction="recvonly")
        await peer.setLocalDescription(await peer.createOffer())
        offer = {"sdp": peer.localDescription.sdp, "type": "offer", "camera_id": camera_id}
        response = await client.post("/webrtc/viewer", json=offer)
        response.raise_for_status()
        answer = response.json()
        on_session(answer["session_id"])
        await peer.setRemoteDescription(RTCSessionDescription(answer["sdp"], "answer"))

    return join


class CountingViewer:
    """One peer connection. `pictures` counts; `first_picture_s` is how long the first whole picture took to come."""

    def __init__(self) -> None:
        self.pictures = 0
        self.first_picture_s: float | None = None
        self.shown = asyncio.Event()
        self._connected = asyncio.Event()
        self._began = time.monotonic()
        self._next_of_keyframe: int | None = None
        self._ssrc = 0
        self._sequence_number = 0
        self._peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._peer.on("connectionstatechange", self._on_state)
        self._peer.on("track", self._on_track)

    async def connect(self, client: httpx.AsyncClient, join: Join) -> None:
        """Join, and wait for the connection.

        Raises:
            TimeoutError: it does not come.
            httpx.HTTPError: the server refuses.
        """
        self._began = time.monotonic()
        await join(client, self._peer)
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            await self._connected.wait()

    def read_headers_only(self) -> None:
        """From now on; `first_picture_s` stays as it is."""
        tap_datagrams(self._receiver, self._count)

    async def report(self) -> None:
        """Tell the server that all is well (RFC 3550 section 6.4.2)."""
        info = RtcpReceiverInfo(
            ssrc=self._ssrc,
            fraction_lost=0,
            packets_lost=0,
            highest_sequence=self._sequence_number,
            jitter=0,
            lsr=0,
            dlsr=0,
        )
        with suppress(ConnectionError):  # the server has gone; the pictures that do not come tell it
            await send_rtcp(self._receiver, RtcpRrPacket(ssrc=1, reports=[info]))

    async def close(self) -> None:
        """Hang up."""
        await self._peer.close()

    def _on_track(self, _track: object) -> None:
        self._receiver: RTCRtpReceiver = self._peer.getReceivers()[0]
        tap_packets(self._receiver, self._read)

    def _on_state(self) -> None:
        if self._peer.connectionState == "connected":
            widen(self._receiver)
            self._connected.set()

    def _read(self, packet: RtpPacket) -> None:
        self._ssrc = packet.ssrc
        self.pictures += packet.marker
        if not self.shown.is_set():
            self._look_for_keyframe(packet)

    def _count(self, data: bytes) -> bool:
        if not 127 < data[0] < 192 or is_rtcp(data):  # RFC 7983 section 7
            return False
        if data[1] & 0x80:
            self.pictures += 1
            self._sequence_number, self._ssrc = int.from_bytes(data[2:4]), int.from_bytes(data[8:12])
        return True

    def _look_for_keyframe(self, packet: RtpPacket) -> None:
        descriptor, data = VpxPayloadDescriptor.parse(packet.payload)
        # RFC 7741 section 4.2; RFC 6386 section 9.1: a picture's first octet, whose lowest bit says "no keyframe".
        if descriptor.partition_start and descriptor.partition_id == 0:
            self._next_of_keyframe = None if data[0] & 1 else packet.sequence_number
        if self._next_of_keyframe != packet.sequence_number:
            self._next_of_keyframe = None  # one is missing
            return
        self._next_of_keyframe = (packet.sequence_number + 1) & 0xFFFF
        if packet.marker:
            self.first_picture_s = time.monotonic() - self._began
            self.shown.set()
