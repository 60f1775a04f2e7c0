"""One UDP port for all sessions, a range, or the system's choice: who may send where, on real sockets."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import aioice.ice
import pytest
from aioice import stun
from aioice.utils import random_transaction_id
from aiortc import RTCPeerConnection, RTCSessionDescription

from server.config import Settings
from server.errors import ConfigError
from server.rtc_compat import SharedPort, installed, shared_port
from tests.live import Live, live
from tests.peers import Client, Counter, PatternTrack, new_peer
from tests.wait import until

HERE, THERE = ("10.0.0.1", 4000), ("10.0.0.2", 5000)


def ports(sdp: str) -> set[int]:
    return {int(port) for port in re.findall(r"a=candidate:\S+ \d \S+ \d+ \S+ (\d+) typ host", sdp)}


def has_a_picture(received: Counter) -> bool:
    return received.frames > 3


def strangers(server: Live) -> float:
    return server.parts.metrics._registry.get_sample_value("surveillx_strange_datagrams_total") or 0


async def opened(server: Live, stack: AsyncExitStack, camera: str = "1", *, viewers: int = 1) -> list[Client]:
    """A publisher and viewers, all with a picture."""
    clients = [Client(server.http, camera) for _ in range(viewers + 1)]
    for client in clients:
        stack.push_async_callback(client.close)
    await clients[0].publish(PatternTrack())
    for client in clients[1:]:
        received = await client.view()
        await until(partial(has_a_picture, received), 20, "a picture")
    return clients


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
async def test_all_sessions_have_one_port(tmp_path: Path, address: str) -> None:
    async with live(tmp_path, interfaces=(address,), cameras=("1", "2")) as server, AsyncExitStack() as stack:
        clients = [*await opened(server, stack, viewers=2), *await opened(server, stack, "2")]
        found = {port for client in clients for port in ports(client.peer.remoteDescription.sdp)}
        assert len(found) == 1
        before = strangers(server)
        family = socket.AF_INET6 if address == "::1" else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as stranger:
            for nonsense in (b"", b"\x00", b"\x00\x01" + bytes(18), b"\x80\xe0" + bytes(40), b"\x16" + bytes(90)):
                stranger.sendto(nonsense, (address, *found))
            await until(lambda: strangers(server) >= before + 5, 5, "strangers are counted")
            stranger.setblocking(False)
            with pytest.raises(BlockingIOError):
                stranger.recv(100)
        seen = clients[1].received
        assert seen is not None
        so_far = seen.frames
        await clients[2].close()
        await until(lambda: seen.frames > so_far + 5, 10, "one that leaves takes nobody with it")


async def test_behind_a_nat_the_public_address_has_the_same_port(tmp_path: Path) -> None:
    async with live(tmp_path, public_address="203.0.113.5") as server, AsyncExitStack() as stack:
        clients = await opened(server, stack)
        answer = clients[1].peer.remoteDescription.sdp
        assert re.findall(r" (\S+) \d+ typ host", answer) == ["127.0.0.1", "203.0.113.5"]
        assert len(ports(answer)) == 1


async def test_a_range_and_the_systems_choice(tmp_path: Path) -> None:
    async with live(tmp_path / "a", media_ports="42100-42103") as server, AsyncExitStack() as stack:
        clients = await opened(server, stack, viewers=1)
        used = [port for client in clients for port in ports(client.peer.remoteDescription.sdp)]
        assert len(set(used)) == 2
        assert all(42100 <= port <= 42103 for port in used)
        with socket.socket(type=socket.SOCK_DGRAM) as first, socket.socket(type=socket.SOCK_DGRAM) as second:
            for other, port in zip((first, second), set(range(42100, 42104)) - set(used), strict=True):
                other.bind(("127.0.0.1", port))
            peer = new_peer()
            peer.addTransceiver("video", "recvonly")
            await peer.setLocalDescription(await peer.createOffer())
            full = await server.http.post(
                "/webrtc/viewer", json={"sdp": peer.localDescription.sdp, "type": "offer", "camera_id": "1"}
            )
            assert (full.status_code, full.headers["retry-after"]) == (503, "10")
            assert "UDP port" in full.json()["detail"]
            await peer.close()
    async with live(tmp_path / "b", media_ports="ephemeral") as server, AsyncExitStack() as stack:
        clients = await opened(server, stack)
        assert len({port for client in clients for port in ports(client.peer.remoteDescription.sdp)}) == 2


async def test_a_port_that_is_taken_is_replaced_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        taken = other.getsockname()[1]
        async with live(tmp_path, media_ports=str(taken)) as server, AsyncExitStack() as stack:
            clients = await opened(server, stack)
            assert taken not in ports(clients[0].peer.remoteDescription.sdp)
    assert f"UDP port {taken} of 127.0.0.1 cannot be had" in caplog.text
    assert "SURVEILLX_MEDIA_PORTS" in caplog.text


@pytest.mark.parametrize("ports", ["", "all", "-1", "70000", "9-8", "1-2-3", "8189,8190"])
def test_what_is_no_port_is_refused(ports: str) -> None:
    with pytest.raises(ConfigError, match="50000-50100"):
        Settings(media_ports=ports)


@asynccontextmanager
async def two_sessions() -> AsyncIterator[tuple[Any, list[aioice.ice.Connection], list[int]]]:
    """A shared port on loopback with two answering peers, and how many strange datagrams it counted."""
    strange = [0]

    def count() -> None:
        strange[0] += 1

    shared, peers = SharedPort(0, count), [new_peer(), new_peer()]
    offering = new_peer()
    offering.addTransceiver("video", "sendonly")
    await offering.setLocalDescription(await offering.createOffer())
    # Nobody to check by themselves: what arrives is what the test sends.
    offer = re.sub(r"a=(candidate:.*|end-of-candidates)\r\n", "", offering.localDescription.sdp)
    try:
        for peer in peers:
            with installed(("127.0.0.1",)):
                await peer.setRemoteDescription(RTCSessionDescription(offer, "offer"))
                shared.use(peer)
                await peer.setLocalDescription(await peer.createAnswer())
        port = next(iter(shared._ports.values()))
        yield port, [connection_of(peer) for peer in peers], strange
    finally:
        for peer in (*peers, offering):
            await peer.close()
        shared.close()


def connection_of(peer: RTCPeerConnection) -> aioice.ice.Connection:
    [transport] = vars(peer)["_RTCPeerConnection__iceTransports"]
    connection: aioice.ice.Connection = transport.iceGatherer._connection
    return connection


def check(connection: aioice.ice.Connection, password: str | None = None) -> bytes:
    """A browser's check of this session."""
    request = stun.Message(stun.Method.BINDING, stun.Class.REQUEST, random_transaction_id())
    request.attributes["USERNAME"] = f"{connection.local_username}:{connection.remote_username}"
    request.attributes["PRIORITY"] = 7
    request.add_message_integrity((password or connection.local_password).encode())
    return bytes(request)


