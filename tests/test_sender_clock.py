"""When a publisher took its pictures, on the server's clock: told by real sender reports, and not told by odd ones."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from aiortc import RTCPeerConnection, RTCRtpReceiver
from av import VideoFrame

from server import rtc_compat
from server.publisher.reports import CaptureReports
from server.rtc_compat import SenderClock, UplinkRepair

from .peers import TIME_BASE, PatternTrack, connect, new_peer
from .wait import until

HELD_S = 0.3
NTP_2026 = 3_976_214_400


class HeldTrack(PatternTrack):
    """A camera whose pictures reach the encoder late, with the moment of their capture as timestamp."""

    async def recv(self) -> VideoFrame:
        frame = await super().recv()
        frame.pts, frame.time_base = round((time.monotonic() - HELD_S) / TIME_BASE), TIME_BASE
        return frame


async def ages_s(prepare: Callable[[RTCPeerConnection], object], wanted: int) -> list[float]:
    """How old so many pictures are said to be when they are complete, from the first one whose age is known."""
    sender, receiver = new_peer(), new_peer()
    sender.addTrack(HeldTrack())
    prepare(sender)
    clocks: list[SenderClock] = []
    ages: list[float] = []

    def take_over(_track: object) -> None:
        repaired: RTCRtpReceiver = receiver.getReceivers()[0]
        UplinkRepair(repaired)
        clocks.append(SenderClock(repaired))

    receiver.on("track", take_over)
    try:
        async with asyncio.timeout(20):
            await connect(sender, receiver)
            track = receiver.getReceivers()[0].track
            while len(ages) < wanted:
                frame: Any = await track.recv()
                rtp_timestamp = clocks[0].rtp_timestamp(frame.pts)
                received_at = clocks[0].received_at(rtp_timestamp)
                assert received_at is not None
                captured_at = clocks[0].captured_at(rtp_timestamp, received_at)
                if captured_at is not None:
                    ages.append(received_at - captured_at)
    finally:
        await receiver.close()
        await sender.close()
    return ages


async def test_reports_name_the_moment_of_capture() -> None:
    with rtc_compat.installed(["127.0.0.1"]):
        ages = await ages_s(lambda peer: CaptureReports(peer.getSenders()[0]), 30)
    assert min(ages) > HELD_S - 0.05, "what a picture waited before it was encoded counts"


async def test_without_the_hook_reports_name_the_moment_of_sending() -> None:
    with rtc_compat.installed(["127.0.0.1"]):
        ages = await ages_s(lambda _peer: None, 30)
    assert min(ages) < HELD_S - 0.05, "upstream's reports name the capture now: drop the hook"


async def test_round_trips_are_noted_only_with_the_hook() -> None:
    async def shortest() -> float:
        sender, receiver = new_peer(), new_peer()
        sender.addTrack(PatternTrack())
        try:
            await connect(sender, receiver)
            await until(lambda: sender.connectionState == "connected", what="the connection")
            transport: Any = sender.getSenders()[0].transport.transport
            return rtc_compat.ice.shortest_round_trip(transport._connection._nominated[1].protocol)
        finally:
            await receiver.close()
            await sender.close()

    with rtc_compat.installed(["127.0.0.1"]):
        assert 0 < await shortest() < 5
    assert await shortest() == 0


@pytest.fixture
def clock() -> SenderClock:
    """One whose receiver has no connection, and so no round trip."""
    receiver = RTCRtpReceiver.__new__(RTCRtpReceiver)
    connection = SimpleNamespace(_nominated={})
    transport = SimpleNamespace(transport=SimpleNamespace(_connection=connection))
    vars(receiver).update(_RTCRtpReceiver__jitter_buffer=None, _RTCRtpReceiver__transport=transport)
    return SenderClock(receiver)


def ntp(seconds: float) -> int:
    return int((NTP_2026 + seconds) * (1 << 32))


def test_nothing_is_known_before_the_first_report(clock: SenderClock) -> None:
    assert clock.captured_at(0, 100.0) is None
    clock.note(0, 0, 100.0)  # aiortc's first one, when nothing has been sent
    assert clock.captured_at(0, 100.0) is None


def test_the_fastest_report_counts(clock: SenderClock) -> None:
    for second, late_s in enumerate((0.2, 0.01, 0.3)):
        clock.note(ntp(second), 90_000 * second, 100.0 + second + late_s)
    assert clock.captured_at(90_000 * 2 + 9_000, 102.5) == pytest.approx(102.11, abs=1e-3)


def test_rtp_timestamps_wrap(clock: SenderClock) -> None:
    clock.note(ntp(0), (1 << 32) - 45_000, 100.0)
    assert clock.captured_at(45_000, 101.5) == pytest.approx(101.0, abs=1e-3)


def test_a_publisher_whose_clock_is_set_is_compared_anew(clock: SenderClock) -> None:
    clock.note(ntp(0), 0, 100.0)
    clock.note(ntp(-3599), 90_000, 101.0)
    assert clock.captured_at(90_000, 101.5) == pytest.approx(101.0, abs=1e-3)


@pytest.mark.parametrize("received_at", [99.0, 200.0])
def test_absurd_ages_are_not_told(clock: SenderClock, received_at: float) -> None:
    clock.note(ntp(0), 0, 100.0)
    assert clock.captured_at(0, received_at) is None


def test_no_picture_comes_from_the_future(clock: SenderClock) -> None:
    clock.note(ntp(0), 0, 100.0)
    assert clock.captured_at(0, 99.99) == 99.99
