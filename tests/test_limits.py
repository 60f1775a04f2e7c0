"""How much one client may have and send: places for sessions, bodies that crawl, bodies that would unpack to more."""

from __future__ import annotations

import asyncio
import gzip
import logging
import socket
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest
import websockets

from server import connections, serving
from server.api import problems
from server.config import Settings
from server.errors import TooManyRequests, Unavailable
from server.limits import Place, require_room
from server.metrics import Metrics
from server.rates import Rate
from server.strangers import Strangers

from .live import Live, live
from .offers import OFFERS
from .peers import Client, PatternTrack
from .wait import until

VIEWER = Place("viewer", "1", "10.0.0.1")
LIMITS = Settings(
    max_sessions=8,
    max_sessions_per_address=5,
    max_viewers_per_camera=3,
    max_connecting=4,
    max_connecting_per_address=2,
)


def standing(place: Place, count: int) -> list[Place]:
    return [replace(place, is_connecting=False)] * count


@pytest.mark.parametrize(
    ("taken", "refusal"),
    [
        ([*standing(VIEWER, 2), VIEWER], Unavailable),
        (standing(replace(VIEWER, camera_id="2"), 5), TooManyRequests),
        (standing(replace(VIEWER, camera_id="2", address="10.0.0.2"), 8), Unavailable),
        ([VIEWER, VIEWER], TooManyRequests),
        ([replace(VIEWER, camera_id="2", address=f"10.0.0.{n}") for n in range(2, 6)], Unavailable),
    ],
    ids=["viewers of one camera", "one address", "all", "connecting from one address", "connecting"],
)
def test_one_too_many(taken: list[Place], refusal: type[TooManyRequests | Unavailable]) -> None:
    with pytest.raises(refusal) as caught:
        require_room(LIMITS, taken, VIEWER)
    assert int(caught.value.headers["Retry-After"]) > 0
    require_room(LIMITS, taken[2:], VIEWER)
    if refusal is TooManyRequests:
        require_room(LIMITS, taken, replace(VIEWER, address="10.0.0.9"))


def test_viewers_do_not_keep_the_camera_out() -> None:
    require_room(LIMITS, standing(VIEWER, 3), replace(VIEWER, kind="publisher", address="10.0.0.2"))


def test_a_network_of_ipv6_is_one_asker() -> None:
    rate = Rate(1.0, 2, clock=lambda: 0.0)
    assert [rate.wait_s(f"2001:db8::{n}") for n in range(3)] == [0.0, 0.0, 1.0]
    assert rate.wait_s("2001:db8:0:1::1") == 0.0


async def test_a_school_behind_one_address_and_a_client_that_never_stops(tmp_path: Path) -> None:
    """A hundred pages open at once; whoever goes on and on is told to wait, and the picture of the others goes on."""
    limits = {"requests_per_second": 0.01, "requests_at_once": 102, "max_connecting_per_address": 100}
    async with live(tmp_path, **limits) as server, AsyncExitStack() as stack:
        publisher, watcher = Client(server.http), Client(server.http)
        for client in (publisher, watcher):
            stack.push_async_callback(client.close)
        await publisher.publish(PatternTrack())
        seen = await watcher.view()
        await until(lambda: seen.frames > 0, what="the watcher's picture")
        body = {"sdp": OFFERS["view"][0], "type": "offer"}
        answers = await asyncio.gather(*(server.http.post("/webrtc/viewer", json=body) for _ in range(100)))
        assert {each.status_code for each in answers} == {200}
        refused = [await server.http.post(door) for door in ("/webrtc/viewer", "/whep/1", "/webrtc/streamer")]
        assert 429 in {each.status_code for each in refused}
        assert all(int(each.headers["Retry-After"]) > 0 for each in refused if each.status_code == 429)
        frames = seen.frames
        await until(lambda: seen.frames > frames + 10, what="the watcher's picture goes on")


async def test_one_address_does_not_take_every_place(tmp_path: Path) -> None:
    async with live(tmp_path, max_connecting_per_address=1, insecure=True) as server:
        body = {"sdp": OFFERS["view"][0], "type": "offer"}
        assert (await server.http.post("/webrtc/viewer", json=body)).status_code == 200
        refused = await server.http.post("/webrtc/viewer", json=body)
        assert refused.status_code == 429
        assert refused.headers["retry-after"]
        # Of the trusted proxy's clients each counts for itself.
        other = {"X-Forwarded-For": "203.0.113.7"}
        assert (await server.http.post("/webrtc/viewer", json=body, headers=other)).status_code == 200


