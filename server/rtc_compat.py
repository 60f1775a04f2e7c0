"""Every touch of a private name of aiortc and aioice, each with the upstream line it answers to.

Nothing else in the project reaches into these libraries, so an upgrade is checked here: `TESTED` names the versions
the tests ran with, and each hook has a test in `tests/test_rtc_compat.py` that fails without it.
All of it runs on the event loop's thread. Process-wide hooks are put in place and taken back by `installed`.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import ipaddress
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import aioice.ice
import ifaddr
from aiortc import (
    RTCDtlsTransport,
    RTCIceTransport,
    RTCPeerConnection,
    RTCRtpReceiver,
    RTCRtpSender,
    rtcrtpreceiver,
    rtcrtpsender,
)
from aiortc.jitterbuffer import JitterBuffer, JitterFrame
from aiortc.rtp import (
    RTCP_PSFB_APP,
    AnyRtcpPacket,
    RtcpPsfbPacket,
    RtpPacket,
    unpack_remb_fci,
)
from aiortc.utils import uint16_add, uint16_gt

logger = logging.getLogger("surveillx.rtc")

TESTED = {"aiortc": ("1.16.0",), "aioice": ("0.13.0",)}

# Packets kept for retransmission. Upstream keeps 128 (aiortc/rtp.py:13): one keyframe can fill that.
RTP_HISTORY_PACKETS = 1024
VIDEO_JITTER_PACKETS = 512  # as upstream, aiortc/rtcrtpreceiver.py RTCRtpReceiver.__init__
REPAIR_INTERVAL_S = 0.075
STUCK_AFTER_S = 0.6
MAX_NACKS = 256
STOP_PART_S = 0.5
RETRANSMIT_SHARE = 0.25
RETRANSMIT_ALLOWANCE_BYTES = 64 * 1024  # a short burst may exceed the share: the first keyframe of a session

# Container bridges lead nowhere a peer could be (aioice/ice.py get_host_addresses lets them in).
_BRIDGES = ("docker", "br-", "veth", "virbr", "cni", "podman")


def warn_if_untested() -> None:
    """Log a warning when a library's version is not one the tests ran with."""
    for package, versions in TESTED.items():
        found = importlib.metadata.version(package)
        if found not in versions:
            logger.warning(
                "%s %s is installed, but this release was tested with %s; if video fails, install that version",
                package,
                found,
                ", ".join(versions),
            )


# --- process-wide hooks -----------------------------------------------------------------------------------------


