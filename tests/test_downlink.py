"""Ready-made pictures to a viewer: what is sent arrives, over every way to send it, and reports are acted on."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from aiortc import RTCPeerConnection
from aiortc.rtp import (
    RTCP_PSFB_APP,
    RTCP_PSFB_PLI,
    RTCP_RTPFB_NACK,
    RtcpPsfbPacket,
    RtcpReceiverInfo,
    RtcpRrPacket,
    RtcpRtpfbPacket,
    is_rtcp,
    pack_remb_fci,
)
from av import VideoFrame

from server import rtc_compat
from server.encode import SharedEncoder
from server.relay import KeyframeBroker, Picture, Relay, Subscription
from server.rtc_compat import Downlink, Feedback, playout, retransmission
from server.rtc_compat.datagrams import Datagrams, runs
from server.rtc_compat.history import RTP_HISTORY_PACKETS, History
from server.rtc_compat.srtp import BURST_PACKETS
from server.vp8 import packetise

from .peers import Counter, PatternTrack, connect, new_peer, picture
from .wait import until


@pytest.fixture(params=["127.0.0.1"])
def hooks(request: pytest.FixtureRequest) -> Iterator[None]:
    with rtc_compat.installed([request.param]):
        yield


@dataclass
class Watching:
    """A viewer fed with ready-made pictures, in one process with its sender."""

    relay: Relay
    hook: Downlink
    sender: Any
    viewer: RTCPeerConnection
    counter: Counter

    @property
    def pair(self) -> Any:
        """The way to the viewer."""
        return self.sender.transport.transport._connection._nominated[1]

    async def report(self, packet: Any) -> None:
        """As if the viewer had sent this RTCP packet."""
        await self.sender._handle_rtcp_packet(packet)

    async def goes_on(self, frames: int = 10) -> None:
        before = self.counter.frames
        await until(lambda: self.counter.frames >= before + frames, what="the picture goes on")

    def lose(self, is_lost: Callable[[bytes], bool]) -> None:
        """Lose the datagrams for which `is_lost` says so, where they arrive at the viewer."""
        transport: Any = self.viewer.getReceivers()[0].transport.transport
        for protocol in transport._connection._protocols:
            stock = protocol.datagram_received

            def received(data: bytes, address: Any, stock: Any = stock) -> None:
                if not is_lost(data):
                    stock(data, address)

            protocol.datagram_received = received

    def is_first_attempt(self, data: bytes) -> bool:
        """Whether it is RTP, and no retransmission: those travel under an SSRC of their own (RFC 4588)."""
        return 127 < data[0] < 192 and not is_rtcp(data) and data[8:12] == self.sender._ssrc.to_bytes(4, "big")


@asynccontextmanager
async def watching(film: Callable[[int, bool], VideoFrame] | None = None) -> AsyncIterator[Watching]:
    """Everything from the encoder to the viewer's decoder. `film` makes a picture of its number and "is keyframe"."""
    relay = Relay(keyframe_interval_s=0.0)
    sender, viewer = new_peer(), new_peer()
    rtp_sender = sender.addTransceiver("video", "sendonly").sender
    subscriptions: list[Subscription] = []
    hook = Downlink(
        rtp_sender,
        on_ready=lambda _codec: subscriptions.append(relay.subscribe(hook)),
        on_keyframe_wanted=lambda: relay.keyframes.request(),  # noqa: PLW0108 - a test changes the broker
    )
    viewer.addTransceiver("video", "recvonly")
    await connect(sender, viewer)
    counter = Counter(viewer.getReceivers()[0].track)
    feeding = asyncio.create_task(feed(relay, film or pattern))
    try:
        await until(lambda: counter.frames > 3, what="the first pictures")
        yield Watching(relay, hook, rtp_sender, viewer, counter)
    finally:
        feeding.cancel()
        await sender.close()
        await viewer.close()
        await counter.task


def pattern(number: int, _is_keyframe: bool) -> VideoFrame:
    return picture(320, 180, number / 30)


async def feed(relay: Relay, film: Callable[[int, bool], VideoFrame]) -> None:
    encoder = SharedEncoder("VP8", 5_000_000)
    number = 0
    while True:
        is_keyframe = relay.keyframes.due()
        frame = film(number, is_keyframe)
        frame.pts = number * 3000
        for packet in encoder.encode(frame, is_keyframe):
            relay.publish(Picture(number * 3000, packet.is_keyframe, packetise(bytes(packet))))
        number += 1
        await asyncio.sleep(1 / 30)


