"""A burst passes, what goes on and on does not, and nobody waits for another address."""

from __future__ import annotations

from server import rates
from server.rates import Rate


def test_a_burst_passes_and_then_so_many_a_second() -> None:
    now = [0.0]
    rate = Rate(2.0, 5, clock=lambda: now[0])
    assert [rate.wait_s("a") for _ in range(7)] == [0.0] * 5 + [0.5, 0.5]
    assert rate.wait_s("b") == 0.0
    now[0] = 0.6
    assert rate.wait_s("a") == 0.0
    assert rate.wait_s("a") > 0
    now[0] = 100.0
    assert [rate.wait_s("a") for _ in range(6)].count(0.0) == 5


def test_only_so_many_addresses_are_remembered() -> None:
    rate = Rate(1.0, 1, clock=lambda: 0.0)
    assert rate.wait_s("first") == 0.0
    for number in range(rates.MAX_ADDRESSES):
        rate.wait_s(str(number))
    assert rate.wait_s("first") == 0.0
