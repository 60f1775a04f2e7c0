"""Which rendition a line carries, decided from made-up lines: what a receiver behind them would report."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from server.steering import FIRST_PATIENCE_S, LONGEST_PATIENCE_S, Steering

NEEDS = (2_500_000.0, 300_000.0)
STEP_S = 0.5


@dataclass
class Report:
    available_bps: int | None = None
    fraction_lost: float = 0.0
    reported_at: float = 0.0
    round_trip_s: float | None = 0.05


@dataclass
class Viewer:
    """A receiver behind a line of `capacity_bps`, which reports as Chromium does, once a second and in between."""

    capacity_bps: float
    loss: float = 0.0
    queue_limit_s: float = 0.3
    start: int = 0
    now: float = 1000.0
    needs: tuple[float, float] = NEEDS
    steering: Steering = field(init=False)
    history: list[tuple[float, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.began = self.now
        self.report = Report(reported_at=self.now)
        self.steering = Steering([2_500_000, 300_000], self.start, self.now)
        self._estimate = 0.0
        self._queue_bits = 0.0
        self._steps = 0

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds / STEP_S)):
            self.now += STEP_S
            self._steps += 1
            self._receive()
            if self.steering.judge(self.now, self.report, self.needs):
                self.history.append((self.now - self.began, self.steering.rung))

    def _receive(self) -> None:
        steering = self.steering
        sent = self.needs[min(steering.rung, len(self.needs) - 1)] + steering.padding_bps(self.needs)
        room = self.queue_limit_s * self.capacity_bps
        queued = max(0.0, self._queue_bits + (sent - self.capacity_bps) * STEP_S)
        overflow = max(0.0, queued - room)
        self._queue_bits = min(queued, room)
        arrived = min(sent, self.capacity_bps)
        overruns = sent > self.capacity_bps
        if overruns:
            self._estimate = 0.85 * arrived if self._estimate == 0 else min(self._estimate, 0.85 * arrived)
        elif self.now - self.began >= 5:
            self._estimate = max(self._estimate, min(1.5 * arrived, max(self._estimate, 0.9 * arrived) * 1.08**STEP_S))
        if self._estimate:
            self.report.available_bps = int(self._estimate)
        if self._steps % 2:
            self.report.fraction_lost = max(self.loss, min(1.0, overflow / (sent * STEP_S)))
            self.report.round_trip_s = 0.05 + self._queue_bits / self.capacity_bps
            self.report.reported_at = self.now

    @property
    def rung(self) -> int:
        return self.steering.rung


def test_a_good_line_keeps_the_best_picture() -> None:
    viewer = Viewer(20e6)
    viewer.run(600)
    assert viewer.history == []
    assert not viewer.steering.probing


@pytest.mark.parametrize("queue_limit_s", [0.05, 0.3, 3.0])
def test_a_slow_line_is_found_out_within_five_seconds(queue_limit_s: float) -> None:
    viewer = Viewer(400e3, queue_limit_s=queue_limit_s)
    viewer.run(5)
    assert viewer.rung == 1
    assert "line" in viewer.steering.reason


def test_a_slow_line_is_not_given_the_best_picture_again_and_asked_ever_more_rarely() -> None:
    viewer = Viewer(400e3)
    viewer.run(3600)
    assert [rung for _, rung in viewer.history] == [1]


def test_probing_a_slow_line_fills_no_queue() -> None:
    viewer = Viewer(450e3, start=1)
    longest, probed = 0.0, 0
    for _ in range(600):
        viewer.run(STEP_S)
        longest = max(longest, viewer._queue_bits / viewer.capacity_bps)
        probed += viewer.steering.probing
    assert probed
    assert longest < 0.3
    assert viewer.rung == 1


@pytest.mark.parametrize("loss", [0.05, 0.1])
def test_loss_alone_is_no_reason(loss: float) -> None:
    viewer = Viewer(20e6, loss=loss)
    viewer.run(60)
    assert viewer.history == []


def test_a_low_estimate_after_a_still_scene_is_no_reason() -> None:
    viewer = Viewer(20e6, needs=(200e3, 100e3))
    viewer.run(30)
    viewer.needs = NEEDS
    viewer.run(30)
    assert viewer.history == []


def test_a_line_that_recovers_gets_the_best_picture_back() -> None:
    viewer = Viewer(400e3)
    viewer.run(60)
    viewer.capacity_bps = 20e6
    viewer.run(LONGEST_PATIENCE_S + 60)
    assert [rung for _, rung in viewer.history] == [1, 0]


def test_a_short_spell_costs_half_a_minute_of_the_best_picture() -> None:
    viewer = Viewer(400e3)
    viewer.run(6)
    viewer.capacity_bps = 20e6
    viewer.run(FIRST_PATIENCE_S + 45)
    assert [rung for _, rung in viewer.history] == [1, 0]


def test_a_line_that_changes_all_the_time_does_not_make_the_picture_flap() -> None:
    viewer = Viewer(20e6)
    for _ in range(90):
        viewer.capacity_bps = 400e3
        viewer.run(10)
        viewer.capacity_bps = 20e6
        viewer.run(30)
    assert len(viewer.history) < 30, "an hour of it"


def test_a_line_that_carries_not_even_the_lowest_is_told_and_comes_back() -> None:
    viewer = Viewer(150e3)
    viewer.run(15)
    assert viewer.rung == 2
    viewer.capacity_bps = 20e6
    viewer.run(120)
    assert [rung for _, rung in viewer.history] == [1, 2, 1, 0]


def test_a_blackout_is_not_a_slow_line() -> None:
    viewer = Viewer(20e6)
    viewer.run(20)
    viewer.now += 5
    viewer.report.fraction_lost, viewer.report.reported_at = 0.9, viewer.now
    assert not viewer.steering.judge(viewer.now, viewer.report, NEEDS)
    viewer.run(20)
    assert viewer.history == []


def test_hopeless_loss_is_a_reason_whatever_the_estimate() -> None:
    viewer = Viewer(20e6, loss=0.4)
    viewer.run(10)
    assert viewer.rung >= 1


def test_a_viewer_that_wants_little_is_sent_little_and_more_at_once_when_it_wants_more() -> None:
    viewer = Viewer(20e6)
    viewer.run(10)
    assert viewer.steering.limit(viewer.now, 1)
    assert (viewer.rung, viewer.steering.reason) == (1, "")
    viewer.run(600)
    assert (viewer.history, viewer.steering.probing) == ([], False), "a good line tempts nobody"
    assert not viewer.steering.limit(viewer.now, 1)
    assert viewer.steering.limit(viewer.now, 0)
    assert viewer.rung == 0


def test_a_viewer_that_began_with_little_because_it_wants_little() -> None:
    viewer = Viewer(20e6, start=1)
    assert not viewer.steering.limit(viewer.now, 1)
    viewer.run(60)
    assert viewer.steering.limit(viewer.now, 0)
    assert viewer.rung == 0


def test_a_wish_for_more_does_not_overrun_a_slow_line() -> None:
    viewer = Viewer(400e3)
    viewer.run(5)
    assert viewer.rung == 1
    assert not viewer.steering.limit(viewer.now, 1)
    assert not viewer.steering.limit(viewer.now, 0)
    viewer.steering.limit(viewer.now, 1)
    viewer.run(60)
    assert not viewer.steering.probing


def test_a_wish_for_little_ends_the_question_whether_the_line_carries_more() -> None:
    viewer = Viewer(400e3)
    while not viewer.steering.probing:
        viewer.run(STEP_S)
    viewer.steering.limit(viewer.now, 1)
    assert not viewer.steering.probing
