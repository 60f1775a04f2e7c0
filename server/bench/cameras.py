"""`surveillx bench cameras`: how many 720p30 cameras this machine carries with recognition on, unwatched and watched.

One camera more at a time, each with a picture of a classroom and its own peer connection, first without and then with
one viewer a camera, until one falls short. What the server uses is read from /proc, thread by thread; the cameras and
viewers are processes of their own, whose processor time is told beside. Linux only.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from ..sample import PERSON_NAME, PHOTO
from .latency import own_server
from .processes import BenchError, Child, Serving, cpu_seconds, started
from .report import Chart, Goal, Result, progress, slope

# The first looks at new faces are over, and unwatched cameras recognise at the rate that stays.
SETTLE_S = 15.0
POLL_S = 1.0
START_TIMEOUT_S = 60.0
# A camera is carried while it has so many pictures and so many recognitions a second.
LEAST_FPS = 25.0
LEAST_RECOGNISED_HZ = 1.0
GOAL_CORES = 0.25

# Threads by the names that `threadnames` tells the system; FFmpeg names its own "av:".
PARTS = ("loop", "decode", "draw and encode", "other", "recognition")
_THREADS = {"video-decoder": "decode", "av:": "decode", "camera-": "draw and encode"}


@dataclass(frozen=True)
class Point:
    """With so many cameras: cores in use by part, and of the worst camera pictures received and recognised a second.

    `shown_fps` is of the worst viewer, 0 without any. `result_ms` is the age of results when they came, `picture_ms`
    that of pictures when they left for the viewers, each of the worst camera at the median second. `step` is what the
    governor did. `peers` are the cores that cameras and viewers used.
    """

    cameras: int
    watched: bool
    cores: Mapping[str, float]
    received_fps: float
    shown_fps: float
    recognised_hz: float
    result_ms: float
    picture_ms: float
    step: int
    peers: float

    @property
    def total(self) -> float:
        """The server's cores, recognition included."""
        return sum(self.cores.values())

    @property
    def is_carried(self) -> bool:
        """Whether every camera had what it should have."""
        fps = min(self.received_fps, self.shown_fps) if self.watched else self.received_fps
        return fps >= LEAST_FPS and self.recognised_hz >= LEAST_RECOGNISED_HZ


def run(seconds: float, clip: str, most: int) -> Result:
    """Add cameras up to `most`, each count measured for `seconds`.

    Raises:
        BenchError: it cannot be measured here.
    """
    if not sys.platform.startswith("linux"):
        raise BenchError("this measurement reads /proc and runs on Linux only")
    return result([*_series(seconds, clip, most, watched=False), *_series(seconds, clip, most, watched=True)])


def _series(seconds: float, clip: str, most: int, *, watched: bool) -> list[Point]:
    points: list[Point] = []
    with (
        own_server(recognition_every=5) as server,
        started("server.bench.replay", server.url, clip) as cameras,
        started("server.bench.load", server.url, "each") as viewers,
        httpx.Client(base_url=server.url, timeout=START_TIMEOUT_S) as http,
    ):
        _wait_for_recognition(http)
        _enrol(http)
        while len(points) < most and all(point.is_carried for point in points):
            count = len(points) + 1
            ask(cameras, str(count))
            _wait_for_cameras(http, count)
            if watched:
                ask(viewers, str(count))
            time.sleep(SETTLE_S)
            points.append(_point(server, cameras, viewers, http, seconds))
            progress(f"{count} cameras, {'watched' if watched else 'not watched'}: {points[-1].total:.2f} cores")
    return points


def ask(child: Child, line: str) -> list[int]:
    """Give the cameras' or the viewers' process one line; the pictures of each by then.

    Raises:
        BenchError: it has ended.
    """
    try:
        print(line, file=child.input, flush=True)
        answer = child.output.readline()
    except BrokenPipeError:
        answer = ""
    if not answer:
        raise BenchError("A camera or viewer could not connect; its messages are above.")
    return [int(pictures) for pictures in json.loads(answer)]


def _wait_for_recognition(http: httpx.Client) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while http.get("/readyz").json()["recognition"] != "running":
        if time.monotonic() > deadline:
            raise BenchError("Recognition did not start; the server's messages are above.")
        time.sleep(0.2)


def _enrol(http: httpx.Client) -> None:
    answer = http.post("/api/people", data={"name": PERSON_NAME, "consent": "yes"}, files={"photo": PHOTO.read_bytes()})
    if answer.is_error:
        raise BenchError(f"The sample person could not be enrolled: {answer.text}")


def _wait_for_cameras(http: httpx.Client, count: int) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while sum(camera["online"] for camera in http.get("/api/cameras").json()) < count:
        if time.monotonic() > deadline:
            raise BenchError("A camera did not come up; the messages are above.")
        time.sleep(0.1)


def _point(server: Serving, cameras: Child, viewers: Child, http: httpx.Client, seconds: float) -> Point:
    clock, before = time.monotonic(), _Counts.read(server, cameras, viewers, http)
    seen = []
    while time.monotonic() < clock + seconds:
        time.sleep(POLL_S)
        seen.append((_gauges(http), _cameras(http)))
    passed, after = time.monotonic() - clock, _Counts.read(server, cameras, viewers, http)
    shown = _rates(before.shown, after.shown, passed)
    return Point(
        cameras=len(after.received),
        watched=bool(after.shown),
        cores={part: (after.cpu[part] - before.cpu[part]) / passed for part in PARTS},
        received_fps=min(_rates(before.received, after.received, passed)),
        shown_fps=min(shown, default=0.0),
        recognised_hz=min(_rates(before.recognised, after.recognised, passed)),
        result_ms=median(max(each["result_age_ms"] for each in status) for _, status in seen),
        picture_ms=median(gauges["surveillx_picture_age_seconds"] * 1000 for gauges, _ in seen),
        step=round(max(gauges["surveillx_degradation"] for gauges, _ in seen)),
        peers=(after.peers - before.peers) / passed,
    )


