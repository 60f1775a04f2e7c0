"""When a frame was taken, on the camera's clock: the publisher's own beat, without what the way to us added.

A frame that is late by network or decoder is shown late if it is stamped on arrival; two that come together would be
shown together, one of them for nothing. So the publisher's RTP timestamps give the beat, and the quickest frames of the
last seconds give the distance between its clock and ours.
"""

from __future__ import annotations

WINDOW_S = 5.0
# The distance follows drift and changed routes by at most so much a frame: nobody sees that.
MAX_STEP_S = 0.001
# Farther off, it is another stream or another clock: begin anew.
MAX_DISTANCE_S = 0.5


class Cadence:
    """One publisher's beat on our clock. All times are seconds, each on the clock of whom it concerns."""

    def __init__(self) -> None:
        self._distance_s: float | None = None
        self._least_s = self._least_before_s = 0.0
        self._window_ends_at = 0.0

    def restart(self) -> None:
        """Another publisher follows."""
        self._distance_s = None

    def at(self, taken_s: float | None, arrived_at: float) -> float:
        """When the frame would have arrived on the quickest way; never later than it did.

        `taken_s` is the publisher's timestamp, None where there is none.
        """
        if taken_s is None:
            return arrived_at
        distance_s = arrived_at - taken_s
        if self._distance_s is None or abs(distance_s - self._distance_s) > MAX_DISTANCE_S:
            self._distance_s = self._least_s = self._least_before_s = distance_s
            self._window_ends_at = arrived_at + WINDOW_S
        self._measure(distance_s, arrived_at)
        wanted_s = min(self._least_s, self._least_before_s)
        self._distance_s += max(-MAX_STEP_S, min(MAX_STEP_S, wanted_s - self._distance_s))
        return min(arrived_at, taken_s + self._distance_s)

    def _measure(self, distance_s: float, arrived_at: float) -> None:
        """Keep the least distance of this window and of the one before, so that a slower way is learnt too."""
        if arrived_at >= self._window_ends_at:
            self._least_before_s, self._least_s = self._least_s, distance_s
            self._window_ends_at = arrived_at + WINDOW_S
        self._least_s = min(self._least_s, distance_s)
