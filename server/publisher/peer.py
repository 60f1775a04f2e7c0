"""One peer connection to the server: offer, connect, watch, close.

The server may vanish without a word (kill -9, power). ICE notices after 27 to 39 seconds; the silence where the
server's reports should be, one in 1.5 seconds at the latest, tells it within three, unless nothing of the server can be
reached: then it may be the network, and the connection is kept for when that is back.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from collections.abc import Callable, Coroutine
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from typing import Any

from aioice import ice
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCIceServer,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
    rtcrtpsender,
)
from aiortc.codecs import h264, vpx

from .encoder import MIN_BITRATE_BPS, START_BITRATE_BPS, encode_for_lines
from .relays import Relay, relay_when_needed
from .reports import CaptureReports
from .signalling import NotConnectedError, Signalling

CONNECT_TIMEOUT_S = 10.0
CLOSE_TIMEOUT_S = 3.0
WATCH_EVERY_S = 0.25
# The server's reports come every 0.5 to 1.5 s, and its bandwidth estimates every 0.5 s while pictures flow.
SILENT_S = 2.5
# After a blackout the server asks for a picture as soon as anything reaches it.
ECHO_S = 0.5
# Pictures come in and none goes out: the encoder has died.
STUCK_S = 3.0
# At 4 Mbit/s a keyframe fills aiortc's 128 packets, and what has left the history cannot be sent again.
HISTORY_PACKETS = 1024
# A line that loses one packet in ten needs 0.12, and a burst or a keyframe some at once.
REPEATED_SHARE, REPEATED_AT_ONCE = 0.25, 80

logger = logging.getLogger("surveillx.publisher")
_offer_loopback: ContextVar[bool] = ContextVar("offer_loopback", default=False)


@dataclass(frozen=True)
class IceServers:
    """STUN and TURN for a publisher outside the server's network; without `turn` the server is asked for relays."""

    stun: str = ""
    turn: str = ""
    turn_user: str = ""
    turn_password: str = ""

    def configuration(self) -> RTCConfiguration:
        """Explicit even when empty: aiortc's default waits 5 s for a public STUN server where there is no Internet."""
        return RTCConfiguration(iceServers=[RTCIceServer(urls=self.stun)] if self.stun else [])

    @property
    def relay(self) -> Relay | None:
        """The relay that was named, if any."""
        return Relay(self.turn, self.turn_user, self.turn_password) if self.turn else None


def raise_limits(max_bitrate_bps: int) -> None:
    """Let aiortc's encoders use up to `max_bitrate_bps`; their own 1.5 Mbit/s is for video calls. For this process."""
    for codec in (vpx, h264):
        vars(codec).update(
            MAX_BITRATE=max_bitrate_bps,
            DEFAULT_BITRATE=min(START_BITRATE_BPS, max_bitrate_bps),
            MIN_BITRATE=min(MIN_BITRATE_BPS, max_bitrate_bps),
        )
    encode_for_lines(max_bitrate_bps)
    vars(rtcrtpsender).update(RTP_HISTORY_SIZE=HISTORY_PACKETS)


def limit_repeats(sender: RTCRtpSender) -> None:
    """Repeat packets for at most `REPEATED_SHARE` of what is sent.

    aiortc/rtcrtpsender.py _retransmit answers every request. On a line that is full most packets are missing, and what
    is left of it would carry repetitions.
    """
    stock: Callable[[int], Coroutine[Any, Any, None]] = vars(type(sender))["_retransmit"].__get__(sender)
    allowed, counted = float(REPEATED_AT_ONCE), 0

    async def retransmit(sequence_number: int) -> None:
        nonlocal allowed, counted
        sent: int = vars(sender)["_RTCRtpSender__packet_count"]
        allowed, counted = min(REPEATED_AT_ONCE, allowed + REPEATED_SHARE * (sent - counted)), sent
        if allowed >= 1:
            allowed -= 1
            await stock(sequence_number)

    vars(sender).update(_retransmit=retransmit)


@cache
def allow_loopback() -> None:
    """Offer 127.0.0.1 too where that is wanted or all there is; aioice (ice.py:get_host_addresses) leaves it out.

    Once for the process; it stacks on whatever else replaced the function.
    """
    original = ice.get_host_addresses

    def host_addresses(use_ipv4: bool, use_ipv6: bool) -> list[str]:
        found = original(use_ipv4, use_ipv6)
        if use_ipv4 and "127.0.0.1" not in found and (_offer_loopback.get() or not found):
            return [*found, "127.0.0.1"]
        return found

    ice.get_host_addresses = host_addresses


