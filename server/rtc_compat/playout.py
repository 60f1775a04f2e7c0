"""How long a viewer's jitter buffer holds pictures back: as its line needs, told by the playout-delay header extension.

Chromium's own buffer grows with every unevenness, also that of a busy processor, and shrinks slowly: 20 to 30 ms of
delay on a line that needs none. And it holds no picture back until a retransmission can be there.
"""

from __future__ import annotations

from typing import NamedTuple

from aiortc.rtcrtpparameters import RTCRtpHeaderExtensionParameters, RTCRtpParameters
from aiortc.rtp import HeaderExtensions, HeaderExtensionsMap, pack_header_extensions, unpack_header_extensions

# https://webrtc.googlesource.com/src/+/refs/heads/main/docs/native-code/rtp-hdrext/playout-delay: 12 bits each, 10 ms.
# The id counts only in offers of ours; an answer takes over the viewer's.
PLAYOUT_DELAY = RTCRtpHeaderExtensionParameters(id=4, uri="http://www.webrtc.org/experiments/rtp-hdrext/playout-delay")
_UNIT_S = 0.01
_GREATEST = 0xFFF
# In these units: what the least delay must differ by to be told anew.
LEAST_CHANGE = 5

# From this share of lost packets on, a line is lossy until it has been better for so long.
LOSSY = 0.02
JITTERY_S = 0.03
CALM_AFTER_S = 20.0
# A packet that is lost again with its retransmission is asked for after a round trip, in Chromium after 0.1 s at least.
LEAST_ASKING_S = 0.1
TIMES_ASKED = 2


class PlayoutDelay(NamedTuple):
    """The least and the greatest time from a picture's arrival to its presentation, in units of 10 ms."""

    least: int
    greatest: int

    @property
    def octets(self) -> bytes:
        """As the extension carries it."""
        return (self.least << 12 | self.greatest).to_bytes(3)


AT_ONCE = PlayoutDelay(0, 0)
AS_THE_VIEWER_LIKES = PlayoutDelay(0, _GREATEST)


class Patience:
    """Decides from a viewer's reports. Pure but for the time it is told."""

    def __init__(self) -> None:
        self._lossy_until = self._jittery_until = float("-inf")

    def judge(self, now: float, fraction_lost: float, jitter_s: float, round_trip_s: float | None) -> PlayoutDelay:
        """What suits a line that loses this share (0 to 1) and jitters so much (RFC 3550 section 6.4.1)."""
        if fraction_lost >= LOSSY:
            self._lossy_until = now + CALM_AFTER_S
        if jitter_s >= JITTERY_S:
            self._jittery_until = now + CALM_AFTER_S
        if now < self._lossy_until:
            asking_s = TIMES_ASKED * (LEAST_ASKING_S + (round_trip_s or 0.0))
            return PlayoutDelay(min(_GREATEST, round(asking_s / _UNIT_S)), _GREATEST)
        return AS_THE_VIEWER_LIKES if now < self._jittery_until else AT_ONCE


class ViewerExtensions(HeaderExtensionsMap):
    """Adds the playout delay to what aiortc/rtp.py HeaderExtensionsMap writes, where the viewer has negotiated it."""

    def __init__(self) -> None:
        super().__init__()
        self._id: int | None = None
        self.playout_delay = AT_ONCE

    def configure(self, parameters: RTCRtpParameters) -> None:
        """Learn the ids that were negotiated."""
        super().configure(parameters)
        self._id = next((each.id for each in parameters.headerExtensions if each.uri == PLAYOUT_DELAY.uri), None)

    def set(self, values: HeaderExtensions) -> tuple[int, bytes]:
        """The extensions' profile and octets (RFC 8285 section 4)."""
        profile, octets = super().set(values)
        if self._id is None:
            return profile, octets
        return pack_header_extensions(
            [*unpack_header_extensions(profile, octets), (self._id, self.playout_delay.octets)]
        )
