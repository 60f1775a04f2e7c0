"""Datagrams that nobody asked for (FAULTS 22, 23), and RTP and RTCP of a peer that went wrong: nothing of it disturbs.

Strangers throw from sockets of their own at the real media ports. What a peer itself might send is given to the same
functions that get it once it is decrypted: SRTP lets nobody else through.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aioice import stun
from aiortc import RTCPeerConnection
from hypothesis import given
from hypothesis import strategies as st

from server import rtc_compat
from server.rtc_compat import UplinkRepair

from .peers import Counter, PatternTrack, connect, new_peer
from .wait import until

SECONDS = 1.0
PER_S = 1_000
CONNECTS = 5

ALERT = bytes([21, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 2, 40])  # handshake_failure, epoch 0
CLIENT_HELLO = bytes(
    [22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 54, 1, 0, 0, 42, 0, 0, 0, 0, 0, 0, 0, 42, 254, 253]
) + bytes(40)


def request(**attributes: Any) -> bytes:
    """A check that does not know the session's password."""
    message = stun.Message(stun.Method.BINDING, stun.Class.REQUEST, attributes={"PRIORITY": 1, **attributes})
    message.add_message_integrity(b"not the password")
    return bytes(message)


WELL_FORMED = (
    request(),
    request(USERNAME="a:b"),
    bytes(stun.Message(stun.Method.BINDING, stun.Class.REQUEST)),
    bytes(stun.Message(stun.Method.BINDING, stun.Class.RESPONSE)),
    bytes(stun.Message(stun.Method.ALLOCATE, stun.Class.ERROR, attributes={"ERROR-CODE": (400, "no")})),
    ALERT,
    CLIENT_HELLO,
    bytes([128, 96]) + bytes(30),
    bytes([129, 201, 0, 7]) + bytes(28),
)


@st.composite
def stranger_datagrams(draw: st.DrawFn) -> bytes:
    """Nothing, anything, or a well-formed one with some bytes changed or its end missing."""
    if draw(st.booleans()):
        return draw(st.binary(max_size=1_400))
    data = bytearray(draw(st.sampled_from(WELL_FORMED)))
    for _ in range(draw(st.integers(0, 6))):
        data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    return bytes(data[: draw(st.integers(0, len(data)))])


def media_addresses(peer: RTCPeerConnection) -> list[tuple[Any, ...]]:
    transport: Any = peer.getTransceivers()[0].receiver.transport.transport
    return [each.transport.get_extra_info("sockname") for each in transport._connection._protocols]


async def throw(address: tuple[Any, ...], datagrams: Sequence[bytes], seconds: float) -> int:
    """Send `PER_S` of them a second; how many."""
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    sent, begun = 0, time.monotonic()
    with socket.socket(family, socket.SOCK_DGRAM) as stranger:
        while (elapsed := time.monotonic() - begun) < seconds:
            while sent < elapsed * PER_S:
                stranger.sendto(datagrams[sent % len(datagrams)], address)
                sent += 1
            await asyncio.sleep(0.01)
    return sent


@asynccontextmanager
async def call() -> AsyncIterator[tuple[RTCPeerConnection, RTCPeerConnection, Counter]]:
    """A connected pair: the first sends a pattern, the second counts frames as the server's publisher session does."""
    sender, receiver = new_peer(), new_peer()
    repairs: list[UplinkRepair] = []
    try:
        sender.addTrack(PatternTrack())
        receiver.on("track", lambda _track: repairs.append(UplinkRepair(receiver.getReceivers()[0])))
        await connect(sender, receiver)
        counter = Counter(receiver.getReceivers()[0].track)
        await until(lambda: counter.frames > 5, what="the first frames")
        yield sender, receiver, counter
    finally:
        await sender.close()
        await receiver.close()


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
async def test_a_thousand_datagrams_a_second_of_strangers(address: str, caplog: pytest.LogCaptureFixture) -> None:
    """FAULTS 22: each is counted, none is answered or logged, the picture goes on."""
    strange: list[int] = []
    caplog.set_level(logging.INFO)
    with rtc_compat.installed([address], lambda: strange.append(1)):
        async with call() as (_, receiver, counter):
            frames = counter.frames
            sent = await throw(media_addresses(receiver)[0], (b"", b"\0", b"\1\1\0\0", *WELL_FORMED), SECONDS)
            await until(lambda: len(strange) == sent, what=f"all of {sent} are counted")
            await until(lambda: counter.frames > frames + 10, what="the picture goes on")
            assert receiver.connectionState == "connected"
    assert not [each for each in caplog.records if each.name.startswith("surveillx")]


