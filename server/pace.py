"""What a camera does for each picture it receives, and how it keeps up with it.

The governor sets the first for all cameras; each camera tells the second. Event loop's thread only.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from statistics import median

# Pictures whose age is remembered between two looks: five seconds of them.
AGES_KEPT = 150


@dataclass(frozen=True, slots=True)
class Pace:
    """Every `recognition_factor` x `recognition_every`-th picture is recognised, every `frame_divisor`-th is shown."""

    recognition_factor: int = 1
    frame_divisor: int = 1


FULL = Pace()


@dataclass(frozen=True, slots=True)
class Workload:
    """How the stages of one camera kept up for a while.

    `age_s` is how old the median picture was when it left for the viewers, `busy` the share of the time in which a
    picture was being drawn or encoded. Both are 0 while nobody watches.
    """

    age_s: float = 0.0
    busy: float = 0.0


class Timesheet:
    """Notes the pictures that go through a camera's stages."""

    def __init__(self) -> None:
        self._ages: deque[float] = deque(maxlen=AGES_KEPT)
        self._busy_s = 0.0
        self._begun_at: float | None = None

    def note(self, arrived_at: float, taken_at: float, done_at: float) -> None:
        """A picture that had arrived was taken from the slot and has left (seconds of one monotonic clock)."""
        self._ages.append(done_at - arrived_at)
        self._busy_s += done_at - taken_at

    def take(self, now: float) -> Workload:
        """The workload since the last call."""
        begun_at, self._begun_at = self._begun_at, now
        ages, busy_s = self._ages, self._busy_s
        self._ages, self._busy_s = deque(maxlen=AGES_KEPT), 0.0
        if not ages or begun_at is None or now <= begun_at:
            return Workload()
        return Workload(median(ages), busy_s / (now - begun_at))
