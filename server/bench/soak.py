"""`surveillx bench soak`: one camera and ten viewers for an hour; what grows, what lags, what drifts.

Nine viewers count pictures, the tenth decodes them and reads the clock in them. Linux only, for psutil's view of files.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import httpx

from .latency import own_server
from .processes import BenchError, Child, started
from .readings import Reading, asking, lag_quantile_ms, read
from .report import Chart, Goal, Result, line, progress
from .viewers import ask, wait_for_camera

COUNTING_VIEWERS = 9
# Memory before that does not count: caches fill, the allocator finds its size. Of a short run, a third.
WARM_UP_MINUTES = 10.0
WARM_UP_SHARE = 1 / 3
READ_EVERY_S = 10.0
READINGS_AT_LEAST = 12
TELL_EVERY = 6
# The drift is that of the median delay, from the first to the last tenth of what follows the warm-up.
DRIFT_SHARE = 0.1

LAG_SHARES = {"lag_p50_ms": 0.5, "lag_p99_ms": 0.99, "lag_most_ms": 1.0}

GOAL_MB_PER_HOUR = 5.0
GOAL_LAG_MS = 30.0
GOAL_DRIFT_MS = 50.0


@dataclass(frozen=True)
class Moment:
    """The server `minute` minutes after the start, and since the reading before: delays, and pictures a second.

    `fps` is of the viewer that decodes, `worst_fps` of the worst of the others.
    """

    minute: float
    reading: Reading
    lag_p99_ms: float
    delays_ms: Sequence[int]
    fps: float
    worst_fps: float


def run(minutes: float, clip: str) -> Result:
    """Watch for so long, or until SIGINT or SIGTERM; then it tells what it has.

    Raises:
        BenchError: this is not Linux, the server does not start, or it ends before there is anything to tell.
    """
    if not sys.platform.startswith("linux"):
        raise BenchError("This measurement reads /proc and runs on Linux only.")
    with (
        own_server(recognition_every=5) as server,
        started("server.bench.camera", server.url, clip),
        asking(server.url) as http,
    ):
        wait_for_camera(server)
        with (
            started("server.bench.load", server.url) as load,
            started("server.bench.watcher", server.url) as watcher,
        ):
            ask(load, str(COUNTING_VIEWERS))
            look(watcher)
            moments: list[Moment] = []
            ended = ""
            try:
                for moment in _observe(server.pid, http, load, watcher, minutes):
                    moments.append(moment)
                    if len(moments) % TELL_EVERY == 0:
                        progress(f"{moment.minute:.1f} of {minutes:g} minutes: {moment.reading.rss_mb:.0f} MB")
            except KeyboardInterrupt:
                ended = "interrupted"
            except BenchError as error:
                ended = str(error)
            return render(moments, ended)


def _observe(pid: int, http: httpx.Client, load: Child, watcher: Child, minutes: float) -> Iterator[Moment]:
    every_s = min(READ_EVERY_S, minutes * 60 / READINGS_AT_LEAST)
    began = read_at = time.monotonic()
    reading, counts, _ = read(pid, http), ask(load, "count"), look(watcher)
    while time.monotonic() < began + minutes * 60:
        time.sleep(max(0.0, read_at + every_s - time.monotonic()))
        before, reading = reading, read(pid, http)
        counts_before, counts = counts, ask(load, "count")
        seen, passed_s = look(watcher), time.monotonic() - read_at
        read_at += passed_s
        yield Moment(
            minute=(read_at - began) / 60,
            reading=reading,
            lag_p99_ms=lag_quantile_ms(before.lag, reading.lag, 0.99),
            delays_ms=seen["delays_ms"],
            fps=seen["pictures"] / passed_s,
            worst_fps=min(after - before for before, after in zip(counts_before, counts, strict=True)) / passed_s,
        )


def look(watcher: Child) -> dict[str, Any]:
    """What the decoding viewer has seen since the last time, as `watcher.Seen` has it.

    Raises:
        BenchError: it has ended.
    """
    try:
        print("look", file=watcher.input, flush=True)
        answer = watcher.output.readline()
    except BrokenPipeError:
        answer = ""
    if not answer:
        raise BenchError("The viewer that decodes has ended; its messages are above.")
    seen: dict[str, Any] = json.loads(answer)
    return seen


def render(moments: Sequence[Moment], ended: str = "") -> Result:
    """What changed between the end of the warm-up and the end, and the judgements.

    `ended` is why it ended before its time.

    Raises:
        BenchError: there is too little to tell.
    """
    if len(moments) < READINGS_AT_LEAST // 2:
        raise BenchError(f"It ended too early to say anything{ended and ': '}{ended}.")
    warm = warmed_up(moments)
    growth, error = line([(moment.minute / 60, moment.reading.rss_mb) for moment in warm])
    lag = {
        name: lag_quantile_ms(warm[0].reading.lag, warm[-1].reading.lag, share) for name, share in LAG_SHARES.items()
    }
    figures = {"memory_mb_per_hour": growth, "memory_error": error, "drift_ms": drift(warm), **lag}
    figures = {name: round(value, 2) for name, value in figures.items()}
    return Result(
        ("what", "warmed up", "at the end", "least", "most"),
        _rows(warm),
        {
            "minutes": round(moments[-1].minute, 2),
            "ended": ended,
            **figures,
            "readings": [_figures(moment) for moment in moments],
        },
        [
            f"{moments[-1].minute:.1f} minutes, of which the first {warm[0].minute:.1f} do not count",
            *([f"ended before its time: {ended}"] if ended else []),
            *_judgement(figures),
        ],
        _chart(moments),
        goals=_goals(figures),
    )


def _judgement(figures: Mapping[str, float]) -> list[str]:
    grown = f"{figures['memory_mb_per_hour']:+.1f} MB an hour, standard error {figures['memory_error']:.1f}"
    late = f"{figures['lag_p50_ms']:.1f} ms at the median, {figures['lag_p99_ms']:.1f} ms at the 99th percentile"
    return [
        f"memory: {grown}",
        f"event loop: late by {late}, never by more than {figures['lag_most_ms']:.0f} ms",
        f"delay: drifted by {figures['drift_ms']:+.0f} ms",
    ]


def _goals(figures: Mapping[str, float]) -> list[Goal]:
    return [
        Goal("memory an hour", figures["memory_mb_per_hour"], GOAL_MB_PER_HOUR, "MB"),
        Goal("event loop's lateness, p99", figures["lag_p99_ms"], GOAL_LAG_MS, "ms"),
        Goal("drift of the delay, either way", abs(figures["drift_ms"]), GOAL_DRIFT_MS, "ms"),
    ]


def warmed_up(moments: Sequence[Moment]) -> Sequence[Moment]:
    """Those after the warm-up."""
    after = min(WARM_UP_MINUTES, moments[-1].minute * WARM_UP_SHARE)
    return [moment for moment in moments if moment.minute >= after]


def drift(warm: Sequence[Moment]) -> float:
    """The median delay of the last tenth less that of the first, milliseconds."""
    share = max(1, round(len(warm) * DRIFT_SHARE))
    first, last = ([delay for moment in part for delay in moment.delays_ms] for part in (warm[:share], warm[-share:]))
    if not first or not last:
        raise BenchError("The clock in the picture could not be read.")
    return median(last) - median(first)


def _rows(warm: Sequence[Moment]) -> list[tuple[str, ...]]:
    readings = [moment.reading for moment in warm]
    columns: dict[str, tuple[list[float], int]] = {
        "server memory, MB": ([each.rss_mb for each in readings], 0),
        "recognition memory, MB": ([each.children_mb for each in readings], 0),
        "files": ([each.files for each in readings], 0),
        "threads": ([each.threads for each in readings], 0),
        "tasks": ([each.tasks for each in readings], 0),
        "connections": ([each.sessions for each in readings], 0),
        "delay, ms (median)": ([median(moment.delays_ms) for moment in warm if moment.delays_ms], 0),
        "loop lag, ms (p99)": ([moment.lag_p99_ms for moment in warm], 1),
        "fps, decoding viewer": ([moment.fps for moment in warm], 1),
        "fps, worst viewer": ([moment.worst_fps for moment in warm], 1),
        "steps of doing less": ([each.step for each in readings], 0),
    }
    return [
        (name, *(f"{value:.{places}f}" for value in (values[0], values[-1], min(values), max(values))))
        for name, (values, places) in columns.items()
    ]


def _figures(moment: Moment) -> dict[str, float | None]:
    return {
        "minute": round(moment.minute, 2),
        "rss_mb": round(moment.reading.rss_mb, 1),
        "recognition_mb": round(moment.reading.children_mb, 1),
        "delay_ms": median(moment.delays_ms) if moment.delays_ms else None,
        "lag_p99_ms": round(moment.lag_p99_ms, 1),
        "fps": round(moment.fps, 1),
        "worst_fps": round(moment.worst_fps, 1),
    }


def _chart(moments: Sequence[Moment]) -> Chart:
    return Chart(
        "One camera, ten viewers",
        "minutes",
        "MB, ms",
        {
            "server memory, MB": [(moment.minute, moment.reading.rss_mb) for moment in moments],
            "delay, ms": [(moment.minute, median(moment.delays_ms)) for moment in moments if moment.delays_ms],
            "loop lag p99, ms": [(moment.minute, moment.lag_p99_ms) for moment in moments],
        },
    )