@contextmanager
def installed(interfaces: Sequence[str] = (), on_strange_datagram: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Put the process-wide hooks in place for the duration of the `with` block.

    `interfaces` are the IP addresses offered as host candidates; empty means all but loopback and container bridges.
    `on_strange_datagram` is called for every datagram that is ignored.
    """
    stun = aioice.ice.StunProtocol

    def host_addresses(use_ipv4: bool, use_ipv6: bool) -> list[str]:
        return choose_addresses(interfaces, use_ipv4, use_ipv6)

    hooks: list[tuple[Any, str, Any]] = [
        # aioice/ice.py Connection.gather_candidates looks the function up in its module each time.
        (aioice.ice, "get_host_addresses", host_addresses),
        (stun, "datagram_received", _guarded(stun.datagram_received, on_strange_datagram)),
        (rtcrtpsender, "RTP_HISTORY_SIZE", RTP_HISTORY_PACKETS),
        (rtcrtpreceiver, "RTP_HISTORY_SIZE", VIDEO_JITTER_PACKETS),
    ]
    stock = [getattr(owner, name) for owner, name, _ in hooks]
    for owner, name, hook in hooks:
        setattr(owner, name, hook)
    try:
        yield
    finally:
        for (owner, name, _), original in zip(hooks, stock, strict=True):
            setattr(owner, name, original)


def choose_addresses(interfaces: Sequence[str], use_ipv4: bool = True, use_ipv6: bool = True) -> list[str]:
    """The addresses to offer for media: those named, or every address but loopback and bridges, or else loopback."""
    versions = {4: use_ipv4, 6: use_ipv6}
    if interfaces:
        return [each for each in interfaces if versions[ipaddress.ip_address(each).version]]
    found = []
    for adapter in ifaddr.get_adapters():
        if adapter.name.startswith(_BRIDGES):
            continue
        for ip in adapter.ips:
            # ifaddr gives IPv6 as (address, flow, scope); a scope is only there for link-local ones.
            text, scope = (ip.ip, 0) if isinstance(ip.ip, str) else (ip.ip[0], ip.ip[2])
            address = ipaddress.ip_address(text)
            if versions[address.version] and not address.is_loopback and not scope:
                found.append(text)
    return found or ["127.0.0.1"]


DatagramReceived = Callable[[aioice.ice.StunProtocol, Any, tuple[Any, ...]], None]


def _guarded(stock: DatagramReceived, on_strange: Callable[[], None]) -> DatagramReceived:
    """Trap 21: an empty datagram ends the data pump (aiortc/rtcdtlstransport.py _recv_next reads data[0]), and
    anything that is not STUN reaches DTLS whoever sent it (aioice/ice.py StunProtocol.datagram_received).

    RFC 7983 section 7: a first byte of 0 to 3 is STUN, which authenticates itself; all else must come from an address
    that a check has confirmed or the peer has named.
    """

    def datagram_received(self: aioice.ice.StunProtocol, data: bytes, addr: tuple[Any, ...]) -> None:
        if not data or (data[0] > 3 and not _is_known(self.receiver, addr)):
            on_strange()
            return
        try:
            stock(self, data, addr)
        except Exception:  # a stranger chose these bytes: whatever the parser makes of them must not reach the loop
            logger.debug("ignored a datagram that could not be parsed", exc_info=True)
            on_strange()

    return datagram_received


def _is_known(connection: aioice.ice.Connection, addr: tuple[Any, ...]) -> bool:
    return any(
        candidate.port == addr[1] and candidate._network_host == addr[0] for candidate in connection._remote_candidates
    )


# --- session descriptions ---------------------------------------------------------------------------------------


def clean_offer(sdp: str) -> str:
    """Trap 4: drop mDNS candidates, which aioice takes a second to resolve, and end-of-candidates, after which it
    would give up on a peer that named only those (aioice/ice.py Connection._prune_components).

    The peer's own checks arrive all the same and teach its address (RFC 8445 section 7.3.1.3).
    """
    return "".join(line for line in sdp.splitlines(keepends=True) if not _is_unwanted(line))


def _is_unwanted(line: str) -> bool:
    if line.startswith("a=end-of-candidates"):
        return True
    parts = line.split()
    return line.startswith("a=candidate:") and len(parts) > 4 and parts[4].lower().endswith(".local")


def add_public_address(sdp: str, public_address: str) -> str:
    """Trap 25: behind a 1:1 NAT (AWS), name the public address beside each private one of its family.

    aioice has no such setting; ports are the same on both sides of a 1:1 NAT, so a second candidate line suffices.
    """
    version = ipaddress.ip_address(public_address).version
    lines = []
    for line in sdp.splitlines(keepends=True):
        lines.append(line)
        parts = line.split()
        if line.startswith("a=candidate:") and "host" in parts and ipaddress.ip_address(parts[4]).version == version:
            ending = line[len(line.rstrip("\r\n")) :]
            parts[0] += "nat"  # another base address, hence another foundation (RFC 8445 section 5.1.1.3)
            parts[4] = public_address
            lines.append(" ".join(parts) + ending)
    return "".join(lines)


# --- the publisher's uplink -------------------------------------------------------------------------------------


class PromptJitterBuffer(JitterBuffer):
    """Trap 1: releases a frame with its last packet, not with the first packet of the next one.

    aiortc/jitterbuffer.py _remove_frame waits for a new timestamp, one frame interval; the RTP marker bit says the
    same at once (RFC 7741 section 4.1 for VP8, RFC 6184 section 5.1 for H.264). It also hands on every frame that a
    late packet completes, where upstream returns one and leaves the others to wait for later packets.
    """

    def __init__(self, capacity: int, on_extra_frame: Callable[[JitterFrame, RtpPacket], None]) -> None:
        super().__init__(capacity=capacity, is_video=True)
        self._on_extra_frame = on_extra_frame
        self._awaiting_start = False
        self.media_ssrc: int | None = None
        self.last_packet_at = 0.0
        self.last_frame_at = 0.0

    def add(self, packet: RtpPacket) -> tuple[bool, JitterFrame | None]:
        """Take a packet; return whether a picture must be asked for, and the newest complete frame."""
        self.media_ssrc = packet.ssrc
        self.last_packet_at = time.monotonic()
        self.last_frame_at = self.last_frame_at or self.last_packet_at
        if self._awaiting_start:
            # After a reset the stream is entered in the middle: a frame begins after the next marker.
            if packet.marker:
                self._awaiting_start = False
                self._origin = uint16_add(packet.sequence_number, 1)
            return False, None
        asks_for_picture, newest = super().add(packet)
        while newest is not None:
            self.last_frame_at = self.last_packet_at
            following = self._remove_frame(packet.sequence_number)
            if following is None:
                break
            self._on_extra_frame(newest, packet)
            newest = following
        return asks_for_picture, newest

    def _remove_frame(self, sequence_number: int) -> JitterFrame | None:  # noqa: ARG002 - upstream's signature
        packets: list[RtpPacket] = []
        assert self._origin is not None  # noqa: S101 - upstream's add() has set it
        for count in range(self._capacity):
            packet = self._packets[(self._origin + count) % self._capacity]
            if packet is None:
                return None
            if packets and packet.timestamp != packets[0].timestamp:
                return self._release(packets)  # a sender without marker bits
            packets.append(packet)
            if packet.marker:
                return self._release(packets)
        return None

    def _release(self, packets: list[RtpPacket]) -> JitterFrame:
        self.remove(len(packets))
        # RTCRtpReceiver._handle_rtp_packet hangs the depayloaded bytes on each packet as _data.
        data = b"".join(getattr(each, "_data") for each in packets)  # noqa: B009
        return JitterFrame(data=data, timestamp=packets[0].timestamp)

    def reset(self) -> None:
        """Give up on everything held and begin with the next frame."""
        self._packets = [None] * self._capacity
        self._origin = None
        self._awaiting_start = True


class UplinkRepair:
    """Trap 8: asks again for packets that are still missing, and gives up on a frame that never completes.

    aiortc/rtcrtpreceiver.py sends a NACK only when a packet reveals a new gap, and a hole blocks its jitter buffer
    until 512 packets have queued: one packet lost with its retransmission froze the picture for 6 s.
    """

    def __init__(self, receiver: RTCRtpReceiver) -> None:
        self._receiver = receiver
        self._nacks: rtcrtpreceiver.NackGenerator = _private(receiver, "nack_generator")
        self._buffer = PromptJitterBuffer(VIDEO_JITTER_PACKETS, self._decode)
        receiver._RTCRtpReceiver__jitter_buffer = self._buffer  # type: ignore[attr-defined]
        self.resets = 0

    def _decode(self, frame: JitterFrame, packet: RtpPacket) -> None:
        # What RTCRtpReceiver._handle_rtp_packet does with the one frame it is given.
        frame.timestamp = _private(self._receiver, "timestamp_mapper").map(frame.timestamp)
        codec = _private(self._receiver, "codecs")[packet.payload_type]
        _private(self._receiver, "decoder_queue").put((codec, frame))

    async def run(self) -> None:
        """Repair until cancelled."""
        while True:
            await asyncio.sleep(REPAIR_INTERVAL_S)
            await self.step(time.monotonic())

    async def step(self, now: float) -> None:
        """One round at the monotonic time `now`."""
        buffer = self._buffer
        if buffer.media_ssrc is None:
            return
        self._forget_passed()
        receiving = now - buffer.last_packet_at < STUCK_AFTER_S
        if receiving and now - buffer.last_frame_at > STUCK_AFTER_S:
            self.resets += 1
            buffer.reset()
            buffer.last_frame_at = now  # the next attempt is as long away
            self._nacks.missing.clear()
            await self._receiver._send_rtcp_pli(buffer.media_ssrc)
        elif self._nacks.missing:
            await self._receiver._send_rtcp_nack(buffer.media_ssrc, sorted(self._nacks.missing)[:MAX_NACKS])

    def _forget_passed(self) -> None:
        origin = self._buffer._origin
        if origin is not None:
            self._nacks.missing.difference_update([each for each in self._nacks.missing if uint16_gt(origin, each)])

    async def ask_for_picture(self) -> None:
        """Send a picture loss indication (RFC 4585 section 6.3.1), if anything has been received yet."""
        if self._buffer.media_ssrc is not None:
            await self._receiver._send_rtcp_pli(self._buffer.media_ssrc)


# --- the viewer's downlink --------------------------------------------------------------------------------------


class DownlinkFeedback:
    """What a viewer's browser reports about one sender, which upstream leaves unused for ready-made packets.

    Trap 13: aiortc/rtcrtpsender.py _send_keyframe sets a flag that only its own encoder reads: calls `on_keyframe`.
    Trap 18: a REMB lands on an encoder object that encodes nothing: kept in `available_bps`; retransmissions are
    answered without limit: at most a quarter of what was sent, the rest counted in `refused`.
    """

    def __init__(self, sender: RTCRtpSender, on_keyframe: Callable[[], None]) -> None:
        self._sender = sender
        self._stock_rtcp = sender._handle_rtcp_packet
        self._stock_retransmit = sender._retransmit
        self._retransmitted_bytes = 0
        self.available_bps: int | None = None
        self.refused = 0
        sender._send_keyframe = on_keyframe  # type: ignore[method-assign]
        sender._handle_rtcp_packet = self._handle_rtcp  # type: ignore[method-assign]
        sender._retransmit = self._retransmit  # type: ignore[method-assign]

    async def _handle_rtcp(self, packet: AnyRtcpPacket) -> None:
        if isinstance(packet, RtcpPsfbPacket) and packet.fmt == RTCP_PSFB_APP:
            try:
                bitrate_bps, ssrcs = unpack_remb_fci(packet.fci)
            except ValueError:
                return
            if self._sender._ssrc in ssrcs:
                self.available_bps = bitrate_bps
            return
        await self._stock_rtcp(packet)

    async def _retransmit(self, sequence_number: int) -> None:
        history = _private(self._sender, "rtp_history")
        packet = history.get(sequence_number % RTP_HISTORY_PACKETS)
        if packet is None or packet.sequence_number != sequence_number:
            return
        limit = RETRANSMIT_SHARE * _private(self._sender, "octet_count") + RETRANSMIT_ALLOWANCE_BYTES
        if self._retransmitted_bytes > limit:
            self.refused += 1
            return
        self._retransmitted_bytes += len(packet.payload)
        await self._stock_retransmit(sequence_number)


def _private(owner: RTCRtpSender | RTCRtpReceiver, name: str) -> Any:
    return getattr(owner, f"_{type(owner).__name__}__{name}")


# --- closing ----------------------------------------------------------------------------------------------------

_closing: set[asyncio.Task[None]] = set()


async def close_peer(peer: RTCPeerConnection, timeout_s: float) -> None:
    """Trap 23: close a peer connection without ever hanging or raising.

    aiortc/rtcpeerconnection.py close() may raise half-way, after which a second call waits for ever. It gets
    `timeout_s`; what it leaves open is then closed part by part.
    """
    peer.remove_all_listeners()
    closing = asyncio.create_task(peer.close(), name="surveillx-close-peer")
    _closing.add(closing)  # if we are cancelled ourselves, the close goes on
    closing.add_done_callback(_closing.discard)
    done, _ = await asyncio.wait({closing}, timeout=timeout_s)
    if done and not closing.cancelled() and closing.exception() is None:
        return
    reason = closing.exception() if done and not closing.cancelled() else "timed out"
    logger.warning("a peer connection did not close by itself (%s); its parts are closed one by one", reason)
    closing.cancel()
    for transceiver in peer.getTransceivers():
        dtls = transceiver.receiver.transport
        for part in (transceiver.sender, transceiver.receiver, dtls, dtls.transport):
            await _stop(part)


async def _stop(part: RTCRtpSender | RTCRtpReceiver | RTCDtlsTransport | RTCIceTransport) -> None:
    try:
        async with asyncio.timeout(STOP_PART_S):
            await part.stop()
    except Exception:  # the other parts must be freed whatever is wrong with this one
        logger.debug("%s did not stop", type(part).__name__, exc_info=True)
