"""`surveillx bench viewers`: what one more viewer costs the server, beside stock aiortc with MediaRelay.

The same camera, the same viewers, one server after the other, in one run. Recognition is off: it costs the same
whatever the number of viewers. Linux only, for /proc.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from functools import partial
from statistics import median

import httpx

from .latency import own_server
from .processes import BenchError, Child, Serving, cpu_seconds, serving, started
from .report import Chart, Result, progress, slope

SETTLE_S = 2.0
# Viewers who get fewer pictures cost less: such a point says nothing about the cost.
FULL_RATE_FPS = 27
CAMERA_TIMEOUT_S = 20.0


@dataclass(frozen=True)
class Point:
    """With so many viewers: the server's CPU cores in use, and pictures a second at the median and the worst viewer."""

    viewers: int
    cores: float
    median_fps: float
    worst_fps: float


def run(seconds: float, clip: str, counts: Sequence[int], stock_counts: Sequence[int]) -> Result:
    """Measure.

    Raises:
        BenchError: this is not Linux, a server does not start, or viewers cannot connect.
    """
    if not sys.platform.startswith("linux"):
        raise BenchError("This measurement reads /proc and runs on Linux only.")
    ours = _series(partial(own_server, recognition_every=0), clip, counts, seconds)
    progress("measured: SurveillX")
    stock = _series(partial(serving, "server.bench.stock"), clip, stock_counts, seconds)
    return render(ours, stock)


def _series(
    server: Callable[[], AbstractContextManager[Serving]], clip: str, counts: Sequence[int], seconds: float
) -> list[Point]:
    with (
        server() as running,
        started("server.bench.camera", running.url, clip),
        started("server.bench.load", running.url) as load,
    ):
        wait_for_camera(running)
        points = []
        for count in sorted(counts):
            ask(load, str(count))
            time.sleep(SETTLE_S)
            points.append(_point(running, load, seconds))
        return points


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


def ask(load: Child, line: str) -> list[int]:
    """Give the viewers' process one line; the pictures each viewer has by then.

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
    return [int(pictures) for pictures in json.loads(answer)]


def render(ours: Sequence[Point], stock: Sequence[Point]) -> Result:
    """Both series, what an added viewer costs in each (from the first viewer on), and the ratio."""
    series = {"SurveillX": ours, "aiortc + MediaRelay": stock}
    rows = [
        (name, str(point.viewers), f"{point.cores:.3f}", f"{point.median_fps:.1f}", f"{point.worst_fps:.1f}")
        for name, points in series.items()
        for point in points
    ]
    notes = []
    own_cost, stock_cost = cost(ours), cost(stock)
    if own_cost is None or stock_cost is None:
        notes.append(f"no cost of an added viewer: this machine was too busy to keep {FULL_RATE_FPS} fps")
    else:
        notes.append(f"an added viewer: SurveillX {own_cost:.4f} cores, aiortc + MediaRelay {stock_cost:.4f} cores")
        notes.append(f"ratio: 1/{stock_cost / own_cost:.0f}")
    return Result(
        ("server", "viewers", "cores", "fps (median)", "fps (worst)"),
        rows,
        {
            "points": {name: [asdict(point) for point in points] for name, points in series.items()},
            "cores_per_viewer": {name: cost(points) for name, points in series.items()},
        },
        notes,
        Chart(
            "Server CPU and viewers",
            "viewers",
            "cores",
            {name: [(point.viewers, point.cores) for point in points] for name, points in series.items()},
        ),
    )


def cost(points: Sequence[Point]) -> float | None:
    """Cores for one more viewer, from the first viewer on; None when too few of the points kept the full rate."""
    kept = [(point.viewers, point.cores) for point in points if point.viewers and point.median_fps >= FULL_RATE_FPS]
    return slope(kept) if len(kept) > 1 and slope(kept) > 0 else None
