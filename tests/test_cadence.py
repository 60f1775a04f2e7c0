"""A frame's moment: the publisher's beat, without what the way added."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from server.cadence import MAX_STEP_S, WINDOW_S, Cadence

INTERVAL_S = 1 / 30


def moments(delays: list[float], start: float = 1000.0, clock: float = 5.0) -> list[float]:
    """What becomes of frames taken regularly from `clock` on that arrive `delays` later, from `start` on."""
    cadence = Cadence()
    taken = [clock + number * INTERVAL_S for number in range(len(delays))]
    return [cadence.at(each, each - clock + start + delay) for each, delay in zip(taken, delays, strict=True)]


def steps(values: list[float]) -> list[float]:
    return [after - before for before, after in pairwise(values)]


def test_late_frames_keep_the_publishers_beat() -> None:
    chance = random.Random(1)
    delays = [0.02 + chance.choice([0.0, 0.0, 0.01, 0.03]) for _ in range(600)]
    settled = moments(delays)[60:]
    assert steps(settled) == pytest.approx([INTERVAL_S] * 539, abs=1e-9)
    assert all(moment - 1000.02 == pytest.approx(number * INTERVAL_S) for number, moment in enumerate(settled, 60))


def test_no_frame_is_later_than_its_arrival() -> None:
    chance = random.Random(2)
    delays = [chance.uniform(0.0, 0.1) for _ in range(900)]
    for number, (moment, delay) in enumerate(zip(moments(delays), delays, strict=True)):
        assert moment <= 1000 + number * INTERVAL_S + delay + 1e-9


def test_a_slower_way_is_learnt_without_a_jump() -> None:
    seconds = 3 * WINDOW_S
    frames = int(seconds / INTERVAL_S)
    result = moments([0.02] * frames + [0.06] * frames)
    assert max(steps(result)) <= INTERVAL_S + MAX_STEP_S + 1e-9
    assert result[-1] == pytest.approx(1000.06 + (2 * frames - 1) * INTERVAL_S)


def test_another_stream_begins_anew() -> None:
    cadence = Cadence()
    assert cadence.at(5.0, 100.0) == 100.0
    assert cadence.at(900.0, 101.0) == 101.0
    cadence.restart()
    assert cadence.at(900.1, 101.2) == 101.2


def test_without_timestamps_the_arrival_counts() -> None:
    assert Cadence().at(None, 7.0) == 7.0
