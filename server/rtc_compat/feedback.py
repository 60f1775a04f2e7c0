"""What a viewer says of its line: how much it carries, how much of it is lost, how long the way is."""

from __future__ import annotations

import struct
import time
from dataclasses import dataclass

from aiortc.rtp import RTCP_PSFB_APP, AnyRtcpPacket, RtcpPsfbPacket, RtcpRrPacket, RtcpSrPacket, unpack_remb_fci

# Chromium sends a report with every NACK, dozens a second on a bad line: each one's own `fraction lost` is of a few
# packets. Loss is counted from the totals instead, over at least so long.
LOSS_WINDOW_S = 0.8
VIDEO_CLOCK_RATE = 90_000


@dataclass(slots=True)
class Feedback:
    """The newest of each; times are `time.monotonic()`, minus infinity before the first report.

    `available_bps` is what the viewer's own estimate allows the server to send (REMB); it never rises above about
    1.5 times what is sent. `fraction_lost` is 0 to 1, of the packets of the last `LOSS_WINDOW_S` or more before
    `reported_at`. `jitter_s` is that of the arrivals (RFC 3550 section 6.4.1), of the newest report.
    """

    available_bps: int | None = None
    available_at: float = float("-inf")
    fraction_lost: float = 0.0
    reported_at: float = float("-inf")
    jitter_s: float = 0.0
    round_trip_s: float | None = None
    _counted: tuple[float, int, int] | None = None  # when, the highest sequence number, and how many were lost by then

    def take(self, packet: AnyRtcpPacket, ssrc: int) -> bool:
        """Read an RTCP packet; whether it said something of the stream `ssrc`."""
        if isinstance(packet, RtcpPsfbPacket) and packet.fmt == RTCP_PSFB_APP:
            return self._take_estimate(packet, ssrc)
        if isinstance(packet, (RtcpRrPacket, RtcpSrPacket)):
            return self._take_reports(packet, ssrc)
        return False

    def time_round_trip(self, packet: RtcpRrPacket | RtcpSrPacket, lsr: int | None, lsr_time: float | None) -> None:
        """Measure the round trip, where the packet answers the sender report `lsr` of `lsr_time` (time.time()).

        aiortc/rtcrtpsender.py _handle_rtcp_packet knows it too, as a mean of many reports: a queue that grows
        within a second must be seen within a second.
        """
        for report in packet.reports:
            if lsr_time is not None and report.lsr == lsr and report.dlsr:
                self.round_trip_s = max(0.0, time.time() - lsr_time - report.dlsr / 65536)

    def _take_estimate(self, packet: RtcpPsfbPacket, ssrc: int) -> bool:
        try:
            bitrate_bps, ssrcs = unpack_remb_fci(packet.fci)
        except (ValueError, struct.error):  # the latter from one that is cut off
            return False
        if ssrc not in ssrcs:
            return False
        self.available_bps, self.available_at = bitrate_bps, time.monotonic()
        return True

    def _take_reports(self, packet: RtcpRrPacket | RtcpSrPacket, ssrc: int) -> bool:
        reports = [each for each in packet.reports if each.ssrc == ssrc]
        if not reports:
            return False
        self.jitter_s = reports[-1].jitter / VIDEO_CLOCK_RATE
        return self._count(time.monotonic(), reports[-1].highest_sequence, reports[-1].packets_lost)

    def _count(self, now: float, highest_sequence: int, packets_lost: int) -> bool:
        """Read the totals of RFC 3550 section 6.4.1; whether they give a new `fraction_lost`."""
        if self._counted is None:
            self._counted = now, highest_sequence, packets_lost
            return False
        since, first, lost_before = self._counted
        expected = highest_sequence - first
        if now - since < LOSS_WINDOW_S or expected <= 0:
            return False
        self.fraction_lost = min(1.0, max(0.0, (packets_lost - lost_before) / expected))
        self.reported_at = now
        self._counted = now, highest_sequence, packets_lost
        return True
