"""Hooks into sending: ready-made pictures go out in one tight loop, and what the viewer reports is acted on."""

from __future__ import annotations

import asyncio
import logging
import struct
from collections.abc import Callable
from typing import NamedTuple, Protocol

from aiortc import RTCRtpSender, clock, rtcrtpsender
from aiortc.rtcdtlstransport import State
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from aiortc.rtp import RTCP_PSFB_APP, AnyRtcpPacket, HeaderExtensions, RtcpPsfbPacket, RtpPacket, wrap_rtx
from aiortc.utils import uint16_add

from .feedback import Feedback
from .ice import RTP_HISTORY_PACKETS
from .private import private, set_private

RETRANSMIT_SHARE = 0.25
RETRANSMIT_ALLOWANCE_BYTES = 64 * 1024  # a short burst may exceed the share: the first keyframe of a session

_HEADER = struct.Struct("!BBHLL")  # RFC 3550 section 5.1
_EXTENSION = struct.Struct("!HH")  # section 5.3.1
_VERSION = 0x80
_HAS_EXTENSION = 0x10
_MARKER = 0x80

logger = logging.getLogger("surveillx.rtc")


class Picture(Protocol):
    """One encoded picture, shared by all viewers."""

    @property
    def payloads(self) -> tuple[bytes, ...]:
        """RTP payloads in order."""

    @property
    def timestamp(self) -> int:
        """90 kHz ticks; travels as it is, modulo 2**32."""


class _Sent(NamedTuple):
    """What a retransmission needs; the payload is shared with all viewers."""

    sequence_number: int
    timestamp: int
    payload_type: int
    marker: int
    payload: bytes


