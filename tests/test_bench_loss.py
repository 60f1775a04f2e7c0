"""`surveillx bench loss` works: a short run of each side, and arithmetic. Nothing here says how good a figure is."""

from __future__ import annotations

import argparse
import os
from fractions import Fraction

import av
import numpy as np
import pytest

from server.bench import add_arguments, downlinks, loss, uplinks
from server.bench.downlinks import Look, Watched
from server.bench.namespaces import own_network
from server.bench.processes import BenchError
from server.bench.uplinks import Row, Stretch


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A small moving picture, so that a busy machine keeps up."""
    file = tmp_path_factory.mktemp("clips") / "moving.mp4"
    with av.open(str(file), "w") as container:
        stream = container.add_stream("mpeg4", rate=30)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
        for number in range(15):
            frame = av.VideoFrame.from_ndarray(np.full((360, 640, 3), number * 15, np.uint8), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 30)
            container.mux(stream.encode(frame.reformat(format="yuv420p")))
        container.mux(stream.encode())
    return str(file)


def test_a_bad_uplink_is_measured(clip: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uplinks, "WARM_S", 0.5)
    with own_network() as has_one:  # whether this machine lets us
        pass
    result = loss.run(2.0, clip, ["up-5"])
    assert result.figures["up-5"]["lost_by"] == ("nft" if has_one else "proxy")
    assert result.header[0] == "scenario"
    assert result.figures["up-5"]["sent"] > 10
    assert 0 < result.figures["up-5"]["share"] <= 1
    assert "of 1 goals met" in result.text()


def test_without_rights_the_proxy_loses(clip: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uplinks, "WARM_S", 0.5)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    result = loss.run(1.0, clip, ["up-5"])
    assert result.figures["up-5"]["lost_by"] == "proxy"
    assert "Random loss: by the proxy" in result.text()


def test_a_bad_downlink_is_measured(clip: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downlinks, "WARM_S", 0.5)
    result = loss.run(2.0, clip, ["down-5"])
    assert result.figures["down-5"]["fps"] > 0
    assert "Chromium" in result.versions


def test_no_such_scenario() -> None:
    with pytest.raises(BenchError, match=r"no scenario sideways. There are: up-0"):
        loss.run(1.0, "clip", ["sideways"])


def test_the_options() -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    options = parser.parse_args(["loss", "--only", "up-1", "down-5"])
    assert (options.only, options.seconds) == (["up-1", "down-5"], 30.0)


def test_the_table_says_what_was_not_met() -> None:
    rows = {
        "a": Row("one", "<= 1 s", "0.5 s", True, {"longest_gap_s": 0.5}),
        "b": Row("two", "<= 1 s", "2 s", False),
    }
    result = loss.render(rows, 3.0, {}, "proxy")
    assert [row[-1] for row in result.rows] == ["yes", "NO"]
    assert "1 of 2 goals met; 3 s each" in result.text()
    assert result.chart is not None
    assert result.chart.categories == ["a"]


def test_a_stretch() -> None:
    stretch = Stretch(10.0, 300, 297, 0.2, [1.0, 1.5, 4.0], 0.5, 1e6)
    assert stretch.share == 0.99
    assert stretch.gap_after(1.2) == pytest.approx(0.3)
    assert stretch.gap_after(9.0) == 10.0


def test_what_a_page_showed() -> None:
    def look(at: float, decoded: int, height: int = 720) -> Look:
        return Look(at, decoded, 1, 0, at / 100, height, "webrtc")

    seen = Watched([look(0, 0), look(1, 30), look(2, 30), look(3, 30), look(4, 40, 360), look(5, 70, 360)])
    assert seen.fps == 14
    assert seen.frozen_share == pytest.approx(0.01)
    assert seen.changed_height_after(1.5) == 2.5
    assert seen.picture_after(1.5) == 2.5
    assert seen.longest_still_after(0) == 3
    assert Watched([look(0, 0), look(1, 1)]).changed_height_after(0) is None
