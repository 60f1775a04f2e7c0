"""`surveillx bench cameras`: a short run of the real thing, and what follows from made-up points."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import pytest

from server.bench import cameras
from server.bench.cameras import PARTS, Point, processor_seconds, result, run
from server.bench.processes import cpu_seconds
from server.sample import CLIP
from server.threadnames import ThreadNames

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


def point(count: int, *, watched: bool = False, recognised_hz: float = 6.0, fps: float = 30.0) -> Point:
    cores = dict.fromkeys(PARTS, 0.02 * count) | {"recognition": 0.1 * count}
    return Point(count, watched, cores, fps, fps if watched else 0.0, recognised_hz, 90.0, 20.0, 0, 0.03)


def test_a_short_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cameras, "SETTLE_S", 1.0)
    found = run(2.0, str(CLIP), 1)
    rows = [dict(zip(found.header, row, strict=True)) for row in found.rows]
    assert [(row["cameras"], row["n"]) for row in rows] == [("not watched", "1"), ("watched", "1")]
    for each in found.figures["points"]:
        assert each["received_fps"] > 0
        assert each["cores"]["loop"] > 0
        assert each["cores"]["decode"] > 0
        assert each["cores"]["recognition"] > 0
    unwatched, watched = (each["cores"]["draw and encode"] for each in found.figures["points"])
    assert unwatched == 0, "nobody watches: no encode"
    assert watched > 0


def test_how_many_are_carried_and_what_one_costs() -> None:
    found = result(
        [
            *(point(count) for count in (1, 2, 3)),
            point(4, recognised_hz=0.8),
            point(1, watched=True),
            point(2, watched=True, fps=21.0),
        ]
    )
    assert (found.figures["not watched"]["carried"], found.figures["watched"]["carried"]) == (3, 1)
    assert found.figures["not watched"]["cores_each"] == pytest.approx(0.18)
    assert found.notes[0].startswith("not watched: 3 cameras on ")
    assert found.notes[1] == "one camera, not watched: 0.180 cores, of them recognition 0.100"
    assert found.goals[0].row == ("a camera that nobody watches", "0.18 core", "at most 0.25 core", "kept")
    assert result([point(1), point(1, watched=True)]).notes[0].startswith("not watched: at least 1 cameras")
    assert result([point(1, fps=3.0)]).figures["not watched"]["cores_each"] is None


def test_threads_have_their_names_and_their_times() -> None:
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait, name="surveillx-camera-of-the-gym")
    thread.start()
    try:
        ThreadNames().tell()
        assert thread.native_id is not None
        assert Path(f"/proc/self/task/{thread.native_id}/comm").read_text() == "camera-of-the-g\n"
    finally:
        stop.set()
        thread.join()
    assert sum(processor_seconds(os.getpid()).values()) == pytest.approx(cpu_seconds(os.getpid()), abs=0.5)
