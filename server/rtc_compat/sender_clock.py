"""Hooks into receiving: when a publisher took each picture, on this machine's clock.

Its sender reports say which moment of its own clock belongs to which RTP timestamp (RFC 3550 section 6.4.1). How its
clock stands to ours is told by the report that came fastest, less half the shortest round trip: no clock needs to be
set right, and no header extension is needed. Who sends no reports, or absurd ones, gets no answer rather than a guess.
"""

from __future__ import annotations

import time
from collections import deque
from typing import NamedTuple

from aiortc import RTCRtpReceiver
from aiortc.rtp import AnyRtcpPacket, RtcpSrPacket

from .ice import shortest_round_trip
from .jitter import PromptJitterBuffer
from .private import private

CLOCK_RATE = 90_000
REPORTS_COMPARED = 20  # about one a second
# A publisher whose clock was set meanwhile, or is another one.
ANOTHER_CLOCK_S = 1.0
# Half a round trip is a guess: a picture that seems to come from the future by so little comes from now.
TOLERANCE_S = 0.05
OLDEST_S = 30.0


class _Report(NamedTuple):
    """The RTP timestamp that belongs to a moment of the publisher's clock (seconds)."""

    rtp_timestamp: int
    at_s: float


class SenderClock:
    """Tells when pictures were taken; `receiver` must have a `PromptJitterBuffer` already."""

    def __init__(self, receiver: RTCRtpReceiver) -> None:
        self._receiver = receiver
        self._buffer: PromptJitterBuffer = private(receiver, "jitter_buffer")
        self._stock_rtcp = receiver._handle_rtcp_packet
        self._report: _Report | None = None
        self._ahead: deque[float] = deque(maxlen=REPORTS_COMPARED)
        receiver._handle_rtcp_packet = self._handle_rtcp  # type: ignore[method-assign]

    async def _handle_rtcp(self, packet: AnyRtcpPacket) -> None:
        if isinstance(packet, RtcpSrPacket) and packet.ssrc == self._buffer.media_ssrc:
            self.note(packet.sender_info.ntp_timestamp, packet.sender_info.rtp_timestamp, time.monotonic())
        await self._stock_rtcp(packet)

    def note(self, ntp_timestamp: int, rtp_timestamp: int, arrived_at: float) -> None:
        """A sender report has arrived; `ntp_timestamp` has 32 bits of fraction, and is 0 when there is no clock."""
        if not ntp_timestamp:
            return
        self._report = _Report(rtp_timestamp, ntp_timestamp / (1 << 32))
        ahead_s = arrived_at - self._report.at_s
        if self._ahead and abs(ahead_s - self._ahead[-1]) > ANOTHER_CLOCK_S:
            self._ahead.clear()
        self._ahead.append(ahead_s)

    def rtp_timestamp(self, pts: int) -> int:
        """The RTP timestamp of a decoded picture, whatever the decoder has dropped.

        aiortc/rtcrtpreceiver.py TimestampMapper takes the first timestamp away.
        """
        origin = private(self._receiver, "timestamp_mapper")._origin or 0
        return int(pts + origin) & 0xFFFFFFFF

    def received_at(self, rtp_timestamp: int) -> float | None:
        """When the last packet of this picture arrived; None when that is too long ago."""
        return next((at for timestamp, at in reversed(self._buffer.completed) if timestamp == rtp_timestamp), None)

    def captured_at(self, rtp_timestamp: int, received_at: float) -> float | None:
        """When this picture was taken; None when the publisher does not tell."""
        if self._report is None:
            return None
        elapsed_s = _signed(rtp_timestamp - self._report.rtp_timestamp) / CLOCK_RATE
        captured_at = self._report.at_s + elapsed_s + min(self._ahead) - self._way_s()
        age_s = received_at - captured_at
        return min(captured_at, received_at) if -TOLERANCE_S <= age_s <= OLDEST_S else None

    def _way_s(self) -> float:
        pair = self._receiver.transport.transport._connection._nominated.get(1)
        return shortest_round_trip(pair.protocol) / 2 if pair else 0.0


def _signed(difference: int) -> int:
    """The shorter way round between two 32-bit timestamps."""
    return (difference + (1 << 31)) % (1 << 32) - (1 << 31)
