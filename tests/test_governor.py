"""The governor over made-up readings: what it gives up first, how it returns, and that it never flaps."""

from __future__ import annotations

import random
from dataclasses import replace

from server.governor import LIMITS, Governor, Patience, Reading, strain_of, words
from server.pace import FULL, Pace, Timesheet, Workload

AT_EASE = Reading(loop_lag_s=0.002, picture_age_s=0.015, camera_busy=0.15, recognition_busy=0.1)
LATE = replace(AT_EASE, picture_age_s=0.2)
PATIENCE = Patience()


class Clock:
    """Gives a governor one reading a second."""

    def __init__(self, *, recognises: bool = True) -> None:
        self.governor = Governor(recognises=recognises)
        self.now = 1000.0

    def give(self, reading: Reading, seconds: float) -> list[Pace]:
        """The paces it changed to in this time."""
        changes = []
        end = self.now + seconds
        while self.now < end:
            self.now += 1
            if self.governor.judge(reading, self.now):
                changes.append(self.governor.pace)
        return changes


def test_at_its_ease_nothing_changes() -> None:
    clock = Clock()
    assert clock.give(AT_EASE, 600) == []
    assert clock.governor.pace == FULL


def test_recognition_is_slowed_first_then_the_picture() -> None:
    clock = Clock()
    steps = [Pace(2), Pace(4), Pace(6), Pace(6, 2), Pace(6, 3)]
    assert clock.give(LATE, 60) == steps


def test_without_recognition_the_picture_is_all_there_is() -> None:
    assert Clock(recognises=False).give(LATE, 60) == [Pace(1, 2), Pace(1, 3)]


def test_a_moment_is_no_strain() -> None:
    clock = Clock()
    for _ in range(20):
        assert clock.give(LATE, 2) == []
        assert clock.give(AT_EASE, 1) == []


def test_every_sign_counts() -> None:
    assert not strain_of(LIMITS)
    for sign in ("loop_lag_s", "picture_age_s", "undecoded", "camera_busy"):
        reading = replace(AT_EASE, **{sign: getattr(LIMITS, sign) * 1.5})
        assert strain_of(reading), sign
        assert Clock().give(reading, 5) == [Pace(2)], sign


def test_starved_recognition_slows_only_recognition() -> None:
    clock = Clock()
    assert clock.give(replace(AT_EASE, recognition_busy=1.0), 9) == []
    assert clock.give(replace(AT_EASE, recognition_busy=1.0), 120) == [Pace(2), Pace(4), Pace(6)]


def test_it_returns_slowly_and_the_picture_first() -> None:
    clock = Clock()
    clock.give(LATE, 60)
    assert clock.give(AT_EASE, PATIENCE.ease_s) == []
    assert clock.give(AT_EASE, 10 * PATIENCE.ease_s) == [Pace(6, 2), Pace(6), Pace(4), Pace(2), FULL]


def test_it_does_not_step_back_into_what_would_strain_it() -> None:
    clock = Clock()
    clock.give(LATE, 17)
    assert clock.governor.pace == Pace(6, 2)
    assert clock.give(replace(AT_EASE, camera_busy=0.5), 600) == []  # twice that at full rate
    assert clock.give(replace(AT_EASE, camera_busy=0.3), 21) == [Pace(6)]
    assert clock.give(replace(AT_EASE, recognition_busy=0.6), 600) == []  # 0.9 with every fourth


def test_what_it_regrets_it_tries_less_and_less_often() -> None:
    """A load that comes back with every step back: in an hour it moves a few times, not every half minute."""
    clock = Clock()
    moves = 0
    for _ in range(3600):
        strained = clock.governor.step == 0
        moves += len(clock.give(LATE if strained else AT_EASE, 1))
    assert moves < 30


def test_whatever_it_reads_it_takes_one_step_at_a_time() -> None:
    governor, chance = Governor(recognises=True), random.Random(1)
    steps = set()
    for second in range(20_000):
        before = governor.step
        is_bad = chance.random() < (0.9 if second // 1000 % 2 else 0.02)
        changed = governor.judge(LATE if is_bad else AT_EASE, float(second))
        assert abs(governor.step - before) == bool(changed)
        steps.add(governor.step)
    assert steps == set(range(6))


def test_the_words() -> None:
    assert words(FULL) == ""
    assert words(Pace(2)) == "The server is busy: names appear more slowly."
    assert words(Pace(1, 2)) == "The server is busy: pictures are shown at half the rate."
    assert words(Pace(6, 3)) == (
        "The server is busy: names appear more slowly and pictures are shown at a third of the rate."
    )


def test_a_timesheet() -> None:
    sheet = Timesheet()
    assert sheet.take(10.0) == Workload()
    sheet.note(10.0, 10.01, 10.02)
    sheet.note(10.5, 10.5, 10.53)
    sheet.note(10.8, 10.8, 10.9)
    work = sheet.take(11.0)
    assert (round(work.age_s, 3), round(work.busy, 3)) == (0.03, 0.14)
    assert sheet.take(12.0) == Workload()
