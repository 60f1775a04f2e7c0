"""The relay: everybody gets every packet, a slow viewer loses only its own, keyframes are shared."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiortc.mediastreams import MediaStreamError
from av.packet import Packet

from server.encode import TIME_BASE
from server.relay import KeyframeBroker, Relay, RelayTrack

from .wait import until


def packet(number: int, keyframe: bool = False) -> Packet[Any]:
    made: Packet[Any] = Packet(bytes([number % 256]))
    made.pts, made.time_base, made.is_keyframe = number * 3000, TIME_BASE, keyframe
    return made


def new_relay(queue_packets: int = 8) -> Relay:
    return Relay(queue_packets=queue_packets, keyframe_interval_s=0.5)


async def join(relay: Relay) -> tuple[RelayTrack, asyncio.Task[Packet[Any]]]:
    """A viewer that waits for its first packet."""
    viewers = relay.viewers
    track = relay.subscribe()
    first = asyncio.create_task(track.recv())
    await until(lambda: relay.viewers == viewers + 1)
    return track, first


async def test_every_viewer_gets_the_same_packet_objects() -> None:
    relay = new_relay()
    viewers = [await join(relay) for _ in range(3)]
    key = packet(0, keyframe=True)
    relay.publish(key)
    for track, first in viewers:
        assert await first is key
        track.stop()
    assert relay.viewers == 0


async def test_a_viewer_starts_at_a_keyframe() -> None:
    relay = new_relay()
    _, first = await join(relay)
    assert relay.keyframes.due(), "joining asks for one"
    relay.publish(packet(1))
    relay.publish(packet(2))
    key = packet(3, keyframe=True)
    relay.publish(key)
    assert await first is key
    assert relay.dropped == 2


async def test_a_viewer_joining_just_after_a_keyframe_shares_it() -> None:
    relay = new_relay()
    await join(relay)
    sent = [packet(0, keyframe=True), packet(1), packet(2)]
    for each in sent:
        relay.publish(each)
    track, first = await join(relay)
    assert [await first, await track.recv(), await track.recv()] == sent
    assert not relay.keyframes.due()


async def test_a_slow_viewer_skips_to_the_next_keyframe_and_the_others_lose_nothing() -> None:
    relay = new_relay(queue_packets=4)
    slow, slow_first = await join(relay)
    quick, quick_first = await join(relay)
    relay.publish(packet(0, keyframe=True))
    await slow_first
    await quick_first
    for number in range(1, 8):
        relay.publish(packet(number))
        assert (await quick.recv()).pts == number * 3000
    relay.publish(packet(8, keyframe=True))
    relay.publish(packet(9))
    assert [(await slow.recv()).pts, (await slow.recv()).pts] == [8 * 3000, 9 * 3000]
    assert relay.dropped == 7
    assert [(await quick.recv()).pts, (await quick.recv()).pts] == [8 * 3000, 9 * 3000]


async def test_a_stopped_track_ends_its_reader_with_the_one_error_aiortc_understands() -> None:
    relay = new_relay()
    track, first = await join(relay)
    track.stop()
    with pytest.raises(MediaStreamError):
        await first
    with pytest.raises(MediaStreamError):
        await track.recv()
    assert relay.viewers == 0


async def test_the_first_viewer_wakes_the_encoder() -> None:
    woken: list[int] = []
    relay = Relay(queue_packets=8, keyframe_interval_s=0.5, on_first=lambda: woken.append(1))
    await join(relay)
    await join(relay)
    assert woken == [1]


def test_keyframes_are_granted_at_most_once_in_the_interval() -> None:
    now = [100.0]
    broker = KeyframeBroker(0.5, clock=lambda: now[0])
    assert not broker.due()
    for _ in range(100):
        broker.request()
    assert broker.due()
    broker.granted()
    assert not broker.due()
    broker.request()
    assert not broker.due(), "too soon after the last one"
    now[0] += 0.5
    assert broker.due(), "the wish is kept"
