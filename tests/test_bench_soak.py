"""The soak: its arithmetic, and a short one of the real thing."""

from __future__ import annotations

import json
import math
import os
import signal
from pathlib import Path

import pytest

from server.bench import soak
from server.bench.processes import BenchError
from server.bench.readings import Reading, lag_quantile_ms
from server.bench.report import line
from server.bench.soak import Moment
from server.cli import main

INF = float("inf")


def moment(minute: float, rss_mb: float, delay_ms: int) -> Moment:
    lag = {0.001: 570.0 * minute, 0.01: 595.0 * minute, 0.05: 600.0 * minute, INF: 600.0 * minute}
    reading = Reading(rss_mb, 200.0, 40, 11, 120, 11, 0, lag)
    return Moment(minute, reading, 9.0, [delay_ms] * 5, 30.0, 29.8)


def test_the_nearest_line_and_how_sure_it_is() -> None:
    assert line([(0, 1), (1, 3), (2, 5)]) == pytest.approx((2.0, 0.0))
    # y = x with one point off by one: worked out by hand.
    rise, error = line([(0, 0), (1, 1), (2, 2), (3, 4)])
    assert rise == pytest.approx(1.3)
    assert error == pytest.approx(math.sqrt(0.3 / 2 / 5))
    assert math.isnan(line([(0, 0), (1, 1)])[1])


def test_how_late_the_loop_was_between_two_readings() -> None:
    before = {0.01: 100.0, 0.02: 100.0, INF: 100.0}
    after = {0.01: 190.0, 0.02: 200.0, INF: 200.0}
    assert lag_quantile_ms(before, after, 0.9) == pytest.approx(10.0)
    assert lag_quantile_ms(before, after, 0.95) == pytest.approx(15.0)
    assert lag_quantile_ms(before, after | {INF: 210.0}, 1.0) == pytest.approx(20.0), "no more is known"
    assert lag_quantile_ms(after, after, 0.99) == 0.0


def test_an_hour_is_judged_without_its_first_ten_minutes() -> None:
    # 100 MB in the warm-up, then 6 MB an hour; the delay grows from 80 to 90 ms half-way.
    hour = [moment(0.5 * n, 200 + min(n, 20) * 5 + 0.05 * n, 80 if n < 70 else 90) for n in range(1, 121)]
    result = soak.render(hour)
    assert result.figures["memory_mb_per_hour"] == pytest.approx(6.0)
    assert result.figures["drift_ms"] == 10
    assert [goal.is_kept for goal in result.goals] == [False, True, True]
    assert result.figures["lag_p99_ms"] == pytest.approx(9.64, abs=0.01)
    assert "first 10.0 do not count" in result.notes[0]
    assert "memory: +6.0 MB an hour" in result.notes[1]
    assert len(result.figures["readings"]) == 120
    json.dumps(result.as_json())


def test_a_clock_that_cannot_be_read_is_no_result() -> None:
    with pytest.raises(BenchError, match="clock"):
        soak.drift([Moment(1.0, moment(1, 1, 1).reading, 1.0, [], 30.0, 30.0)])


@pytest.mark.timeout(110)
def test_an_interrupted_soak_tells_what_it_has(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(_text: str) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    for name, value in (("READ_EVERY_S", 0.5), ("TELL_EVERY", 8), ("progress", interrupt)):
        monkeypatch.setattr(soak, name, value)
    kept, plot = tmp_path / "soak.json", tmp_path / "soak.svg"
    assert main(["bench", "soak", "--minutes", "60", "--json", str(kept), "--plot", str(plot)]) == 0
    assert "ended before its time: interrupted" in capsys.readouterr().out
    result = json.loads(kept.read_text())
    assert (len(result["figures"]["readings"]), result["figures"]["ended"]) == (8, "interrupted")
    rows = {row[0]: row[1:] for row in result["rows"]}
    assert rows["connections"] == ["11"] * 4
    assert float(rows["server memory, MB"][0]) > 50
    assert float(rows["fps, decoding viewer"][3]) > 0
    assert "delay, ms" in plot.read_text()


def test_too_short_a_soak_is_no_result() -> None:
    with pytest.raises(BenchError, match="too early to say anything: interrupted"):
        soak.render([moment(0.5, 200.0, 80)], "interrupted")