# --- what a viewer reports (traps 13 and 18) --------------------------------------------------------------------


def picture_lost(ssrc: int) -> RtcpPsfbPacket:
    return RtcpPsfbPacket(fmt=RTCP_PSFB_PLI, ssrc=1, media_ssrc=ssrc)


async def test_a_picture_loss_indication_reaches_the_relay(hooks: None) -> None:
    async with watching() as call:
        await call.report(picture_lost(call.sender._ssrc))
        assert call.relay.keyframes.due()


async def test_upstream_alone_keeps_it_to_itself(hooks: None) -> None:
    peer = new_peer()
    track = PatternTrack(320, 180)
    sender: Any = peer.addTrack(track)
    before = vars(track).copy()
    await sender._handle_rtcp_packet(picture_lost(sender._ssrc))
    assert vars(track) == before, "upstream tells the track now: drop the hook"
    await peer.close()


async def test_what_a_viewer_reports_of_its_line_is_kept(hooks: None) -> None:
    async with watching() as call:
        news: list[int | None] = []
        call.hook._on_feedback = lambda: news.append(call.hook.feedback.available_bps)
        ssrc = call.sender._ssrc
        estimate = pack_remb_fci(400_000, [ssrc])
        for fci in (estimate, b"REMB", b"REMB\xff\x00\x00\x00"):
            await call.report(RtcpPsfbPacket(fmt=RTCP_PSFB_APP, ssrc=1, media_ssrc=0, fci=fci))
        assert call.hook.feedback.available_bps == pytest.approx(400_000, rel=0.01)
        assert call.hook.feedback.available_at <= time.monotonic()
        assert len(news) == 1, "of this stream, and whole"


def test_loss_is_counted_over_a_second_not_from_report_to_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """As Chromium reports: with every NACK, so that one report tells of three packets and the next of none."""
    feedback, now = Feedback(), 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    for number in range(100):
        now += 0.02
        for stream in (7, 8):
            lost = number // 2 if stream == 7 else 0
            info = RtcpReceiverInfo(
                ssrc=stream, fraction_lost=255, packets_lost=lost, highest_sequence=2 * number, jitter=0, lsr=0, dlsr=0
            )
            feedback.take(RtcpRrPacket(ssrc=1, reports=[info]), 7)
    assert feedback.fraction_lost == pytest.approx(0.25, abs=0.02)
    assert 100.0 < feedback.reported_at <= now


async def test_a_report_of_a_real_viewer_says_how_long_the_way_is(hooks: None) -> None:
    async with watching() as call:
        await until(lambda: call.hook.feedback.round_trip_s is not None, what="a report on a sender report")
        assert call.hook.feedback.fraction_lost == 0


# --- sending, and sending again ---------------------------------------------------------------------------------


def noisy_keyframes(number: int, is_keyframe: bool) -> VideoFrame:
    """Keyframes of more packets than one call takes."""
    if not is_keyframe:
        return picture(640, 360, number / 30)
    planes = np.random.default_rng(number).integers(0, 255, (540, 640), np.uint8)
    return VideoFrame.from_ndarray(planes, format="yuv420p")


segmenting = pytest.mark.skipif(sys.platform != "linux", reason="segmentation is Linux's")


@pytest.mark.parametrize("hooks", ["127.0.0.1", "::1"], indirect=True)
@pytest.mark.parametrize("can_segment", [pytest.param(True, marks=segmenting), False], ids=["segmented", "one by one"])
async def test_large_pictures_arrive_and_what_is_lost_comes_again(hooks: None, can_segment: bool) -> None:
    async with watching(noisy_keyframes) as call:
        call.hook._datagrams.can_segment = can_segment
        lost: list[int] = []
        sizes: list[int] = []

        def is_lost(data: bytes) -> bool:
            if call.is_first_attempt(data):
                sizes.append(len(data))
                if len(sizes) % 17 == 0 and len(lost) < 5:
                    lost.append(int.from_bytes(data[2:4], "big"))
                    return True
            return False

        call.lose(is_lost)
        call.relay.keyframes.request()
        await until(lambda: len(lost) == 5, what="packets are lost")
        await until(lambda: len(sizes) > BURST_PACKETS, what="a keyframe of several bursts")
        await call.goes_on(20)
        assert call.hook._datagrams.can_segment is can_segment
        assert call.hook._retransmission.repeated_octets > 0
        assert max(call.counter.gaps[3:]) < 2.0, "a packet was not sent again"