async def raw(server: Live, *parts: bytes) -> bytes:
    """What comes back for bytes sent as they are, until the server closes."""
    host, port = server.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"".join(parts))
    try:
        return await asyncio.wait_for(reader.read(), 15)
    finally:
        writer.close()
        await writer.wait_closed()


async def test_bodies_that_crawl_or_are_packed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(problems, "BODY_PATIENCE_S", 0.3)
    monkeypatch.setattr(problems, "LINGER_S", 0.1)
    head = b"POST /webrtc/viewer HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    async with live(tmp_path) as server:
        for rest in (b'Content-Length: 1000\r\n\r\n{"', b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n"):
            answer = await raw(server, head, rest)
            assert answer.startswith(b"HTTP/1.1 408 ")
            assert b"application/problem+json" in answer
        endless = [b"Transfer-Encoding: chunked\r\n\r\n", (b"4000\r\n" + b"x" * 0x4000 + b"\r\n") * 5]
        assert (await raw(server, head, *endless)).startswith(b"HTTP/1.1 413 ")
        bomb = gzip.compress(bytes(30_000_000))
        packed = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
        refused = await server.http.post("/webrtc/viewer", content=bomb, headers=packed)
        assert (refused.status_code, refused.headers["accept-encoding"]) == (415, "identity")


async def test_connections_that_say_nothing_are_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does one that has been answered wait for ever for the rest of its next request."""
    monkeypatch.setattr(connections, "HEADERS_WITHIN_S", 0.5)
    whole = b"GET /webrtc/nothing HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    async with live(tmp_path) as server:
        assert await raw(server) == b""
        assert await raw(server, b"GET / HTTP/1.1\r\nHost: 127") == b""
        assert (await raw(server, whole, b"GET / HT")).startswith(b"HTTP/1.1 404 ")
        assert (await server.http.get("/api/cameras")).status_code == 200


async def test_one_address_holds_only_so_many_connections(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page's WebSocket counts while it is open, and no longer."""
    monkeypatch.setattr(connections, "MAX_CONNECTIONS_PER_ADDRESS", 2)
    async with live(tmp_path, trusted_proxies=()) as server:
        events = server.url.replace("http", "ws") + "/ws/events"
        async with websockets.connect(events), websockets.connect(events):
            with pytest.raises((OSError, websockets.WebSocketException)):
                await websockets.connect(events)
        async with websockets.connect(events) as socket:
            await socket.recv()


async def test_a_message_that_unpacks_to_more(tmp_path: Path) -> None:
    async with live(tmp_path) as server:
        events = server.url.replace("http", "ws") + "/ws/events"
        async with websockets.connect(events, compression="deflate") as socket:
            await socket.send("x" * (serving.MAX_MESSAGE_BYTES + 1))
            await until(lambda: socket.close_code == 1009, what="it is refused as too big")


def test_the_log_has_one_line_a_minute_of_strangers(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    metrics, now = Metrics(), [0.0]
    stranger = Strangers(metrics, clock=lambda: now[0])
    for _ in range(150_000):
        now[0] += 2**-10
        stranger()
    assert [each.message.split()[0] for each in caplog.records] == ["61440", "61440"]
    assert metrics.strange_datagrams._value.get() == 150_000


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
async def test_the_shared_port_counts_strangers(tmp_path: Path, address: str) -> None:
    """As the server runs: one port for all, over IPv6 as well."""
    async with live(tmp_path, interfaces=(address,)) as server, AsyncExitStack() as stack:
        publisher = Client(server.http)
        stack.push_async_callback(publisher.close)
        await publisher.publish(PatternTrack())
        port = server.parts.sessions._ports.port  # type: ignore[attr-defined]
        total = server.parts.metrics.strange_datagrams._value
        before = total.get()
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as thrower:
            for number in range(1_000):
                thrower.sendto((b"", b"\0", b"\x80" * 30, b"\x16\xfe\xfd" + bytes(40))[number % 4], (address, port))
                if not number % 50:
                    await asyncio.sleep(0)
        await until(lambda: total.get() >= before + 1_000, what="all are counted")
        assert server.parts.sessions.counts() == {"publisher": 1}
