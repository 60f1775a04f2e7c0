"""The bad line that tests and benches go through: it loses, delays and queues what it is told to, and nothing else."""

from __future__ import annotations

import asyncio
import json
import struct
from itertools import pairwise
from pathlib import Path

import pytest
from httpx import AsyncClient, TransportError
from websockets.asyncio.client import connect as websocket

from server.bench import link as link_module
from server.bench.impairment import Direction, Impairment, LosePacketForGood
from server.bench.link import Link, first_candidate, with_candidate, without_candidates
from server.bench.processes import started

from .live import live
from .peers import Client, PatternTrack
from .wait import until

SDP = "\r\n".join(
    [
        "v=0",
        "o=- 1 2 IN IP4 0.0.0.0",
        "m=video 5000 UDP/TLS/RTP/SAVPF 97",
        "c=IN IP4 10.0.0.1",
        "a=candidate:1 1 udp 2130706431 fe80::1 4999 typ host",
        "a=candidate:1 1 udp 2130706431 10.0.0.1 5000 typ host",
        "a=end-of-candidates",
        "m=application 0 UDP/DTLS/SCTP webrtc-datachannel",
        "c=IN IP4 0.0.0.0",
        "",
    ]
)


def passed(direction: Direction, count: int, size: int = 100) -> list[int]:
    """Which of `count` datagrams arrive at once."""
    arrived: list[int] = []
    for number in range(count):
        direction.carry(bytes(size), lambda _data, number=number: arrived.append(number))  # type: ignore[misc]
    return arrived


async def test_a_good_line_changes_nothing() -> None:
    assert passed(Direction(), 100) == list(range(100))


async def test_random_loss_is_repeatable_and_about_as_wished() -> None:
    first, again, other = (passed(Direction(seed, Impairment(loss=0.1)), 2000) for seed in (1, 1, 2))
    assert first == again != other
    assert 1700 < len(first) < 1900


async def test_bursts_are_in_a_row() -> None:
    arrived = passed(Direction(3, Impairment(burst=0.01, burst_length=10)), 1000)
    gaps = [after - before - 1 for before, after in pairwise(arrived) if after - before > 1]
    assert gaps
    assert all(gap >= 10 for gap in gaps)


async def test_a_blackout_loses_everything_while_it_lasts() -> None:
    direction = Direction()
    direction.impairment.dark = True
    assert passed(direction, 5) == []
    direction.impairment.dark = False
    assert passed(direction, 5) == [0, 1, 2, 3, 4]
    assert (direction.counted.datagrams, direction.counted.lost) == (10, 5)


async def test_a_slow_line_has_a_bounded_queue() -> None:
    direction = Direction(1, Impairment(rate_bps=8_000_000, queue_bytes=10_000))
    arrived = passed(direction, 100, size=1000)
    assert len(arrived) == 0
    assert direction.counted.lost >= 80
    await until(lambda: len(arrived) == 100 - direction.counted.lost)
    assert arrived[:10] == list(range(10))


async def test_delay_keeps_the_order_when_it_shrinks() -> None:
    direction = Direction(1, Impairment(delay_s=0.05))
    arrived = passed(direction, 3)
    direction.impairment.delay_s = 0.0
    direction.carry(b"last", lambda _: arrived.append(99))
    assert arrived == []
    await until(lambda: len(arrived) == 4)
    assert arrived == [0, 1, 2, 99]
    direction.close()


async def test_what_is_under_way_is_lost_when_the_line_goes() -> None:
    direction = Direction(1, Impairment(delay_s=60))
    arrived = passed(direction, 3)
    direction.close()
    assert arrived == []


def rtp(number: int, ssrc: int, size: int) -> bytes:
    return struct.pack("!BBHLL", 128, 97, number, 0, ssrc).ljust(size, b"\0")


def test_a_packet_lost_for_good_is_lost_with_its_repetitions() -> None:
    lose = LosePacketForGood(after=1)
    assert not lose(b"\x16DTLS")
    assert not lose(rtp(1, 7, 500))
    assert lose(rtp(2, 7, 600))
    assert not lose(rtp(3, 7, 600))
    assert lose(rtp(2, 7, 600))
    assert lose(rtp(900, 8, 602))
    assert not lose(rtp(901, 8, 502))
    assert lose.repeats == 2