def is_loopback(host: str) -> bool:
    """Whether a server of that name or address is on this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class PublisherPeer:
    """Sends one track to the server until something ends it."""

    def __init__(self, signalling: Signalling, track: MediaStreamTrack, ice_servers: IceServers) -> None:
        self._signalling = signalling
        self._ice_servers = ice_servers
        self._connection = RTCPeerConnection(ice_servers.configuration())
        self._sender = self._add(track)
        CaptureReports(self._sender)
        self._changed = asyncio.Event()
        self._connection.on("connectionstatechange", self._changed.set)
        self._session_id = ""
        self._is_waiting = False

    def _add(self, track: MediaStreamTrack) -> RTCRtpSender:
        transceiver = self._connection.addTransceiver(track, direction="sendonly")
        # VP8 first: every browser decodes it, so the server need not convert. Retransmission stands between the two.
        order = ("video/VP8", "video/rtx", "video/H264")
        codecs = [codec for codec in RTCRtpSender.getCapabilities("video").codecs if codec.mimeType in order]
        transceiver.setCodecPreferences(sorted(codecs, key=lambda codec: order.index(codec.mimeType)))
        limit_repeats(transceiver.sender)
        return transceiver.sender

    async def connect(self) -> None:
        """Offer, and wait until the connection stands.

        Raises:
            NotConnectedError: refused, unreachable, or no way through for the media.
        """
        _offer_loopback.set(is_loopback(self._signalling.host))
        await self._connection.setLocalDescription(await self._connection.createOffer())
        answer = await self._signalling.offer(self._connection.localDescription.sdp)
        self._session_id = answer.session_id
        try:
            await self._connection.setRemoteDescription(RTCSessionDescription(answer.sdp, "answer"))
        except Exception as error:
            # A server that is not ours can answer anything, and aiortc raises whatever comes of it.
            raise NotConnectedError(f"The server's answer cannot be used: {error}") from error
        relaying = asyncio.create_task(relay_when_needed(self._sender, self._relays), name="publisher-relays")
        try:
            await self._connected()
        finally:
            relaying.cancel()
            await asyncio.gather(relaying, return_exceptions=True)

    async def _relays(self) -> list[Relay]:
        return [named] if (named := self._ice_servers.relay) else await self._signalling.relays()

    async def _connected(self) -> None:
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                while (state := self._connection.connectionState) != "connected":
                    if state in ("failed", "closed"):
                        raise NotConnectedError(_NO_WAY)
                    await self._changed.wait()
                    self._changed.clear()
        except TimeoutError as error:
            raise NotConnectedError(_NO_WAY) from error

    async def ended(self, captured: Callable[[], int]) -> str:
        """Wait until the connection has ended, and say why. `captured` counts the pictures there were to send."""
        received, sent = Stillness(), Stillness()
        loop = asyncio.get_running_loop()
        pictures = captured()
        while self._connection.connectionState == "connected":
            with suppress(TimeoutError):
                async with asyncio.timeout(WATCH_EVERY_S):
                    await self._changed.wait()
                    self._changed.clear()
            counters, now = await self._counters(), loop.time()
            if received.lasts(counters["bytesReceived"], now) > SILENT_S and await self._is_gone(counters):
                return "The server has vanished."
            still_s = sent.lasts(counters["packetsSent"], now)
            if not still_s:
                pictures = captured()
            elif still_s > STUCK_S and captured() > pictures + 1:
                return "The encoder stands still."
        return "The server has closed the connection."

    async def _is_gone(self, silent: dict[str, Any]) -> bool:
        """Whether only this connection is dead: the server can be reached, and yet stays silent a moment longer.

        Where it cannot, the network is down, or the server; in either case a new connection would fare no better, and
        this one goes on at once when it was the network.
        """
        if not await self._signalling.knock():
            if not self._is_waiting:
                logger.warning("Nothing reaches the server; waiting for the network or for the server.")
            self._is_waiting = True
            return False
        await asyncio.sleep(ECHO_S)
        return bool((await self._counters())["bytesReceived"] == silent["bytesReceived"])

    async def _counters(self) -> dict[str, Any]:
        counters: dict[str, Any] = {"bytesReceived": 0, "packetsSent": 0}
        for report in (await self._sender.getStats()).values():
            if report.type == "transport":
                counters["bytesReceived"] = report.bytesReceived
            elif report.type == "outbound-rtp":
                counters["packetsSent"] = report.packetsSent
        return counters

    async def close(self) -> None:
        """Say goodbye and free everything, within `CLOSE_TIMEOUT_S` whatever the network does."""
        tasks = {asyncio.create_task(self._connection.close(), name="publisher-close")}
        if self._session_id:
            tasks.add(asyncio.create_task(self._signalling.goodbye(self._session_id), name="publisher-goodbye"))
        done, late = await asyncio.wait(tasks, timeout=CLOSE_TIMEOUT_S)
        for task in late:
            task.cancel()
        for task in done:
            if error := task.exception():
                logger.debug("Closing the connection: %r", error)


class Stillness:
    """How long a counter has not moved while somebody looked.

    Time in which this process did not run (a machine short of CPU, a suspended laptop) is no evidence against the
    server: each look counts for two intervals at most.
    """

    def __init__(self) -> None:
        self._value: object = None
        self._looked_at = 0.0
        self._still_s = 0.0

    def lasts(self, value: object, now: float) -> float:
        """Seconds for which `value` has been the same; 0 when it has just changed."""
        passed, self._looked_at = now - self._looked_at, now
        self._still_s = self._still_s + min(passed, 2 * WATCH_EVERY_S) if value == self._value else 0.0
        self._value = value
        return self._still_s


_NO_WAY = (
    "The server answers, but the video finds no way to it: its firewall or this one blocks UDP. "
    "Open UDP between the two machines, or give a relay with --turn."
)
