"""Decides how much the server does when it is asked for more than the machine can give: logic only, no clock.

Rather than let pictures grow old it does less, step by step and for all cameras alike: first it recognises fewer of
them, then it shows fewer. It returns slowly, and only when the step back would not overload it again; where that turns
out wrong it waits twice as long before the next attempt, so that it never flaps.
"""

from __future__ import annotations

from dataclasses import dataclass

from .pace import FULL, Pace

# One picture in 30 at the most with the default of every 5th: still one a second. Fewer would name nobody.
RECOGNITION_FACTORS = (2, 4, 6)
FRAME_DIVISORS = (2, 3)


@dataclass(frozen=True, slots=True)
class Reading:
    """How the server kept up during one interval; the worst camera counts.

    `loop_lag_s`: how late the event loop was on average. `picture_age_s`: from a picture's arrival to its leaving for
    the viewers. `undecoded`: pictures that wait for a decoder. `camera_busy` and `recognition_busy`: shares of the
    time in which a camera's thread drew or encoded, and in which the recognition process worked.
    """

    loop_lag_s: float = 0.0
    picture_age_s: float = 0.0
    undecoded: int = 0
    camera_busy: float = 0.0
    recognition_busy: float = 0.0


# Chosen, not measured: twice and more of what one watched 720p30 camera shows on a machine at its ease. Late pictures
# are two intervals of 30 fps old. The recognition process is niced and may be in use all the time; only when
# that lasts do the cameras wait for each other's results.
LIMITS = Reading(loop_lag_s=0.030, picture_age_s=0.066, undecoded=4, camera_busy=0.90, recognition_busy=0.95)
# Below these it may do more again. Shares are those expected after the step.
EASE = Reading(loop_lag_s=0.015, picture_age_s=0.045, undecoded=1, camera_busy=0.75, recognition_busy=0.75)


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds: how long a strain lasts before a step, a saturated recognition process; how long ease lasts.

    `ease_s` is doubled, up to `longest_ease_s`, by a step back that must be taken again within `regret_s`.
    """

    strain_s: float = 3.0
    recognition_s: float = 10.0
    ease_s: float = 20.0
    longest_ease_s: float = 320.0
    regret_s: float = 60.0


class Governor:
    """Takes readings, keeps the pace in force."""

    def __init__(self, *, recognises: bool, patience: Patience = Patience()) -> None:
        factors = RECOGNITION_FACTORS if recognises else ()
        slowest = factors[-1] if factors else 1
        self._paces = (
            FULL,
            *(Pace(recognition_factor=factor) for factor in factors),
            *(Pace(slowest, divisor) for divisor in FRAME_DIVISORS),
        )
        self._last_recognition_step = len(factors)
        self._patience = patience
        self._ease_s = patience.ease_s
        self._strained_since: float | None = None
        self._starved_since: float | None = None
        self._eased_since: float | None = None
        self._relaxed_at = self._regretted_at = float("-inf")
        self.step = 0

    @property
    def pace(self) -> Pace:
        """What the cameras should do."""
        return self._paces[self.step]

    def judge(self, reading: Reading, now: float) -> str:
        """Take a reading at the monotonic time `now`; says why when that changed `step`, else nothing."""
        strain, starved = strain_of(reading), reading.recognition_busy > LIMITS.recognition_busy
        eases = self.step > 0 and not strain and self._would_ease(reading)
        self._strained_since = _since(self._strained_since, bool(strain), now)
        self._starved_since = _since(self._starved_since, starved, now)
        self._eased_since = _since(self._eased_since, eases, now)
        if _lasts(self._strained_since, now, self._patience.strain_s) and self.step < len(self._paces) - 1:
            return self._slower(strain, now)
        can_recognise_less = self.step < self._last_recognition_step
        if _lasts(self._starved_since, now, self._patience.recognition_s) and can_recognise_less:
            return self._slower("recognition does not keep up with the cameras", now)
        if _lasts(self._eased_since, now, self._ease_s):
            return self._faster(now)
        return ""

    def _slower(self, why: str, now: float) -> str:
        if now - self._relaxed_at < self._patience.regret_s:
            self._regretted_at = now
            self._ease_s = min(2 * self._ease_s, self._patience.longest_ease_s)
        self._move(1)
        return why

    def _faster(self, now: float) -> str:
        if now - self._regretted_at > 2 * self._patience.longest_ease_s:
            self._ease_s = self._patience.ease_s
        self._relaxed_at = now
        self._move(-1)
        return "there is room again"

    def _move(self, by: int) -> None:
        self.step += by
        self._strained_since = self._starved_since = self._eased_since = None

    def _would_ease(self, reading: Reading) -> bool:
        """Whether the server would be at its ease one step back: shares grow as more is done."""
        now, then = self.pace, self._paces[self.step - 1]
        camera_busy = reading.camera_busy * now.frame_divisor / then.frame_divisor
        recognition_busy = reading.recognition_busy * now.recognition_factor / then.recognition_factor
        return (
            reading.loop_lag_s <= EASE.loop_lag_s
            and reading.picture_age_s <= EASE.picture_age_s
            and reading.undecoded <= EASE.undecoded
            and camera_busy <= EASE.camera_busy
            and (now.recognition_factor == then.recognition_factor or recognition_busy <= EASE.recognition_busy)
        )


def strain_of(reading: Reading) -> str:
    """What makes pictures late, in words; nothing when they are in time."""
    if reading.picture_age_s > LIMITS.picture_age_s:
        return f"pictures are {reading.picture_age_s * 1000:.0f} ms old when they leave"
    if reading.undecoded > LIMITS.undecoded:
        return f"{reading.undecoded} pictures wait for a decoder"
    if reading.loop_lag_s > LIMITS.loop_lag_s:
        return f"the event loop is {reading.loop_lag_s * 1000:.0f} ms late"
    if reading.camera_busy > LIMITS.camera_busy:
        return f"a camera's thread is busy {reading.camera_busy:.0%} of the time"
    return ""


def words(pace: Pace) -> str:
    """What people should know of a pace: a sentence for the pages, empty at full pace."""
    names = "names appear more slowly" if pace.recognition_factor > 1 else ""
    pictures = {1: "", 2: "pictures are shown at half the rate"}.get(
        pace.frame_divisor, "pictures are shown at a third of the rate"
    )
    told = " and ".join(filter(None, (names, pictures)))
    return f"The server is busy: {told}." if told else ""


def _since(since: float | None, is_so: bool, now: float) -> float | None:
    return (now if since is None else since) if is_so else None


def _lasts(since: float | None, now: float, for_s: float) -> bool:
    return since is not None and now - since >= for_s
