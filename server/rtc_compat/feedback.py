"""What a viewer says of its line: how much it carries, how much of it is lost, how long the way is."""

from __future__ import annotations

import struct
import time
from dataclasses import dataclass

from aiortc.rtp import RTCP_PSFB_APP, AnyRtcpPacket, RtcpPsfbPacket, RtcpRrPacket, RtcpSrPacket, unpack_remb_fci

_FRACTION = 256  # `fraction lost` is a fixed point number with eight bits (RFC 3550 section 6.4.1)


@dataclass(slots=True)
class Feedback:
    """The newest of each; times are `time.monotonic()`, minus infinity before the first report.

    `available_bps` is what the viewer's own estimate allows the server to send (REMB); it never rises above about
    1.5 times what is sent. `fraction_lost` is 0 to 1, of the packets since the report before.
    """

    available_bps: int | None = None
    available_at: float = float("-inf")
    fraction_lost: float = 0.0
    reported_at: float = float("-inf")
    round_trip_s: float | None = None

    def take(self, packet: AnyRtcpPacket, ssrc: int) -> bool:
        """Read an RTCP packet; whether it said something of the stream `ssrc`."""
        if isinstance(packet, RtcpPsfbPacket) and packet.fmt == RTCP_PSFB_APP:
            return self._take_estimate(packet, ssrc)
        if isinstance(packet, (RtcpRrPacket, RtcpSrPacket)):
            return self._take_reports(packet, ssrc)
        return False

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
        if reports:
            self.fraction_lost, self.reported_at = reports[-1].fraction_lost / _FRACTION, time.monotonic()
        return bool(reports)