async def test_nothing_is_sent_back_to_strangers() -> None:
    strange: list[int] = []
    with rtc_compat.installed(["127.0.0.1"], lambda: strange.append(1)):
        async with call() as (_, receiver, _counter):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
                stranger.setblocking(False)
                for datagram in WELL_FORMED:
                    stranger.sendto(datagram, media_addresses(receiver)[0])
                await until(lambda: len(strange) == len(WELL_FORMED), what="all are counted")
                with pytest.raises(BlockingIOError):
                    stranger.recv(1)


@given(datagrams=st.lists(stranger_datagrams(), max_size=200))
async def test_any_datagram_of_a_stranger(running_call: tuple[Any, list[int]], datagrams: list[bytes]) -> None:
    receiver, strange = running_call
    before = len(strange)
    address = media_addresses(receiver)[0]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        for datagram in datagrams:
            stranger.sendto(datagram, address)
    await until(lambda: len(strange) == before + len(datagrams), what="all are counted")
    assert receiver.connectionState == "connected"


@pytest.fixture
async def running_call() -> AsyncIterator[tuple[Any, list[int]]]:
    strange: list[int] = []
    with rtc_compat.installed(["127.0.0.1"], lambda: strange.append(1)):
        async with call() as (_, receiver, counter):
            yield receiver, strange
            frames = counter.frames
            await until(lambda: counter.frames > frames + 10, what="the picture goes on")


async def forge(sender: RTCPeerConnection, receiver: RTCPeerConnection, *, is_spoofed: bool) -> None:
    """Throw forged DTLS at both ends until they stand; spoofed ones bear the other end's address."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        while "connected" not in (sender.connectionState, receiver.connectionState):
            for peer, other in ((sender, receiver), (receiver, sender)):
                transport: Any = (
                    other.getTransceivers()[0].receiver.transport.transport if other.getTransceivers() else None
                )
                for address in media_addresses(peer) if peer.getTransceivers() else ():
                    if is_spoofed and transport is not None:
                        for protocol in transport._connection._protocols:
                            protocol.transport.sendto(ALERT, address)
                    else:
                        stranger.sendto(ALERT, address)
                        stranger.sendto(CLIENT_HELLO, address)
            await asyncio.sleep(0.001)


@pytest.mark.parametrize("is_spoofed", [False, True], ids=["strangers", "the peer's address"])
async def test_forged_handshakes(is_spoofed: bool) -> None:
    """FAULTS 23: a forged alert or ClientHello while a connection is made does not prevent it."""
    strange: list[int] = []
    with rtc_compat.installed(["127.0.0.1"], lambda: strange.append(1)):
        for _ in range(CONNECTS):
            sender, receiver = new_peer(), new_peer()
            sender.addTrack(PatternTrack())
            forger = asyncio.create_task(forge(sender, receiver, is_spoofed=is_spoofed))
            try:
                await connect(sender, receiver)
                await until(
                    lambda sender=sender, receiver=receiver: (
                        sender.connectionState == receiver.connectionState == "connected"
                    ),  # type: ignore[misc]
                    what="both are connected",
                )
            finally:
                forger.cancel()
                await asyncio.gather(forger, return_exceptions=True)
                await sender.close()
                await receiver.close()
    assert strange
