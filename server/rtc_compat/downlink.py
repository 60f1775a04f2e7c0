"""Hooks into sending: ready-made pictures go out in one tight loop, and what the viewer reports is acted on."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Protocol

from aioice.ice import CandidatePair
from aiortc import RTCRtpSender, rtcrtpsender
from aiortc.rtcdtlstransport import State
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from aiortc.rtp import RTCP_PSFB_APP, AnyRtcpPacket, RtcpPsfbPacket, RtcpRrPacket, RtcpSrPacket

from .datagrams import Datagrams
from .feedback import Feedback
from .playout import LEAST_CHANGE, LOSSY, Patience, ViewerExtensions
from .private import private, set_private
from .retransmission import Retransmission, abs_send_time, ntp_time
from .srtp import BURST_PACKETS, Stamp

# On a lossy line each retransmission is sent twice, this far apart: losses come in bursts.
SECOND_ANSWER_S = 0.01

logger = logging.getLogger("surveillx.rtc")


class Picture(Protocol):
    """One encoded picture, shared by all viewers."""

    @property
    def payloads(self) -> tuple[bytes, ...]:
        """RTP payloads in order."""

    @property
    def timestamp(self) -> int:
        """90 kHz ticks; travels as it is, modulo 2**32."""


class Downlink:
    """Replaces the sending half of one `RTCRtpSender` and listens to its viewer.

    Cost: aiortc/rtcrtpsender.py _run_rtp packs each picture anew for each viewer, makes an object for each packet and
    goes through three coroutines to send it. Here payloads are shared, no task wakes up for a picture, and its packets
    are stamped and protected in one loop (`srtp`) and sent in one call (`datagrams`). Reports stay upstream's.

    Trap 13: _send_keyframe sets a flag that only upstream's own encoder reads: calls `on_keyframe_wanted`.
    Trap 18: a REMB lands on an encoder object that encodes nothing: kept in `feedback`; retransmissions are answered
    without limit: see `retransmission`.

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
        # The next packet's; modulo 2**16 it is the sequence number. A number stands for one payload for ever, sent or
        # not, because SRTP's keystream follows from it (RFC 3711 section 9.1).
        self._number = self._first_number = rtcrtpsender.random_sequence_number()
        self._datagrams = Datagrams()
        self._retransmission = Retransmission(sender, self._send_again)
        self._stamp: Stamp | None = None
        self._patience = Patience()
        self._extensions = ViewerExtensions()
        set_private(sender, rtp_header_extensions_map=self._extensions)
        self.ended = asyncio.Event()
        self.feedback = Feedback()
        sender._run_rtp = self._run  # type: ignore[method-assign]
        sender._send_keyframe = on_keyframe_wanted  # type: ignore[method-assign]
        sender._handle_rtcp_packet = self._handle_rtcp  # type: ignore[method-assign]
        sender._retransmit = self._retransmit  # type: ignore[method-assign]

    @property
    def refused(self) -> int:
        """How many packets the viewer asked for and was not sent again."""
        return self._retransmission.refused

    async def _run(self, codec: RTCRtpCodecParameters) -> None:
        """Stands in for upstream's _run_rtp with the two events that `RTCRtpSender.stop` waits for; sends nothing."""
        private(self._sender, "rtp_started").set()
        self._retransmission.payload_type = codec.payloadType or 0
        self._stamp = Stamp(self._sender, codec.payloadType or 0)
        try:
            self._on_ready(codec)
            await self.ended.wait()
        finally:
            self.ended.set()
            private(self._sender, "rtp_exited").set()

    def send(self, picture: Picture) -> bool:
        """Send a picture; False when the viewer's socket takes no more, or nothing can be sent now or ever again."""
        pair, stamp = self._pair(), self._stamp
        if pair is None or stamp is None or _has_backlog(pair):
            return False
        try:
            return self._send(pair, stamp, picture.payloads, picture.timestamp & 0xFFFFFFFF)
        except Exception:  # one viewer's fault must not reach the others: its session sees `ended` and closes
            logger.exception("sending to a viewer failed")
            self.ended.set()
            return False

    def pad(self, octets: int) -> int:
        """Send about so many octets of recent packets once more, to learn whether the line carries more (RFC 4588).

        The viewer knows them and throws them away. Answers how many octets of payload went out: none when it has not
        negotiated retransmission, because SRTP's replay protection would drop a plain repetition unnoticed.
        """
        return self._retransmission.pad(octets)

    def forget(self) -> None:
        """Retransmit nothing of what was sent so far: its pictures are given up, and a keyframe follows."""
        self._retransmission.forget()

    def _pair(self) -> CandidatePair | None:
        """The way to the viewer, while there is one."""
        dtls = self._sender.transport
        pair = dtls.transport._connection._nominated.get(1)
        is_open = pair is not None and dtls._state is State.CONNECTED and not pair.protocol.transport.is_closing()
        return pair if is_open and not self.ended.is_set() else None

    def _send(self, pair: CandidatePair, stamp: Stamp, payloads: tuple[bytes, ...], timestamp: int) -> bool:
        first, now, session = self._number, ntp_time(), self._sender.transport._tx_srtp
        stamp.at(abs_send_time(now))
        self._number += len(payloads)
        self._retransmission.add(first, timestamp, payloads)
        octets = 0
        for start in range(0, len(payloads), BURST_PACKETS):
            end = start + BURST_PACKETS
            is_end = end >= len(payloads)
            packets = stamp.burst(session, first + start, timestamp, payloads[start:end], is_end=is_end)
            if not self._datagrams.send(pair, packets):
                return False
            octets += sum(map(len, packets))
        self._count(now, timestamp, len(payloads), octets)
        return True

    def _count(self, ntp: int, timestamp: int, packets: int, octets: int) -> None:
        """Tell upstream's sender reports (RFC 3550 section 6.4.1) and statistics what went out."""
        sender, dtls = vars(self._sender), vars(self._sender.transport)
        sender["_RTCRtpSender__ntp_timestamp"] = ntp
        sender["_RTCRtpSender__rtp_timestamp"] = timestamp
        sender["_RTCRtpSender__octet_count"] = self._retransmission.sent_octets
        sender["_RTCRtpSender__packet_count"] = self._number - self._first_number
        dtls["_RTCDtlsTransport__tx_packets"] += packets
        dtls["_RTCDtlsTransport__tx_bytes"] += octets

    def _send_again(self, packet: bytes) -> bool:
        pair = self._pair()
        if pair is None or _has_backlog(pair):
            return False
        pair.protocol.transport.sendto(self._sender.transport._tx_srtp.protect(packet), pair.remote_addr)
        return True

    async def _handle_rtcp(self, packet: AnyRtcpPacket) -> None:
        if not isinstance(packet, RtcpPsfbPacket) or packet.fmt != RTCP_PSFB_APP:
            await self._stock_rtcp(packet)
        if isinstance(packet, (RtcpRrPacket, RtcpSrPacket)):
            self.feedback.time_round_trip(packet, private(self._sender, "lsr"), private(self._sender, "lsr_time"))
        if self.feedback.take(packet, self._sender._ssrc):
            self._be_patient()
            self._on_feedback()

    def _be_patient(self) -> None:
        """Tell the viewer how long to hold pictures back, if its line has changed."""
        told, line = self._extensions.playout_delay, self.feedback
        wanted = self._patience.judge(time.monotonic(), line.fraction_lost, line.jitter_s, line.round_trip_s)
        # The round trip differs a little with each report, and a buffer that followed would never come to rest.
        is_news = wanted.greatest != told.greatest or abs(wanted.least - told.least) > LEAST_CHANGE
        if is_news and self._stamp is not None:
            self._extensions.playout_delay = wanted
            self._stamp = Stamp(self._sender, self._retransmission.payload_type)

    async def _retransmit(self, sequence_number: int) -> None:
        # On a lossy line answers are lost as well, and the viewer asks again only after a round trip, at least 0.1 s:
        # by then its picture has stood still for 0.2 s.
        if self._retransmission.answer(sequence_number) and self.feedback.fraction_lost >= LOSSY:
            asyncio.get_running_loop().call_later(SECOND_ANSWER_S, self._retransmission.answer, sequence_number)


def _has_backlog(pair: CandidatePair) -> bool:
    # Of asyncio's transports; the typed interface of datagram transports does not have it.
    return bool(pair.protocol.transport.get_write_buffer_size())  # type: ignore[attr-defined]
