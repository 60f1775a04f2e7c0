"""Sends packets a second time: those a viewer misses, within a share of what it was sent, and padding."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from aiortc import RTCRtpSender, rtcrtpsender
from aiortc.rtp import HeaderExtensions, RtpPacket, wrap_rtx
from aiortc.utils import uint16_add

from .history import History, Sent
from .private import private

RETRANSMIT_SHARE = 0.25
RETRANSMIT_ALLOWANCE_BYTES = 64 * 1024  # a short burst may exceed the share: the first keyframe of a session

_NTP_EPOCH_S = 2_208_988_800  # 1970 in seconds since 1900 (RFC 5905 section 6)


class Retransmission:
    """What one viewer was sent lately, and sending it again. `send` takes an RTP packet; False: nothing can be sent.

    Trap 18: aiortc/rtcrtpsender.py _retransmit answers every NACK. Here the answers are at most a quarter of what was
    sent, in octets of payload; what is not answered is counted in `refused`.
    """

    def __init__(self, sender: RTCRtpSender, send: Callable[[bytes], bool]) -> None:
        self._sender = sender
        self._send = send
        self._sent = History()
        self._sequence_number = rtcrtpsender.random_sequence_number()
        self.payload_type = 0
        self.sent_octets = self.repeated_octets = self.refused = 0

    def add(self, first: int, timestamp: int, payloads: Sequence[bytes]) -> None:
        """Keep a picture that was sent in packets from number `first` on."""
        self._sent.add(first, timestamp, payloads)
        self.sent_octets += sum(map(len, payloads))

    def answer(self, sequence_number: int) -> bool:
        """Send what a viewer asks for (NACK, RFC 4585 section 6.2.1); whether it was sent."""
        if self.repeated_octets > RETRANSMIT_SHARE * self.sent_octets + RETRANSMIT_ALLOWANCE_BYTES:
            self.refused += 1
            return False
        sent = self._sent.find(sequence_number)
        if sent is None or not self._repeat(sent):
            return False
        self.repeated_octets += len(sent.payload)
        return True

    def pad(self, octets: int) -> int:
        """Send about so many octets once more that the viewer has already, the newest first; how many went out."""
        if self._rtx_payload_type is None:
            return 0
        padded = 0
        for sent in self._sent.newest_first():
            if padded >= octets or not self._repeat(sent):
                break
            padded += len(sent.payload)
        return padded

    def forget(self) -> None:
        """Have nothing to send again."""
        self._sent = History()

    @property
    def _rtx_payload_type(self) -> int | None:
        """None: the viewer has not negotiated a stream of its own for retransmissions."""
        found: int | None = private(self._sender, "rtx_payload_type")
        return found

    def _repeat(self, sent: Sent) -> bool:
        packet = RtpPacket(
            payload_type=self.payload_type,
            marker=int(sent.is_last),
            sequence_number=sent.sequence_number,
            timestamp=sent.timestamp,
            ssrc=self._sender._ssrc,
            payload=sent.payload,
        )
        packet.extensions = HeaderExtensions(abs_send_time=abs_send_time(ntp_time()), mid=private(self._sender, "mid"))
        if self._rtx_payload_type is not None:
            packet = wrap_rtx(
                packet,
                payload_type=self._rtx_payload_type,
                sequence_number=self._sequence_number,
                ssrc=self._sender._rtx_ssrc,
            )
            self._sequence_number = uint16_add(self._sequence_number, 1)
        return self._send(packet.serialize(private(self._sender, "rtp_header_extensions_map")))


def ntp_time() -> int:
    """Now, in 2**-32 s since 1900 (RFC 5905 section 6); a tenth of the cost of aiortc/clock.py current_ntp_time."""
    return int((time.time() + _NTP_EPOCH_S) * (1 << 32))


def abs_send_time(ntp: int) -> int:
    """The middle 24 bits, in 2**-18 s: what the header extension of this name carries."""
    return (ntp >> 14) & 0xFFFFFF