@segmenting
async def test_a_way_that_cannot_segment_is_served_one_by_one(hooks: None) -> None:
    async with watching() as call:
        sock = call.pair.protocol.transport.get_extra_info("socket")
        # Without checksums the system refuses to segment (net/ipv4/udp.c udp_send_skb: EINVAL).
        sock.setsockopt(socket.SOL_SOCKET, SO_NO_CHECK, 1)
        await until(lambda: not call.hook._datagrams.can_segment, what="the system refuses")
        await call.goes_on()
        assert not call.hook.ended.is_set()


SO_NO_CHECK = 11


async def test_a_way_that_is_no_socket_is_served_one_by_one(hooks: None) -> None:
    """As through TURN, whose transport has no socket to be asked for."""
    async with watching() as call:
        sent: list[bytes] = []
        protocol = call.pair.protocol
        stock = protocol.transport

        def sendto(data: bytes, address: Any) -> None:
            sent.append(data)
            stock.sendto(data, address)

        protocol.transport = Changed(stock, get_extra_info=lambda _name: None, sendto=sendto)
        await call.goes_on()
        assert len([each for each in sent if call.is_first_attempt(each)]) >= 10


class Changed:
    """An object of which some attributes are others."""

    def __init__(self, stock: Any, **others: Any) -> None:
        self._stock = stock
        vars(self).update(others)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stock, name)


class Refusing:
    """A socket whose sendmsg fails."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._sock = self

    def sendmsg(self, *_: Any) -> int:
        raise OSError(self._number, os.strerror(self._number))


@segmenting
@pytest.mark.parametrize("number", [errno.EAGAIN, errno.ENOBUFS, errno.EPERM, errno.EMSGSIZE])
async def test_what_the_system_says_decides(hooks: None, number: int) -> None:
    """A full socket takes no picture, a way too narrow is worked round, any other failure is a loss as on the line."""
    async with watching() as call:
        protocol = call.pair.protocol
        stock = protocol.transport
        protocol.transport = Changed(stock, get_extra_info=lambda _name: Refusing(number))
        payloads = (b"x" * 1000, b"x" * 1000, b"x")
        is_taken = call.hook.send(Picture(1, True, payloads))
        protocol.transport = stock
        assert is_taken == (number not in (errno.EAGAIN, errno.ENOBUFS))
        assert call.hook._datagrams.can_segment == (number != errno.EMSGSIZE)
        assert not call.hook.ended.is_set()


async def test_no_sequence_number_is_used_for_two_payloads(hooks: None) -> None:
    """SRTP's keystream follows from the number; a picture the socket refused must not leave its numbers to the next."""
    async with watching() as call:
        protocol = call.pair.protocol
        stock = protocol.transport
        first = call.hook._number
        protocol.transport = Changed(stock, get_extra_info=lambda _name: Refusing(errno.EAGAIN))
        assert not call.hook.send(Picture(1, True, (b"x", b"y")))
        assert call.hook._number == first + 2
        protocol.transport = Changed(stock, get_write_buffer_size=lambda: 1000)
        assert not call.hook.send(Picture(1, True, (b"x", b"y"))), "asyncio still keeps something for this viewer"
        assert call.hook._number == first + 2
        protocol.transport = stock


def test_runs_are_of_one_length_and_end_with_a_shorter_one() -> None:
    def lengths(*given: int) -> list[list[int]]:
        return [[len(each) for each in run] for run in runs([memoryview(bytes(length)) for length in given])]

    assert lengths(5) == [[5]]
    assert lengths(5, 5, 3) == [[5, 5, 3]]
    assert lengths(3, 5, 5) == [[3], [5, 5]]
    assert lengths(5, 3, 3, 5, 5) == [[5, 3], [3], [5, 5]]


def test_a_system_without_segmentation_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    assert not Datagrams().can_segment


async def test_what_was_sent_is_known_to_the_sender_reports(hooks: None) -> None:
    async with watching() as call:
        statistics = await call.sender.getStats()
        (outbound,) = [each for each in statistics.values() if each.type == "outbound-rtp"]
        (transport,) = [each for each in statistics.values() if each.type == "transport"]
        assert outbound.packetsSent == call.hook._number - call.hook._first_number > 0
        assert transport.bytesSent > outbound.bytesSent == call.hook._retransmission.sent_octets > 0
        assert transport.packetsSent >= outbound.packetsSent


