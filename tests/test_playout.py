"""How long a viewer holds pictures back: decided from its reports, and told in every packet."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import pytest
from aiortc.rtp import RtcpReceiverInfo, RtcpRrPacket, unpack_header_extensions

from server import rtc_compat
from server.rtc_compat import feedback
from server.rtc_compat.playout import (
    AS_THE_VIEWER_LIKES,
    AT_ONCE,
    CALM_AFTER_S,
    Patience,
    PlayoutDelay,
    ViewerExtensions,
)

from .test_downlink import Watching, watching
from .wait import until


@pytest.fixture
def hooks() -> Iterator[None]:
    with rtc_compat.installed(["127.0.0.1"]):
        yield


def test_a_good_line_is_shown_at_once() -> None:
    assert Patience().judge(0.0, 0.01, 0.005, 0.05) == AT_ONCE


def test_a_lossy_line_waits_until_a_packet_can_be_asked_for_twice() -> None:
    patience = Patience()
    assert patience.judge(0.0, 0.05, 0.0, 0.05) == PlayoutDelay(30, 0xFFF)
    assert patience.judge(5.0, 0.0, 0.0, None) == PlayoutDelay(20, 0xFFF), "one good report is no good line yet"
    assert patience.judge(CALM_AFTER_S + 1, 0.0, 0.0, 0.05) == AT_ONCE


def test_an_uneven_line_is_left_to_the_viewer() -> None:
    patience = Patience()
    assert patience.judge(0.0, 0.0, 0.1, 0.05) == AS_THE_VIEWER_LIKES
    assert patience.judge(CALM_AFTER_S + 1, 0.0, 0.0, 0.05) == AT_ONCE


def test_the_extension_carries_two_times_of_twelve_bits() -> None:
    assert PlayoutDelay(0x123, 0x456).octets == bytes([0x12, 0x34, 0x56])


def told(call: Watching, data: bytes) -> bytes | None:
    """The playout delay in an RTP datagram (RFC 3550 section 5.3.1); None where it has none."""
    extensions: ViewerExtensions = call.sender._RTCRtpSender__rtp_header_extensions_map
    profile, words = struct.unpack_from("!HH", data, 12)
    return dict(unpack_header_extensions(profile, data[16 : 16 + 4 * words])).get(extensions._id or 0)


async def test_every_packet_says_at_once_until_the_line_is_lossy(hooks: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feedback, "LOSS_WINDOW_S", 0.0)
    async with watching() as call:
        seen: list[bytes | None] = []

        def is_lost(data: bytes) -> bool:
            if call.is_first_attempt(data):
                seen.append(told(call, data))
            return False

        call.lose(is_lost)
        await until(lambda: len(seen) > 3, what="pictures")
        assert set(seen) == {AT_ONCE.octets}
        for lost, highest in ((0, 100), (10, 200)):
            await call.report(RtcpRrPacket(ssrc=1, reports=[report(call.sender._ssrc, lost, highest)]))
        seen.clear()
        await call.goes_on()
        delays = {divmod(int.from_bytes(octets or b""), 1 << 12) for octets in seen}
        assert all(20 <= least <= 30 and greatest == 0xFFF for least, greatest in delays), delays


def report(ssrc: int, lost: int, highest: int) -> RtcpReceiverInfo:
    return RtcpReceiverInfo(
        ssrc=ssrc, fraction_lost=0, packets_lost=lost, highest_sequence=highest, jitter=0, lsr=0, dlsr=0
    )


async def test_a_viewer_that_does_not_know_it_is_not_told() -> None:
    async with watching() as call:  # without the hooks nobody negotiates it
        await call.goes_on()
        assert call.sender._RTCRtpSender__rtp_header_extensions_map._id is None