async def test_pictures_are_counted_once() -> None:
    direction = Direction()
    for timestamp in (0xFFFFFF00, 0xFFFFFF00, 100, 0xFFFFFF00, 3100):
        direction.carry(struct.pack("!BBHLL", 128, 97, 1, timestamp, 7) + b"video", lambda _: None)
    assert direction.counted.pictures == 3


def test_descriptions_lead_through_the_line() -> None:
    assert first_candidate(SDP) == ("10.0.0.1", 5000)
    assert first_candidate(without_candidates(SDP)) is None
    rewritten = with_candidate(SDP, ("127.0.0.1", 4000)).splitlines()
    assert "m=video 4000 UDP/TLS/RTP/SAVPF 97" in rewritten
    assert "m=application 0 UDP/DTLS/SCTP webrtc-datachannel" in rewritten
    assert [line for line in rewritten if "candidate" in line] == [
        "a=candidate:1 1 udp 2130706431 127.0.0.1 4000 typ host"
    ]


async def test_publisher_and_viewer_go_through(tmp_path: Path) -> None:
    async with live(tmp_path) as server, Link(server.url) as link, AsyncClient(base_url=link.url) as http:
        publisher, viewer = Client(http), Client(http)
        try:
            await publisher.publish(PatternTrack())
            received = await viewer.view()
            await until(lambda: received.frames > 5, what="pictures through the line")
            assert link.up.counted.datagrams > 10
            assert link.down.counted.datagrams > 10
            await link.darken(True)
            with pytest.raises(TransportError):
                await http.get("/healthz")
            frames = link.down.counted.lost
            await until(lambda: link.down.counted.lost > frames + 50)
            before = received.frames
            await link.darken(False)
            assert (await http.get("/healthz")).status_code == 200
            await until(lambda: received.frames > before + 5, what="pictures after the blackout")
        finally:
            await viewer.close()
            await publisher.close()


async def test_pages_and_websockets_pass_unchanged(tmp_path: Path) -> None:
    async with live(tmp_path) as server, Link(server.url) as link, AsyncClient(base_url=link.url) as http:
        direct, through = await server.http.get("/"), await http.get("/")
        assert through.status_code == direct.status_code == 200
        assert (await http.get("/static/viewer.js")).content == (await server.http.get("/static/viewer.js")).content
        refused = await http.post("/webrtc/viewer", json={"sdp": "v=0", "type": "offer"})
        assert refused.status_code in (400, 404)
        async with websocket(f"ws{link.url[4:]}/ws/events?camera_id=1") as events:
            publisher = Client(http)
            try:
                await publisher.publish(PatternTrack())
                async with asyncio.timeout(10):
                    assert json.loads(await events.recv())["camera_id"] == "1"
            finally:
                await publisher.close()


async def test_a_cut_connection_leads_nowhere_and_a_new_one_gets_through(tmp_path: Path) -> None:
    async with live(tmp_path) as server, Link(server.url) as link, AsyncClient(base_url=link.url) as http:
        publisher = Client(server.http)
        first, second = Client(http), Client(http)
        try:
            await publisher.publish(PatternTrack())
            cut = await first.view()
            await until(lambda: cut.frames > 2)
            link.cut()
            came = link.up.counted.datagrams
            received = await second.view()
            await until(lambda: received.frames > 5)
            assert link.up.counted.datagrams > came
        finally:
            for client in (first, second, publisher):
                await client.close()


def test_a_link_of_its_own_process_obeys_lines() -> None:
    with started("server.bench.link", "http://127.0.0.1:9") as link:
        assert link.output.readline().startswith("Listening on http://127.0.0.1:")
        print(json.dumps({"up": {"loss": 0.5}, "cut": True, "lose": "up"}), file=link.input, flush=True)
        assert json.loads(link.output.readline())["up"] == {"datagrams": 0, "octets": 0, "lost": 0, "pictures": 0}


async def test_an_unknown_field_is_refused() -> None:
    async with Link("http://127.0.0.1:9") as link:
        with pytest.raises(AttributeError, match="no jitter"):
            await link_module.obey(link, {"up": {"jitter": 1}})
