"""What a publisher's line is said to carry: not less because a processor was busy, and less while packets wait."""

from __future__ import annotations

import random

from aiortc.rate import RemoteBitrateEstimator

from server.rtc_compat.estimate import StandingQueue, SteadyEstimator

TICKS_PER_MS = (1 << 18) / 1000
PACKET = 1200


def ticks(ms: float) -> int:
    return round(ms * TICKS_PER_MS) % (1 << 24)


def drive(
    estimator: RemoteBitrateEstimator, seconds: float, rate_bps: int, line_bps: int, start_ms: float = 0.0
) -> list[int]:
    """Packets at `rate_bps` through a line of `line_bps` with jitter of up to 15 ms; the estimates."""
    chance = random.Random(1)
    found, now, free_at = [], start_ms, 0.0
    while now < start_ms + seconds * 1000:
        now += PACKET * 8000 / rate_bps
        free_at = max(now, free_at) + PACKET * 8000 / line_bps
        arrival = max(free_at + 25, now + 25 + chance.uniform(0, 15))
        estimate = estimator.add(round(arrival), ticks(now), PACKET, 7)
        if estimate:
            found.append(estimate[0])
    return found


def test_jitter_is_no_overuse() -> None:
    estimates = drive(SteadyEstimator(), 20, 1_000_000, 100_000_000)
    assert min(estimates) > 900_000


def test_a_full_line_is_noticed_and_stays_noticed() -> None:
    estimator = SteadyEstimator()
    drive(estimator, 5, 1_000_000, 100_000_000)
    estimates = drive(estimator, 5, 1_000_000, 800_000, start_ms=5000)
    assert estimator.queue.waiting_ms > 200
    assert estimates[-1] < 800_000


def test_a_line_that_is_good_again_is_climbed_quickly() -> None:
    estimator = SteadyEstimator()
    drive(estimator, 5, 1_000_000, 100_000_000)
    low = drive(estimator, 5, 1_000_000, 800_000, start_ms=5000)[-1]
    high = drive(estimator, 10, 500_000, 100_000_000, start_ms=12_000)[-1]
    assert high > low or high > 700_000
    assert not estimator.rate_control.near_max


def test_a_quiet_moment_does_not_hold_the_estimate() -> None:
    calm, stock = SteadyEstimator(), RemoteBitrateEstimator()
    for estimator in (calm, stock):
        drive(estimator, 10, 600_000, 100_000_000)
        drive(estimator, 4, 200_000, 100_000_000, start_ms=10_000)
    assert calm.rate_control.current_bitrate > stock.rate_control.current_bitrate


def test_a_repeated_packet_says_nothing_and_time_wraps() -> None:
    queue = StandingQueue()
    for number in range(10_000):  # 100 s; abs-send-time wraps after 64
        queue.add(number * 10 + 25, ticks(number * 10))
    assert queue.waiting_ms < 2
    queue.add(100_200, ticks(99_000))
    assert queue.waiting_ms < 2
    queue.add(100_325, ticks(100_000))
    assert queue.waiting_ms == 0, "that may be over at once"
    queue.add(100_525, ticks(100_200))
    assert 295 < queue.waiting_ms < 305


def test_what_comes_all_at_once_after_a_standstill_is_no_full_line() -> None:
    estimator = SteadyEstimator()
    drive(estimator, 5, 1_000_000, 100_000_000)
    waited = []
    for sent in range(5000, 6000, 10):  # nobody took packets for 0.7 s
        estimator.add(max(sent + 25, 5700), ticks(sent), PACKET, 7)
        waited.append(estimator.queue.waiting_ms)
    assert set(waited) == {0.0}
