"""A real viewer's connection: offered, connected over UDP, and watched for a moment."""

from __future__ import annotations

import asyncio
import ipaddress
import time
from contextlib import suppress
from types import TracebackType
from typing import Self

import httpx
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from aiortc.sdp import SessionDescription

from .asking import ask, detail
from .steps import Failed

CONNECT_WITHIN_S = 8.0
FIRST_PICTURE_WITHIN_S = 8.0
WATCH_S = 2.0


class Media:
    """One viewer of one camera; everything is freed when the `async with` block ends."""

    def __init__(self, http: httpx.AsyncClient, camera_id: str) -> None:
        self._http = http
        self._camera_id = camera_id
        self._peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._session_id = ""
        self._changed = asyncio.Event()
        self._tracks: list[MediaStreamTrack] = []
        self._answered_at = 0.0
        self.offered: list[str] = []  #: where the server takes media, as address:port

    async def __aenter__(self) -> Self:
        self._peer.on("connectionstatechange", self._changed.set)
        self._peer.on("track", self._tracks.append)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session_id:
            with suppress(Failed):  # the server ends it by itself
                await ask(self._http, "DELETE", f"/webrtc/sessions/{self._session_id}")
        await self._peer.close()

    async def negotiate(self) -> None:
        """Offer, and take the answer.

        Raises:
            Failed: the server refuses.
        """
        self._peer.addTransceiver("video", "recvonly")
        await self._peer.setLocalDescription(await self._peer.createOffer())
        offer = {"sdp": self._peer.localDescription.sdp, "type": "offer", "camera_id": self._camera_id}
        response = await ask(self._http, "POST", "/webrtc/viewer", json=offer)
        if response.is_error:
            raise Failed(detail(response), "Do what it says, then try again.")
        content = response.json()
        self._session_id = content["session_id"]
        self._answered_at = time.monotonic()
        media = SessionDescription.parse(content["sdp"]).media
        self.offered = [f"{each.ip}:{each.port}" for each in media[0].ice_candidates]
        await self._peer.setRemoteDescription(RTCSessionDescription(content["sdp"], "answer"))

    async def connect(self, addresses: set[str]) -> str:
        """Wait for the connection; `addresses` are those at which HTTP reaches the server.

        Raises:
            Failed: there is none in time; says whether it is an address or a firewall.
        """
        try:
            async with asyncio.timeout(CONNECT_WITHIN_S):
                while self._peer.connectionState not in ("connected", "failed", "closed"):
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            pass
        if self._peer.connectionState == "connected":
            return "media gets through"
        raise self._blocked(addresses)

    async def watch(self) -> str:
        """Wait for the first picture, then count.

        Raises:
            Failed: none comes.
        """
        try:
            async with asyncio.timeout(FIRST_PICTURE_WITHIN_S):
                await self._tracks[0].recv()
        except (TimeoutError, MediaStreamError) as error:
            raise Failed(
                "Connected, but no picture comes.", "Look at the server's System page, and at its log."
            ) from error
        first_s, pictures = time.monotonic() - self._answered_at, 0
        try:
            async with asyncio.timeout(WATCH_S):
                while True:
                    await self._tracks[0].recv()
                    pictures += 1
        except (TimeoutError, MediaStreamError):
            return f"the first {first_s * 1000:.0f} ms after the answer, then {pictures / WATCH_S:.0f} a second"

    def _blocked(self, addresses: set[str]) -> Failed:
        hosts = {each.rpartition(":")[0] for each in self.offered}
        ports = sorted({each.rpartition(":")[2] for each in self.offered})
        if not hosts & addresses and not all(ipaddress.ip_address(each).is_loopback for each in addresses):
            return Failed(
                f"You reach the server at {', '.join(sorted(addresses))}, but it takes media at "
                f"{', '.join(sorted(hosts))} only.",
                f"Behind a NAT, set SURVEILLX_PUBLIC_ADDRESS={min(addresses)} on the server and forward UDP "
                f"{', '.join(ports)}; or name the right address in SURVEILLX_INTERFACES.",
            )
        return Failed(
            "UDP does not get through between this machine and the server.",
            f"Open UDP {', '.join(ports)} of the server in every firewall in between; where that cannot be, set up a "
            "TURN server (docs/network.md). Until then browsers show JPEG pictures.",
        )
