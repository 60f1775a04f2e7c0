"""`surveillx bench viewers`: what one more viewer costs the server, beside Janus and stock aiortc with MediaRelay.

The same camera, the same viewers, one server after the other, in one run: the server on one core, everything else on
the others. Janus is given the packets that our server sent. Recognition is off: it costs the same whatever the number
of viewers. Linux only, for /proc.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import median

import httpx

from . import janus, tape
from .latency import own_server
from .processes import BenchError, Child, Serving, cpu_seconds, on_cores, serving, started
from .report import Chart, Goal, Result, progress, slope

SETTLE_S = 2.0
TAPE_S = 5.0
# Viewers who get fewer pictures cost less: such a point says nothing about the cost.
FULL_RATE_FPS = 27
GOAL_FPS = 29
CAMERA_TIMEOUT_S = 20.0

OURS, JANUS, STOCK = "SurveillX", "Janus", "aiortc + MediaRelay"


@dataclass(frozen=True)
class Wish:
    """How long each point is measured, how often, and with how many viewers of each server."""

    seconds: float
    repeats: int
    clip: str
    counts: Sequence[int]
    janus_counts: Sequence[int]
    stock_counts: Sequence[int]


@dataclass(frozen=True)
class Point:
    """With so many viewers: the server's CPU cores in use, and pictures a second at the median and the worst viewer."""

    viewers: int
    cores: float
    median_fps: float
    worst_fps: float


# The points of one server, a list for each repeat.
Series = Sequence[Sequence[Point]]


@dataclass(frozen=True)
class Contestant:
    """A server, what feeds it, and in which way viewers join (`load`)."""

    server: Callable[[], AbstractContextManager[Serving]]
    source: Callable[[Serving], AbstractContextManager[object]]
    join: str = "first"


def run(wish: Wish) -> Result:
    """Measure.

    Raises:
        BenchError: this is not Linux, a server does not start, or viewers cannot connect.
    """
    if not sys.platform.startswith("linux"):
        raise BenchError("This measurement reads /proc and runs on Linux only.")
    series: dict[str, Series] = {}
    versions = {}
    with tempfile.TemporaryDirectory(prefix="surveillx-bench-") as folder:
        file = Path(folder, "tape")
        ours = Contestant(partial(own_server, recognition_every=0), partial(_camera, clip=wish.clip))
        series[OURS] = _series(OURS, ours, wish.counts, wish, file if janus.is_installed() else None)
        if janus.is_installed():
            port = janus.free_port(socket.SOCK_DGRAM)
            theirs = Contestant(partial(janus.janus, port), lambda _: tape.playing(file, port), "janus")
            series[JANUS] = _series(JANUS, theirs, wish.janus_counts, wish)
            versions[JANUS] = janus.version()
    stock = Contestant(partial(serving, "server.bench.stock"), ours.source)
    series[STOCK] = _series(STOCK, stock, wish.stock_counts, wish)
    return render(series, versions)


def _camera(server: Serving, clip: str) -> AbstractContextManager[object]:
    return started("server.bench.camera", server.url, clip)


def _series(
    name: str, contestant: Contestant, counts: Sequence[int], wish: Wish, record_to: Path | None = None
) -> Series:
    """Measure one server. With `record_to`, what a viewer of it is sent is recorded there first."""
    server_cores, other_cores = _cores()
    with ExitStack() as stack:
        with on_cores(server_cores):
            running = stack.enter_context(contestant.server())
        stack.enter_context(on_cores(other_cores))
        stack.enter_context(contestant.source(running))
        if contestant.join != "janus":
            wait_for_camera(running)
        if record_to is not None:
            tape.record(running.url, record_to, TAPE_S)
        load = stack.enter_context(started("server.bench.load", running.url, contestant.join))
        points = []
        for count in sorted(counts):
            progress(f"measuring: {name}, {count} viewers")
            ask(load, str(count))
            time.sleep(SETTLE_S)
            points.append([_point(running, load, wish.seconds) for _ in range(wish.repeats)])
        return list(zip(*points, strict=True))


def _cores() -> tuple[set[int], set[int]]:
    """One core for the server, the others for everything else; with one core, that for all."""
    first, *others = sorted(os.sched_getaffinity(0))
    return {first}, set(others) or {first}