class Downlink:
    """Replaces the sending half of one `RTCRtpSender` and listens to its viewer.

    Cost: aiortc/rtcrtpsender.py _run_rtp packs each picture anew for each viewer, makes an object for each packet and
    goes through three coroutines to send it. Here payloads are shared, no task wakes up for a picture, and its packets
    are stamped, protected and sent in one loop; sender reports, retransmission and statistics stay upstream's.

    Trap 13: _send_keyframe sets a flag that only upstream's own encoder reads: calls `on_keyframe_wanted`.
    Trap 18: a REMB lands on an encoder object that encodes nothing: kept in `feedback`; retransmissions are answered
    without limit: at most a quarter of what was sent, the rest counted in `refused`.

    `on_ready` is called once, with the codec, when pictures can be sent; `on_feedback` whenever `feedback` is news;
    `ended` is set when no picture can be sent any more.
    """

    def __init__(
        self,
        sender: RTCRtpSender,
        *,
        on_ready: Callable[[RTCRtpCodecParameters], None],
        on_keyframe_wanted: Callable[[], None],
        on_feedback: Callable[[], None] = lambda: None,
    ) -> None:
        self._sender = sender
        self._on_ready = on_ready
        self._on_feedback = on_feedback
        self._stock_rtcp = sender._handle_rtcp_packet
        self._sequence_number = rtcrtpsender.random_sequence_number()
        self._rtx_sequence_number = rtcrtpsender.random_sequence_number()
        self._payload_type = 0
        self._history: dict[int, _Sent] = {}
        self._octets = self._packets = self._retransmitted_bytes = 0
        self.ended = asyncio.Event()
        self.feedback = Feedback()
        self.refused = 0
        sender._run_rtp = self._run  # type: ignore[method-assign]
        sender._send_keyframe = on_keyframe_wanted  # type: ignore[method-assign]
        sender._handle_rtcp_packet = self._handle_rtcp  # type: ignore[method-assign]
        sender._retransmit = self._retransmit  # type: ignore[method-assign]

    async def _run(self, codec: RTCRtpCodecParameters) -> None:
        """Stands in for upstream's _run_rtp with the two events that `RTCRtpSender.stop` waits for; sends nothing."""
        private(self._sender, "rtp_started").set()
        self._payload_type = codec.payloadType or 0
        try:
            self._on_ready(codec)
            await self.ended.wait()
        finally:
            self.ended.set()
            private(self._sender, "rtp_exited").set()

    def send(self, picture: Picture) -> bool:
        """Send a picture; False when the viewer's socket takes no more, or nothing can be sent now or ever again."""
        if self.ended.is_set():
            return False
        try:
            return self._send(picture)
        except Exception:  # one viewer's fault must not reach the others: its session sees `ended` and closes
            logger.exception("sending to a viewer failed")
            self.ended.set()
            return False

    def _send(self, picture: Picture) -> bool:
        dtls = self._sender.transport
        pair = dtls.transport._connection._nominated.get(1)
        if dtls._state is not State.CONNECTED or pair is None or pair.protocol.transport.is_closing():
            return False
        # Of asyncio's transports; the typed interface of datagram transports does not have it.
        if pair.protocol.transport.get_write_buffer_size():  # type: ignore[attr-defined]
            return False
        protect, sendto, address = dtls._tx_srtp.protect, pair.protocol.transport.sendto, pair.remote_addr
        ntp_time = clock.current_ntp_time()
        extension = self._extension(ntp_time)
        first_octet = _VERSION | (_HAS_EXTENSION if extension else 0)
        timestamp = picture.timestamp & 0xFFFFFFFF
        last = len(picture.payloads) - 1
        for index, payload in enumerate(picture.payloads):
            number = self._sequence_number
            marker = index == last
            second_octet = self._payload_type | (_MARKER if marker else 0)
            header = _HEADER.pack(first_octet, second_octet, number, timestamp, self._sender._ssrc)
            sendto(protect(header + extension + payload), address)
            self._history[number % RTP_HISTORY_PACKETS] = _Sent(number, timestamp, self._payload_type, marker, payload)
            self._octets += len(payload)
            self._sequence_number = uint16_add(number, 1)
        self._packets += len(picture.payloads)
        # For upstream's sender reports (RFC 3550 section 6.4.1).
        set_private(
            self._sender,
            ntp_timestamp=ntp_time,
            rtp_timestamp=timestamp,
            octet_count=self._octets,
            packet_count=self._packets,
        )
        return True

    def _extensions(self, ntp_time: int) -> HeaderExtensions:
        return HeaderExtensions(abs_send_time=(ntp_time >> 14) & 0xFFFFFF, mid=private(self._sender, "mid"))

    def _extension(self, ntp_time: int) -> bytes:
        """The header extensions as negotiated; the same for all packets of a picture, which leave together."""
        profile, value = private(self._sender, "rtp_header_extensions_map").set(self._extensions(ntp_time))
        return _EXTENSION.pack(profile, len(value) // 4) + value if value else b""

    def pad(self, octets: int) -> int:
        """Send about so many octets of recent packets once more, to learn whether the line carries more (RFC 4588).

        The viewer knows them and throws them away. Answers how many octets of payload went out: none when it has not
        negotiated retransmission, because SRTP's replay protection would drop a plain repetition unnoticed.
        """
        if private(self._sender, "rtx_payload_type") is None or self.ended.is_set():
            return 0
        padded = 0
        number = self._sequence_number
        while padded < octets:
            number = uint16_add(number, -1)
            sent = self._history.get(number % RTP_HISTORY_PACKETS)
            if sent is None or sent.sequence_number != number or not self._send_again(sent):
                break
            padded += len(sent.payload)
        return padded

    async def _handle_rtcp(self, packet: AnyRtcpPacket) -> None:
        if not isinstance(packet, RtcpPsfbPacket) or packet.fmt != RTCP_PSFB_APP:
            await self._stock_rtcp(packet)
        if self.feedback.take(packet, self._sender._ssrc):
            self.feedback.round_trip_s = private(self._sender, "rtt")
            self._on_feedback()

    async def _retransmit(self, sequence_number: int) -> None:
        sent = self._history.get(sequence_number % RTP_HISTORY_PACKETS)
        if sent is None or sent.sequence_number != sequence_number:
            return
        if self._retransmitted_bytes > RETRANSMIT_SHARE * self._octets + RETRANSMIT_ALLOWANCE_BYTES:
            self.refused += 1
        elif self._send_again(sent):
            self._retransmitted_bytes += len(sent.payload)

    def _send_again(self, sent: _Sent) -> bool:
        """As aiortc/rtcrtpsender.py _retransmit, from our history, and without waiting."""
        dtls = self._sender.transport
        pair = dtls.transport._connection._nominated.get(1)
        if dtls._state is not State.CONNECTED or pair is None or pair.protocol.transport.is_closing():
            return False
        packet = RtpPacket(
            payload_type=sent.payload_type,
            marker=sent.marker,
            sequence_number=sent.sequence_number,
            timestamp=sent.timestamp,
            ssrc=self._sender._ssrc,
            payload=sent.payload,
        )
        packet.extensions = self._extensions(clock.current_ntp_time())
        rtx_payload_type = private(self._sender, "rtx_payload_type")
        if rtx_payload_type is not None:
            packet = wrap_rtx(
                packet,
                payload_type=rtx_payload_type,
                sequence_number=self._rtx_sequence_number,
                ssrc=self._sender._rtx_ssrc,
            )
            self._rtx_sequence_number = uint16_add(self._rtx_sequence_number, 1)
        data = packet.serialize(private(self._sender, "rtp_header_extensions_map"))
        pair.protocol.transport.sendto(dtls._tx_srtp.protect(data), pair.remote_addr)
        return True
