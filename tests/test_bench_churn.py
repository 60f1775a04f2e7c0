"""The churn, short: real visitors come and go in each way, and what is left of them is told."""

from __future__ import annotations

import sys

import pytest

from server.bench import churn
from server.bench.churn import Flood, Found, Stop
from server.bench.processes import BenchError
from server.bench.readings import Reading
from server.sample import CLIP

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")

FIRST = Reading(100.0, 0.0, 20, 10, 30, 2, 0, {})
GROWN = Reading(130.0, 0.0, 23, 12, 28, 3, 0, {})


def test_what_is_left_over() -> None:
    assert FIRST.left_over(FIRST) == {}
    assert GROWN.left_over(FIRST) == {"files": 3, "connections": 1}


def test_the_table_and_what_it_says() -> None:
    stops = [Stop(0, FIRST, 0.0, 30.0), Stop(100, GROWN, 12.3, 29.9, [0.2, 0.4])]
    flood = Flood(500, {200: 60, 503: 440}, Stop(500, FIRST, 11.0, 29.5), 30.0)
    result = churn.result(Found(stops, flood))
    assert result.rows[1] == ("after 100 connects", "130.0", "23", "12", "28", "3", "12", "29.9")
    text = result.text()
    assert "memory: +30.0 MB" in text
    assert "left over of 100 connects: 3 files, 1 connections" in text
    assert "answered 60 x 200, 440 x 503; left over after 11 s: nothing" in text
    assert [goal.is_kept for goal in result.goals] == [False, False, True, True, True]
    assert "ended before its time: interrupted" in churn.result(Found(stops, None, "interrupted")).text()
    with pytest.raises(BenchError, match="too early"):
        churn.result(Found(stops[:1]))


@pytest.mark.timeout(110)
def test_a_short_churn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(churn, "VANISHING", 0)  # ICE takes half a minute to notice
    result = churn.run(2, 0, str(CLIP))
    first, last = result.figures["stops"]
    assert (first["connects"], last["connects"], len(last["joined_s"])) == (0, 2, 2)
    assert last["connections"] == first["connections"] == 2
    assert "left over of 2 connects: nothing" in result.text()