async def test_a_sender_that_fails_ends_and_can_be_closed(hooks: None, caplog: pytest.LogCaptureFixture) -> None:
    async with watching() as call:
        assert not call.hook.send(Picture(0, True, (b"x" * 1500,)))
        assert call.hook.ended.is_set()
        assert not call.hook.send(Picture(0, True, (b"bytes",)))
        assert call.hook.pad(100) == 0
        await call.sender.stop()
    assert "sending to a viewer failed" in caplog.text


# --- floods, and padding ----------------------------------------------------------------------------------------


async def test_a_flood_of_wishes_for_keyframes_costs_two_a_second(hooks: None) -> None:
    """FAULTS row 14, for all viewers together: 100 a second are as good as one."""
    async with watching() as call:
        call.relay.keyframes = KeyframeBroker(0.5)
        keyframes_at: list[float] = []
        stock = call.relay.publish

        def publish(picture: Picture) -> None:
            if picture.is_keyframe:
                keyframes_at.append(time.monotonic())
            stock(picture)

        call.relay.publish = publish  # type: ignore[method-assign]
        before = call.counter.frames
        while len(keyframes_at) < 4:
            await call.report(picture_lost(call.sender._ssrc))
            await asyncio.sleep(0.01)
        assert all(later - earlier >= 0.49 for earlier, later in pairwise(keyframes_at))
        assert call.counter.frames > before, "the picture goes on meanwhile"


async def test_retransmissions_are_capped(hooks: None) -> None:
    async with watching() as call:
        repeats = call.hook._retransmission
        number = next(repeats._sent.newest_first()).sequence_number
        await call.report(
            RtcpRtpfbPacket(fmt=RTCP_RTPFB_NACK, ssrc=1, media_ssrc=call.sender._ssrc, lost=[number] * 5000)
        )
        allowed = retransmission.RETRANSMIT_SHARE * repeats.sent_octets + retransmission.RETRANSMIT_ALLOWANCE_BYTES
        assert repeats.repeated_octets <= allowed + 1300
        assert call.hook.refused > 0


async def test_on_a_lossy_line_an_answer_comes_twice(hooks: None) -> None:
    async with watching() as call:
        repeats = call.hook._retransmission
        sent = next(repeats._sent.newest_first())
        nack = RtcpRtpfbPacket(fmt=RTCP_RTPFB_NACK, ssrc=1, media_ssrc=call.sender._ssrc, lost=[sent.sequence_number])
        for lost, copies in ((0.0, 1), (playout.LOSSY, 2)):
            call.hook.feedback.fraction_lost = lost
            before = repeats.repeated_octets
            await call.sender._handle_rtcp_packet(nack)
            await until(lambda: repeats.repeated_octets == before + copies * len(sent.payload))  # noqa: B023


async def test_padding_is_sent_over_rtx_and_harms_nothing(hooks: None) -> None:
    async with watching() as call:
        again: list[bytes] = []

        def is_lost(data: bytes) -> bool:
            if data[8:12] == call.sender._rtx_ssrc.to_bytes(4, "big"):
                again.append(data)
            return False

        call.lose(is_lost)
        padded = call.hook.pad(2000)
        assert padded >= 2000
        await call.goes_on()
        assert sum(map(len, again)) > padded
        call.sender._RTCRtpSender__rtx_payload_type = None
        assert call.hook.pad(1000) == 0, "a viewer without retransmission"


def test_the_history_finds_what_was_sent_across_the_wrap_of_numbers() -> None:
    history = History()
    assert history.find(7) is None
    first = 65_000
    for number in range(600):
        history.add(first + 2 * number, number, (b"a%d" % number, b"b%d" % number))
    assert len(history) == RTP_HISTORY_PACKETS
    for number in range(600 - RTP_HISTORY_PACKETS // 2, 600):
        for index, letter in enumerate((b"a", b"b")):
            sequence_number = (first + 2 * number + index) % 65_536
            assert history.find(sequence_number) == (sequence_number, number, index == 1, letter + b"%d" % number)
    assert history.find(first) is None, "forgotten"
    assert history.find(first + 1200) is None, "not sent yet"
    assert [each.payload for each in history.newest_first()][:3] == [b"b599", b"a599", b"b598"]


def test_a_picture_larger_than_the_history_is_kept_alone() -> None:
    history = History()
    history.add(0, 0, (b"small",))
    history.add(1, 1, (b"x",) * (RTP_HISTORY_PACKETS + 5))
    assert len(history) == RTP_HISTORY_PACKETS + 5
    assert history.find(0) is None
    assert history.find(RTP_HISTORY_PACKETS + 5) is not None
