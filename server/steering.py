"""Decides which rendition a viewer's line carries, from what its receiver reports.

Pure: time and reports come in, decisions come out; `ViewerSession` acts on them. Nothing but what WebRTC receivers send
anyway is used: the estimate of REMB, the loss and the round trip of receiver reports.

What the estimate means (libwebrtc's AimdRateControl, seen with Chromium 140): the first one comes after 5 s, or at once
when the line is overrun, and is then 0.85 of what arrives. It grows by 8 % a second, never beyond 1.5 of what arrives,
and falls only when delay grows. So a low estimate alone says little: after a still scene it is low on the best of
lines. Together with loss or a queue it tells an overrun line from one that only loses packets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

# A line is overrun when less is available than so much of what is sent, and packets are lost or queue up.
AVAILABLE_SHARE = 0.85
# On a lossy line that is fast enough, the estimate lags behind a livelier scene too: only more than such a line loses.
LOSS = 0.15
# Shorter ones build up in a busy server or viewer too, and pass.
QUEUE_S = 0.5
# So much is lost that no retransmission makes up for it, whatever the reason.
HOPELESS_LOSS = 0.3

# One step down after this time on an overrun line: a second report must say so. One may tell of a moment's stumble.
DOWN_AFTER_S = 0.7
# From the lowest rendition only after this time: the other way is JPEG.
GIVE_UP_AFTER_S = 4.0
# Reports tell of the past: what follows a change says nothing about it for so long.
SETTLE_S = 2.5
# A report after so long a silence tells of the silence: a link that was down, a tab that slept.
SILENCE_S = 2.5
SILENCE_SETTLE_S = 1.5

# A first attempt to climb, then twice as late after each one that failed.
FIRST_PATIENCE_S = 10.0
LONGEST_PATIENCE_S = 300.0
# Overrun again so soon: the climb was a mistake.
PROVEN_S = 60.0
# What a rendition takes varies with the scene. A line must carry half of its bitrate to be given it, however still the
# scene is, and a little more than it takes now.
CLIMB_SHARE = 0.5
CLIMB_MARGIN = 1.1
# Padding grows so much in a second, and stays so near above the estimate that a queue stays short.
PROBE_GROWTH = 1.25
PROBE_LEAD = 1.3
PROBE_QUEUE_S = 0.1
PROBE_FALL = 0.92
PROBE_LOSS = 0.05
PROBE_HOLD_S = 1.5
PROBE_LONGEST_S = 60.0


class Feedback(Protocol):
    """What a receiver has reported."""

    @property
    def available_bps(self) -> int | None:
        """The newest REMB."""

    @property
    def fraction_lost(self) -> float:
        """Loss in the last receiver report's interval, 0 to 1."""

    @property
    def reported_at(self) -> float:
        """When that report came."""

    @property
    def round_trip_s(self) -> float | None:
        """The newest round trip."""


@dataclass(slots=True)
class _Probe:
    """An attempt to find out whether the line carries more."""

    began_at: float
    grown_at: float
    rate_bps: float
    best_estimate_bps: int
    loss_before: float
    reached_at: float | None = None


