"""The benches measure what they say: the clock survives the codec and the browser, and the viewers count pictures."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from server import bench
from server.bench import add_arguments, browser, clock, latency, viewers
from server.bench.latency import DIRECT, WITH, WITHOUT
from server.bench.plot import draw
from server.bench.processes import BenchError, cpu_seconds, serving, started
from server.bench.report import Chart, Goal, Result, Sample, circumstances, heading, slope, table
from server.bench.viewers import Point, ask
from server.cli import main

from .wait import until_sync


def noise(seed: int) -> av.VideoFrame:
    pixels = np.random.default_rng(seed).integers(0, 255, (720, 1280, 3), np.uint8)
    return av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format="yuv420p")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("clips") / "grey.mp4"
    with av.open(str(file), "w") as container:
        stream = container.add_stream("mpeg4", rate=30)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 1280, 720, "yuv420p"
        for number in range(15):
            frame = av.VideoFrame.from_ndarray(np.full((720, 1280, 3), 100, np.uint8), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 30)
            container.mux(stream.encode(frame.reformat(format="yuv420p")))
        container.mux(stream.encode())
    return str(file)


@pytest.mark.parametrize("now_ms", [0, 1, 0x5555, 0xAAAA, 0xFFFF, 1_700_000_123_456])
def test_the_clock_survives_a_lossy_codec(now_ms: int) -> None:
    encoder = av.CodecContext.create("libvpx", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt, encoder.bit_rate = 1280, 720, "yuv420p", 1_000_000
    encoder.time_base = Fraction(1, 30)
    encoder.options = {"deadline": "realtime", "cpu-used": "-6", "lag-in-frames": "0"}
    frame = noise(1)
    clock.draw(frame, now_ms)
    frame.pts, frame.time_base = 0, Fraction(1, 30)
    decoder = av.CodecContext.create("vp8", "r")
    assert isinstance(decoder, av.VideoCodecContext)
    [decoded] = [picture for packet in encoder.encode(frame) for picture in decoder.decode(packet)]
    assert clock.read(decoded) == now_ms % clock.MODULUS


def test_a_picture_without_a_clock_is_not_read() -> None:
    black = av.VideoFrame(1280, 720, "yuv420p")
    for plane in black.planes:
        plane.update(bytes(plane.buffer_size))
    assert clock.read(black) is None


def test_a_copy_is_independent() -> None:
    frame = noise(2)
    before = clock.plane_of(frame, 0).copy()
    own = clock.copy(frame)
    clock.draw(own, 12345)
    assert clock.read(own) == 12345
    np.testing.assert_array_equal(clock.plane_of(frame, 0), before)
    np.testing.assert_array_equal(clock.plane_of(own, 2)[100:], clock.plane_of(frame, 2)[100:])


def test_the_browser_reads_the_clock(clip: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browser, "PICTURES_UNTIL_WARM", 5)
    with (
        browser.chromium() as chromium,
        serving("server.bench.direct") as meeting,
        started("server.bench.camera", meeting.url, clip),
    ):
        viewing = browser.measure(chromium, meeting.url, 1.0)
    sample = viewing.sample
    assert len(sample.values_ms) > 3
    # A clock read wrongly, or not modulo its range, gives tens of seconds.
    assert 0 < sample.median_ms < 3000


def test_viewers_count_pictures(clip: str) -> None:
    with (
        serving("server.bench.stock") as server,
        started("server.bench.camera", server.url, clip),
        started("server.bench.load", server.url) as load,
    ):
        viewers.wait_for_camera(server)
        assert len(ask(load, "2")) == 2
        until_sync(lambda: min(ask(load, "count")) > 5, 20, "pictures at both viewers")
        assert cpu_seconds(server.pid) > 0


def test_refused_viewers_are_no_result() -> None:
    with (
        serving("server.bench.direct") as server,
        started("server.bench.load", server.url) as load,
        pytest.raises(BenchError, match="could not connect"),
    ):
        ask(load, "1")


def test_a_server_that_does_not_start_is_no_result() -> None:
    with pytest.raises(BenchError, match="did not start"), serving("server.bench.no_such_module"):
        pass


def test_no_chromium_says_what_to_install(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("shutil.which", lambda _: "/nowhere/chromium")
    assert main(["bench", "latency", "--seconds", "1", "--clip", "clip.mp4"]) == 1
    assert "playwright install chromium" in capsys.readouterr().err


def test_the_latency_table() -> None:
    def case(sample: Sample, **stages_ms: float) -> latency.Case:
        told = {"told_ms": 79.0, "camera_ms": 35.0} if stages_ms else {}
        return latency.Case(browser.Viewing(sample, 1, 0.5, 10.0, 5.0, 15.0, **told), stages_ms)

    stages = dict.fromkeys(latency.STAGES, 2.5)
    measured = {
        DIRECT: case(Sample([50.0] * 30, 1.0)),
        WITHOUT: case(Sample([60.0] * 60, 2.0), **stages),
        WITH: case(Sample([80.0] * 25, 1.0), **stages),
    }
    result = latency.render(measured, "1.2.3")
    assert result.rows[2] == (WITH, "25", "80", "80", "+30", "+30", "25.0", "1 (0.5 s)", "79")
    legs = result.figures[WITH]["legs_ms"]
    assert sum(legs.values()) == pytest.approx(80.0), "the legs are the whole way"
    assert (legs["camera"], legs["server draw"], legs["network"]) == (35.0, 2.5, pytest.approx(2.5))
    assert result.figures[DIRECT]["legs_ms"]["camera"] == pytest.approx(20.0)
    assert "where the milliseconds go" in result.text()


def points(*counts: int, base: float, each: float) -> list[Point]:
    return [Point(count, base + each * count, 30.0, 29.0) for count in counts]


def test_the_viewers_table() -> None:
    ours = [[Point(0, 0.1, 0.0, 0.0), *points(1, 4, 16, base=0.5, each=each)] for each in (0.003, 0.002, 0.004)]
    others = {viewers.JANUS: [points(1, 16, base=0.1, each=0.006)], viewers.STOCK: [points(1, 2, base=0.2, each=0.24)]}
    result = viewers.render({viewers.OURS: ours, **others}, {viewers.JANUS: "1.1.2"})
    assert (viewers.OURS, "16", "0.548", "30.0", "29.0") in result.rows
    assert "SurveillX: an added viewer costs 0.0030 cores (0.0020 to 0.0040, n = 3)" in result.notes
    assert "Janus: an added viewer costs 0.0060 cores" in result.notes
    assert "SurveillX / Janus: 0.500" in result.notes
    assert "Janus 1.1.2" in result.text()
    assert [goal.row[1:] for goal in result.goals] == [
        ("0.5 times that of Janus", "at most 1 times that of Janus", "kept"),
        ("29 fps", "at least 29 fps", "kept"),
    ]


def test_a_busy_machine_gives_no_cost() -> None:
    starved = [Point(n, 0.5 - 0.01 * n, 12.0, 3.0) for n in (1, 4, 16)]
    assert viewers.cost(starved) is None
    assert "too busy to keep 27 fps" in viewers.render({viewers.OURS: [starved]}, {}).text()


def test_without_janus_it_says_what_to_install() -> None:
    assert "apt-get install janus" in viewers.render({viewers.OURS: [points(1, 2, base=0, each=1)]}, {}).text()


def test_goals_are_judged() -> None:
    goals = [Goal("join", 1523.4, 2000), Goal("delay", 30.04, 25, "ms"), Goal("fps", 29.5, 29.5, is_least=True)]
    assert [goal.row for goal in goals] == [
        ("join", "1523", "at most 2000", "kept"),
        ("delay", "30 ms", "at most 25 ms", "missed"),
        ("fps", "29.5", "at least 29.5", "kept"),
    ]
    result = Result(("a",), [("1",)], {}, goals=goals)
    assert result.text().splitlines()[-1].split() == ["fps", "29.5", "at", "least", "29.5", "kept"]
    assert [goal["is_kept"] for goal in result.as_json()["goals"]] == [True, False, True]


def test_a_table_is_whole() -> None:
    with pytest.raises(ValueError, match="as many cells"):
        Result(("a", "b"), [("1",)], {})


def test_arithmetic() -> None:
    assert slope([(1, 5), (2, 7), (4, 11)]) == pytest.approx(2.0)
    sample = Sample([float(value) for value in range(100, 0, -1)], 4.0)
    assert (sample.median_ms, sample.p95_ms, sample.fps) == (50.5, 96.0, 25.0)
    assert table(("a", "b"), [("long", "1")]) == "a     b\nlong  1"


def test_the_heading_names_machine_and_versions() -> None:
    text = heading("Latency", circumstances(Chromium="1.2.3"))
    assert all(word in text for word in ("Latency", "UTC", "aiortc 1.", "Python 3.", "Chromium 1.2.3"))


RESULT = Result(
    ("case", "ms"),
    [("direct", "50")],
    {"direct": {"median_ms": 50.0}},
    ["a note"],
    Chart("Delay", "case", "ms", {"median": [(0, 50.0)], "p95": [(0, 70.0)]}, "bars", ("direct",)),
    {"Chromium": "1.2.3"},
)


@pytest.fixture
def instant(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bench that has its result at once."""
    at_once = bench.Bench("instant", "An instant", "nothing", lambda _parser: None, lambda *_: RESULT)
    monkeypatch.setattr(bench, "BENCHES", (at_once,))