async def test_only_the_sessions_password_opens_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    async with two_sessions() as (port, (first, second), strange):
        taken: list[tuple[object, bytes]] = []
        monkeypatch.setattr(
            aioice.ice.StunProtocol,
            "datagram_received",
            lambda self, data, addr: taken.append((self.receiver, data)),
        )
        media = b"\x80" + bytes(40)
        port.datagram_received(media, HERE)
        port.datagram_received(check(first, "guessed-password-of-22"), HERE)
        port.datagram_received(check(first)[:-1], HERE)
        port.datagram_received(media, HERE)
        assert (taken, strange) == ([], [4])
        wanted = check(first)
        port.datagram_received(wanted, HERE)
        port.datagram_received(media, HERE)
        port.datagram_received(media, THERE)
        assert taken == [(first, wanted), (first, media)]
        assert strange == [5]
        # Somebody with a session of his own, and somebody else's address in his datagrams.
        port.datagram_received(check(second), HERE)
        port.datagram_received(media, HERE)
        assert taken[-1] == (first, media)
        assert strange == [6]


async def test_an_address_changes_hands_when_its_session_is_silent_or_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    async with two_sessions() as (port, (first, second), strange):
        port.datagram_received(check(first), HERE)
        assert port._owners[HERE].protocol.receiver is first
        monkeypatch.setattr(shared_port, "OWNED_FOR_S", 0.0)
        port.datagram_received(check(second), HERE)
        assert port._owners[HERE].protocol.receiver is second
        monkeypatch.setattr(shared_port, "OWNED_FOR_S", 100.0)
        await second.close()
        assert HERE not in port._owners
        assert list(port._protocols) == [first.local_username]
        port.datagram_received(check(first), HERE)
        assert port._owners[HERE].protocol.receiver is first
        assert strange == [0]


async def test_one_session_has_only_so_many_addresses() -> None:
    async with two_sessions() as (port, (first, _), strange):
        for number in range(shared_port.ADDRESSES_OF_ONE_SESSION + 5):
            port.datagram_received(check(first), ("10.0.0.9", 1000 + number))
        assert len(port._owners) == shared_port.ADDRESSES_OF_ONE_SESSION
        assert len(first._early_checks) + len(first._remote_candidates) <= shared_port.ADDRESSES_OF_ONE_SESSION + 20
        assert strange == [5]


async def test_an_answer_goes_to_whoever_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    async with two_sessions() as (port, (_, second), strange):
        [protocol] = second._protocols
        request = stun.Message(stun.Method.BINDING, stun.Class.REQUEST, random_transaction_id())
        asking = asyncio.create_task(protocol.request(request, HERE, b"their-password"))
        await asyncio.sleep(0)
        monkeypatch.setattr(second, "remote_password", "their-password")
        answer = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE, request.transaction_id)
        answer.attributes["XOR-MAPPED-ADDRESS"] = THERE
        answer.add_message_integrity(b"their-password")
        port.datagram_received(bytes(answer), HERE)
        assert (await asyncio.wait_for(asking, 5))[1] == HERE
        assert port._owners[HERE].protocol is protocol
        port.datagram_received(bytes(answer), THERE)
        assert strange == [1], "nobody asked for it any more"