class Steering:
    """One viewer's rung: 0 is the best rendition; one beyond the last means that its line does not carry even that."""

    def __init__(self, bitrates_bps: Sequence[int], start: int, now: float) -> None:
        """`bitrates_bps` is what each rendition may take, the best first; `start` the rung to begin with."""
        self.rung = start
        self.reason = ""
        self._best = 0
        self._is_held = False
        self._bitrates_bps = bitrates_bps
        self._rungs = len(bitrates_bps)
        self._settled_at = self._tried_at = now
        self._climbed_at = float("-inf")
        self._patience_s = FIRST_PATIENCE_S
        self._heard_at, self._report_at = float("inf"), now
        self._overrun_since: float | None = None
        self._least_round_trip_s: float | None = None
        self._probe: _Probe | None = None

    def judge(self, now: float, feedback: Feedback, needs_bps: Sequence[float]) -> bool:
        """Take a report; whether `rung` has changed. `needs_bps` is what each rendition takes now, the best first."""
        rung, silence_s = self.rung, now - self._heard_at
        self._heard_at = now
        is_report, self._report_at = feedback.reported_at != self._report_at, feedback.reported_at
        if feedback.round_trip_s is not None:
            self._least_round_trip_s = min(feedback.round_trip_s, self._least_round_trip_s or feedback.round_trip_s)
        if silence_s > SILENCE_S:
            self._settled_at = max(self._settled_at, now + SILENCE_SETTLE_S)
        if now < self._settled_at:
            self._overrun_since = None
            self._end_probe(now)
            return False
        if is_report:  # else it is only a new estimate
            self._follow(now, self._overrun(feedback, needs_bps))
        if self.rung == rung and self._overrun_since is None:
            self._climb(now, feedback, needs_bps)
        return self.rung != rung

    def limit(self, now: float, best: int) -> bool:
        """Go no better than the rung `best` from now on, because the viewer wants no more; whether `rung` has changed.

        Where nothing but that wish held it, a viewer that wants more again has it at once.
        """
        rung, was_held, self._best = self.rung, self._is_held, best
        if self.rung < best or (was_held and self.rung > best):
            self._change(now, best, "")
        if self.rung <= best:
            self._end_probe(now)
        self._is_held = best > 0 and self.rung == best and not self.reason
        return self.rung != rung

    @property
    def probing(self) -> bool:
        """Whether padding is wanted."""
        return self._probe is not None

    def padding_bps(self, needs_bps: Sequence[float]) -> float:
        """How much to send beside the pictures, so that the receiver finds out what its line carries."""
        return max(0.0, self._probe.rate_bps - needs_bps[self._watched]) if self._probe is not None else 0.0

    @property
    def _watched(self) -> int:
        """The rendition that is sent; below the last one there is none."""
        return min(self.rung, self._rungs - 1)

    # --- down ---

    def _overrun(self, feedback: Feedback, needs_bps: Sequence[float]) -> str:
        """Why the line carries less than is sent, in words; nothing if it does not."""
        loss, available_bps = feedback.fraction_lost, feedback.available_bps
        is_short = available_bps is not None and available_bps < AVAILABLE_SHARE * needs_bps[self._watched]
        if loss > HOPELESS_LOSS or (is_short and loss > LOSS):
            return f"the line loses {loss:.0%} of the packets"
        if is_short and self._queue_s(feedback) > QUEUE_S:
            return f"the line delays packets by {self._queue_s(feedback) * 1000:.0f} ms"
        return ""

    def _queue_s(self, feedback: Feedback) -> float:
        """How much longer packets are under way than they could be."""
        if feedback.round_trip_s is None or self._least_round_trip_s is None:
            return 0.0
        return feedback.round_trip_s - self._least_round_trip_s

    def _follow(self, now: float, overrun: str) -> None:
        if not overrun:
            self._overrun_since = None
            return
        if self._overrun_since is None:
            self._overrun_since = now
        self._end_probe(now)
        is_last = self.rung >= self._rungs - 1
        if now - self._overrun_since >= (GIVE_UP_AFTER_S if is_last else DOWN_AFTER_S):
            self._step_down(now, overrun)

    def _step_down(self, now: float, reason: str) -> None:
        if self.rung == self._rungs:
            return
        if now - self._climbed_at < PROVEN_S:
            self._be_more_patient()
        self._change(now, self.rung + 1, reason)

    def _change(self, now: float, rung: int, reason: str) -> None:
        self.rung, self.reason = rung, reason
        self._is_held = False
        self._settled_at, self._tried_at = now + SETTLE_S, now
        self._overrun_since = None
        self._probe = None

    # --- up ---

    def _climb(self, now: float, feedback: Feedback, needs_bps: Sequence[float]) -> None:
        if self.rung <= self._best:
            if now - self._climbed_at > PROVEN_S:
                self._patience_s = FIRST_PATIENCE_S
        elif self._probe is not None:
            self._go_on(now, self._probe, feedback, needs_bps)
        elif now - self._tried_at >= self._patience_s:
            if self.rung == self._rungs:
                self._arrive(now)  # what it takes is being sent
            else:
                self._probe = _Probe(
                    now, now, needs_bps[self.rung], feedback.available_bps or 0, feedback.fraction_lost
                )

    def _go_on(self, now: float, probe: _Probe, feedback: Feedback, needs_bps: Sequence[float]) -> None:
        estimate_bps = feedback.available_bps
        if self._is_too_much(now, probe, feedback):
            self._be_more_patient()
            self._end_probe(now)
            return
        target_bps = max(CLIMB_MARGIN * needs_bps[self.rung - 1], CLIMB_SHARE * self._bitrates_bps[self.rung - 1])
        probe.rate_bps = min(target_bps, probe.rate_bps * PROBE_GROWTH ** (now - probe.grown_at))
        if estimate_bps is not None:
            probe.best_estimate_bps = max(probe.best_estimate_bps, estimate_bps)
            probe.rate_bps = min(probe.rate_bps, max(PROBE_LEAD * estimate_bps, needs_bps[self.rung]))
        probe.grown_at = now
        if probe.rate_bps < target_bps:
            probe.reached_at = None
        elif probe.reached_at is None:
            probe.reached_at = now
        elif now - probe.reached_at >= PROBE_HOLD_S:
            self._arrive(now)

    def _is_too_much(self, now: float, probe: _Probe, feedback: Feedback) -> bool:
        fell = feedback.available_bps is not None and feedback.available_bps < PROBE_FALL * probe.best_estimate_bps
        loses_more = feedback.fraction_lost > probe.loss_before + PROBE_LOSS
        queues = self._queue_s(feedback) > PROBE_QUEUE_S
        return fell or loses_more or queues or now - probe.began_at > PROBE_LONGEST_S

    def _arrive(self, now: float) -> None:
        self._climbed_at = now
        self._change(now, self.rung - 1, "the line carries more again")

    def _end_probe(self, now: float) -> None:
        if self._probe is not None:
            self._probe = None
            self._tried_at = now

    def _be_more_patient(self) -> None:
        self._patience_s = min(LONGEST_PATIENCE_S, 2 * self._patience_s)