def wait_for_camera(server: Serving) -> None:
    """Wait until the server has a picture of its camera.

    Raises:
        BenchError: none comes.
    """
    deadline = time.monotonic() + CAMERA_TIMEOUT_S
    while time.monotonic() < deadline:
        if any(camera["online"] for camera in httpx.get(f"{server.url}/api/cameras").json()):
            return
        time.sleep(0.1)
    raise BenchError("The camera did not come up; its messages are above.")


def _point(server: Serving, load: Child, seconds: float) -> Point:
    cpu, clock, pictures = cpu_seconds(server.pid), time.monotonic(), ask(load, "count")
    time.sleep(seconds)
    passed = time.monotonic() - clock
    cores = (cpu_seconds(server.pid) - cpu) / passed
    rates = [(after - before) / passed for before, after in zip(pictures, ask(load, "count"), strict=True)]
    return Point(len(rates), cores, median(rates or [0.0]), min(rates, default=0.0))


def ask(load: Child, line: str) -> list[float]:
    """Give the viewers' process one line; its answer (see `load`).

    Raises:
        BenchError: it has ended, such as for a refused viewer.
    """
    try:
        print(line, file=load.input, flush=True)
        answer = load.output.readline()
    except BrokenPipeError:
        answer = ""
    if not answer:
        raise BenchError("The viewers could not connect; their messages are above.")
    return [float(number) for number in json.loads(answer)]


def render(series: Mapping[str, Series], versions: Mapping[str, str]) -> Result:
    """All series, what an added viewer costs in each (from the first viewer on), and the ratios to ours."""
    middle = {name: [_middle(points) for points in zip(*repeats, strict=True)] for name, repeats in series.items()}
    rows = [
        (name, str(point.viewers), f"{point.cores:.3f}", f"{point.median_fps:.1f}", f"{point.worst_fps:.1f}")
        for name, points in middle.items()
        for point in points
    ]
    if JANUS not in series:
        rows.append((JANUS, "not installed: apt-get install janus", "", "", ""))
    costs = {name: [found for points in repeats if (found := cost(points))] for name, repeats in series.items()}
    return Result(
        ("server", "viewers", "cores", "fps (median)", "fps (worst)"),
        rows,
        {
            "points": {
                name: [[asdict(each) for each in points] for points in repeats] for name, repeats in series.items()
            },
            "cores_per_viewer": costs,
        },
        [*(_in_words(name, found) for name, found in costs.items()), *_ratios(costs)],
        Chart(
            "Server CPU and viewers",
            "viewers",
            "cores",
            {name: [(point.viewers, point.cores) for point in points] for name, points in middle.items()},
        ),
        versions,
        _goals(middle, costs),
    )


def _goals(middle: Mapping[str, Sequence[Point]], costs: Mapping[str, Sequence[float]]) -> list[Goal]:
    most = middle[OURS][-1]
    goals = [Goal(f"the worst of {most.viewers} viewers", most.worst_fps, GOAL_FPS, "fps", is_least=True)]
    if costs[OURS] and costs.get(JANUS):
        ratio = median(costs[OURS]) / median(costs[JANUS])
        goals.insert(0, Goal("cost of a viewer more", ratio, 1, "times that of Janus"))
    return goals


def _middle(points: Sequence[Point]) -> Point:
    """One point of several repeats: the median cost, and the worst viewer of all."""
    return Point(
        points[0].viewers,
        median(point.cores for point in points),
        median(point.median_fps for point in points),
        min(point.worst_fps for point in points),
    )


def _in_words(name: str, costs: Sequence[float]) -> str:
    if not costs:
        return f"{name}: no cost of an added viewer; this machine was too busy to keep {FULL_RATE_FPS} fps"
    spread = f" ({min(costs):.4f} to {max(costs):.4f}, n = {len(costs)})" if len(costs) > 1 else ""
    return f"{name}: an added viewer costs {median(costs):.4f} cores{spread}"


def _ratios(costs: Mapping[str, Sequence[float]]) -> list[str]:
    ours = costs.get(OURS)
    others = {name: median(found) for name, found in costs.items() if name != OURS and found}
    return [f"{OURS} / {name}: {median(ours) / other:.3f}" for name, other in others.items()] if ours else []


def cost(points: Sequence[Point]) -> float | None:
    """Cores for one more viewer, from the first viewer on; None when too few of the points kept the full rate."""
    kept = [(point.viewers, point.cores) for point in points if point.viewers and point.median_fps >= FULL_RATE_FPS]
    return slope(kept) if len(kept) > 1 and slope(kept) > 0 else None
