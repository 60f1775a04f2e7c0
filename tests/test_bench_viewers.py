"""The benches of viewers: they join each kind of server and count what it sends; a recording is played as it was."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest
from aiortc.rtp import RtpPacket

from server.bench import janus, tape, viewers
from server.bench.join import Burst, burst, render
from server.bench.latency import own_server
from server.bench.processes import cpu_seconds, on_cores, started
from server.bench.viewers import Wish, ask
from server.sample import CLIP

from .wait import until_sync

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
needs_janus = pytest.mark.skipif(not janus.is_installed(), reason="Janus is not installed")


@linux
def test_all_servers_in_one_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(viewers, "SETTLE_S", 0.0)
    monkeypatch.setattr(viewers, "TAPE_S", 1.0)
    result = viewers.run(Wish(0.5, 1, str(CLIP), counts=[1, 2], janus_counts=[1, 2], stock_counts=[1]))
    measured = {row[0]: row for row in result.rows}
    assert measured[viewers.OURS][1] == "2"
    assert measured[viewers.JANUS][1] == ("2" if janus.is_installed() else "not installed: apt-get install janus")
    assert all(point["cores"] > 0 for each in result.figures["points"][viewers.OURS] for point in each)


@linux
def test_viewers_who_join_at_once_all_have_a_picture() -> None:
    with own_server(recognition_every=0) as server, started("server.bench.camera", server.url, str(CLIP)):
        viewers.wait_for_camera(server)
        at_once = burst(server.url, 5)
        assert len(at_once.waits_s) == 5
        assert all(wait_s > 0 for wait_s in at_once.waits_s)
        assert at_once.keyframes >= 1
        assert cpu_seconds(server.pid) > 0


def packets(*pictures: int) -> list[RtpPacket]:
    return [
        RtpPacket(payload_type=97, marker=int(index == count - 1), timestamp=number, ssrc=7, payload=b"%d" % index)
        for number, count in enumerate(pictures)
        for index in range(count)
    ]


def test_a_tape_keeps_pictures_and_plays_them_in_a_loop(tmp_path: Path) -> None:
    file = tmp_path / "tape"
    tape.write(file, packets(3, 1))
    assert [len(picture) for picture in tape.read(file)] == [3, 1]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as janus_port:
        janus_port.bind(("127.0.0.1", 0))
        janus_port.settimeout(20)
        with tape.playing(file, janus_port.getsockname()[1]):
            heard = [RtpPacket.parse(janus_port.recv(1500)) for _ in range(9)]
    assert [each.payload for each in heard] == [b"0", b"1", b"2", b"0"] * 2 + [b"0"]
    assert [each.sequence_number for each in heard] == list(range(9))
    assert [each.timestamp for each in heard[::4]] == [0, 6000, 12000]
    assert {(each.payload_type, each.ssrc) for each in heard} == {(tape.PAYLOAD_TYPE, 1)}


@needs_janus
def test_viewers_of_janus_count_what_it_is_fed(tmp_path: Path) -> None:
    file = tmp_path / "tape"
    tape.write(file, packets(2, 2, 2))
    port = janus.free_port(socket.SOCK_DGRAM)
    with (
        janus.janus(port) as server,
        tape.playing(file, port),
        started("server.bench.load", server.url, "janus") as load,
    ):
        assert len(ask(load, "2")) == 2
        until_sync(lambda: min(ask(load, "count")) > 5, 20, "pictures at both viewers")


@linux
def test_processes_stay_on_their_cores() -> None:
    (first, *_) = before = sorted(os.sched_getaffinity(0))
    with on_cores({first}), started("server.bench.stock") as server:
        assert os.sched_getaffinity(server.pid) == {first}
    assert sorted(os.sched_getaffinity(0)) == before


def test_the_table_of_joins() -> None:
    result = render([{"answered": 20.0, "shown": 140.0}], Burst([0.5, 1.5], 2), "1.2.3")
    assert result.rows[1:] == [
        ("click to first decoded picture", "1", "140", "140"),
        ("many within a second: to first whole picture", "2", "1000", "1500"),
    ]
    assert result.notes == ["keyframes until all 2 had their picture: 2"]
    assert [goal.is_kept for goal in result.goals] == [True] * 4