@dataclass(frozen=True)
class _Counts:
    """What only ever grows: processor seconds, and pictures of each camera."""

    cpu: Mapping[str, float]
    peers: float
    received: Sequence[int]
    recognised: Sequence[int]
    shown: Sequence[int]

    @classmethod
    def read(cls, server: Serving, cameras: Child, viewers: Child, http: httpx.Client) -> _Counts:
        frames = [camera["frames"] for camera in _cameras(http)]
        return cls(
            cpu=processor_seconds(server.pid),
            peers=cpu_seconds(cameras.pid) + cpu_seconds(viewers.pid),
            received=[each["received"] for each in frames],
            recognised=[each["recognised"] for each in frames],
            shown=ask(viewers, "count"),
        )


def _cameras(http: httpx.Client) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = http.get("/api/cameras").json()
    return found


def _gauges(http: httpx.Client) -> dict[str, float]:
    families = text_string_to_metric_families(http.get("/metrics").text)
    return {sample.name: sample.value for family in families for sample in family.samples if not sample.labels}


def _rates(before: Sequence[int], after: Sequence[int], passed: float) -> list[float]:
    return [(late - early) / passed for early, late in zip(before, after, strict=True)]


def processor_seconds(pid: int) -> dict[str, float]:
    """CPU seconds of a server so far, by part; its children are recognition. Linux (proc(5), task/TID/stat).

    Threads that have ended are "other": only the process remembers what they took.
    """
    seconds = dict.fromkeys(PARTS, 0.0)
    for task in Path(f"/proc/{pid}/task").iterdir():
        name, spent = _thread(task)
        part = next((part for prefix, part in _THREADS.items() if name.startswith(prefix)), "other")
        seconds["loop" if task.name == str(pid) else part] += spent
    own = _own(pid)
    seconds["other"] += max(0.0, own - sum(seconds.values()))
    seconds["recognition"] = cpu_seconds(pid) - own
    return seconds


def _thread(task: Path) -> tuple[str, float]:
    name, _, fields = (task / "stat").read_text().partition("(")[2].rpartition(")")
    return name, _spent(fields)


def _own(pid: int) -> float:
    return _spent(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2])


def _spent(fields: str) -> float:
    numbers = fields.split()
    return (int(numbers[11]) + int(numbers[12])) / os.sysconf("SC_CLK_TCK")


def result(points: Sequence[Point]) -> Result:
    """Both series as a table, with how many are carried and what one more costs."""
    rows = [
        (
            "watched" if point.watched else "not watched",
            str(point.cameras),
            *(f"{point.cores[part]:.2f}" for part in PARTS),
            f"{point.total:.2f}",
            f"{point.shown_fps if point.watched else point.received_fps:.1f}",
            f"{point.recognised_hz:.1f}",
            f"{point.result_ms:.0f}",
            f"{point.picture_ms:.0f}" if point.watched else "",
            str(point.step),
            f"{point.peers:.2f}",
        )
        for point in points
    ]
    header = (
        "cameras", "n", *PARTS, "cores", "fps (worst)", "names Hz", "result ms", "picture ms", "step", "peers",
    )  # fmt: skip
    series = {name: [each for each in points if each.watched is watched] for name, watched in _KINDS.items()}
    summaries = {name: _summary(each) for name, each in series.items()}
    cost = summaries["not watched"]["cores_each"]
    return Result(
        header=header,
        rows=rows,
        figures={"points": [asdict(point) for point in points], **summaries},
        notes=[note for name, summary in summaries.items() for note in _notes(name, summary)],
        chart=Chart(
            "Server CPU and cameras, 1280x720 at 30 fps, recognition on",
            "cameras",
            "cores",
            {name: [(point.cameras, point.total) for point in each] for name, each in series.items()},
        ),
        goals=[Goal("a camera that nobody watches", cost, GOAL_CORES, "core")] if cost is not None else [],
    )


_KINDS = {"not watched": False, "watched": True}


def _summary(points: Sequence[Point]) -> dict[str, Any]:
    """How many are carried, and the cores that one more costs while all are: in all, and recognition's part."""
    carried = [point for point in points if point.is_carried]
    cost = part = None
    if carried:
        # One camera costs what it costs above an idle server, which is next to nothing.
        cost = slope([(0.0, 0.0), *((point.cameras, point.total) for point in carried)])
        part = slope([(0.0, 0.0), *((point.cameras, point.cores["recognition"]) for point in carried)])
    return {
        "carried": max((point.cameras for point in carried), default=0),
        "tried": max((point.cameras for point in points), default=0),
        "cores_each": cost,
        "recognition_cores_each": part,
    }


def _notes(name: str, summary: Mapping[str, Any]) -> list[str]:
    more = "at least " if summary["carried"] == summary["tried"] else ""
    notes = [f"{name}: {more}{summary['carried']} cameras on {os.cpu_count()} processors, peers included"]
    if summary["cores_each"] is not None:
        each, part = summary["cores_each"], summary["recognition_cores_each"]
        notes.append(f"one camera, {name}: {each:.3f} cores, of them recognition {part:.3f}")
    return notes