def test_a_result_is_told_written_and_drawn(instant: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    json_file, plot = tmp_path / "result.json", tmp_path / "result.svg"
    assert main(["bench", "instant", "--json", str(json_file), "--plot", str(plot)]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "An instant"
    assert told[-4:] == ["case    ms", "direct  50", "a note", "Chromium 1.2.3"]
    kept = json.loads(json_file.read_text())
    assert (kept["bench"], kept["rows"], kept["with"]) == ("instant", [["direct", "50"]], {"Chromium": "1.2.3"})
    assert kept["figures"]["direct"]["median_ms"] == 50.0
    assert {"at", "machine", "versions", "load"} <= kept.keys()
    svg = plot.read_text()
    assert all(f">{word}</text>" in svg for word in ("Delay", "direct", "median", "p95"))


@pytest.mark.parametrize("kind", ["lines", "points", "bars"])
def test_the_same_chart_is_the_same_file(kind: Any, tmp_path: Path) -> None:
    chart = Chart("Title", "x", "y", {"a": [(0, 1.0), (1, 2.0)], "b": [(0, 2.0)]}, kind)
    for name in ("one.svg", "two.svg", "one.png"):
        draw(chart, tmp_path / name)
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()
    assert (tmp_path / "one.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--plot", "result.pdf"], "must end with .svg or .png"),
        (["--plot", "nowhere/result.svg"], "cannot be written"),
        (["--json", "nowhere/result.json"], "cannot be written"),
    ],
)
def test_a_result_that_cannot_be_kept_is_told(
    arguments: list[str],
    words: str,
    instant: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["bench", "instant", *arguments]) == 1
    assert words in capsys.readouterr().err


def test_without_matplotlib_it_says_what_to_install(
    instant: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert main(["bench", "instant", "--plot", str(tmp_path / "result.svg")]) == 1
    assert "pip install matplotlib" in capsys.readouterr().err


def test_the_options() -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    options = parser.parse_args(["viewers", "--counts", "0", "2", "--seconds", "1"])
    assert (options.counts, options.seconds, options.clip) == ([0, 2], 1.0, None)
    assert callable(options.run)


def test_the_server_loads_none_of_it() -> None:
    program = "import sys, server.app; print(*[name for name in sys.modules if name.startswith('server.bench')])"
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1]
    )
    assert result.stdout.strip() == ""
