"""Each hook into aiortc and aioice: what it is for happens, and without the hook it does not."""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from typing import Any

import aioice.ice
import aioice.stun
import ifaddr
import pytest
from aiortc import RTCCertificate, RTCPeerConnection, RTCRtpReceiver, RTCSessionDescription
from aiortc.jitterbuffer import JitterBuffer, JitterFrame
from aiortc.rate import RateBucket, RemoteBitrateEstimator
from aiortc.rtp import (
    RtpPacket,
    is_rtcp,
)
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from server import rtc_compat
from server.rtc_compat import PromptJitterBuffer, UplinkRepair, jitter
from server.rtc_compat.estimate import LateEstimator
from server.rtc_compat.missing import MissingPackets

from .peers import Counter, PatternTrack, connect, drop_datagrams, new_peer
from .wait import until


@pytest.fixture
def strange() -> list[int]:
    return []


@pytest.fixture
def hooks(strange: list[int]) -> Iterator[None]:
    with rtc_compat.installed(["127.0.0.1"], lambda: strange.append(1)):
        yield


@asynccontextmanager
async def call(
    prepare: Callable[[RTCRtpReceiver], None] = lambda _receiver: None,
) -> AsyncIterator[tuple[RTCPeerConnection, RTCPeerConnection, Counter]]:
    """A connected pair: one sends a pattern, the other counts its frames. `prepare` sees the receiver at the start."""
    sender, receiver = new_peer(), new_peer()
    async with AsyncExitStack() as stack:
        sender.addTrack(PatternTrack())
        receiver.on("track", lambda _track: prepare(receiver.getReceivers()[0]))
        await connect(sender, receiver)
        counter = Counter(receiver.getReceivers()[0].track)
        stack.push_async_callback(asyncio.wait_for, counter.task, 5)
        stack.push_async_callback(receiver.close)
        stack.push_async_callback(sender.close)
        await until(lambda: counter.frames > 5, what="the first frames")
        yield sender, receiver, counter


# --- peers whose certificate has an RSA key ----------------------------------------------------------------------


def with_rsa_key() -> RTCPeerConnection:
    """A peer as GStreamer 1.22's: it offers, so it is the DTLS server, and its certificate decides on the cipher."""
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "camera")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
    certificate: Any = RTCCertificate(key, builder.sign(key, hashes.SHA256()))  # type: ignore[arg-type]
    peer: Any = new_peer()
    peer._RTCPeerConnection__certificates = [certificate]
    return peer  # type: ignore[no-any-return]


@pytest.mark.parametrize(("is_hooked", "ends_as"), [(True, "connected"), (False, "failed")])
async def test_a_peer_with_an_rsa_key(is_hooked: bool, ends_as: str) -> None:
    sender, receiver = with_rsa_key(), new_peer()
    with rtc_compat.installed(["127.0.0.1"]) if is_hooked else nullcontext():
        sender.addTrack(PatternTrack())
        await connect(sender, receiver)
        await until(lambda: receiver.connectionState == ends_as, 10)
        await sender.close()
        await receiver.close()


# --- trap 1: a frame is released with its last packet -----------------------------------------------------------


def rtp(sequence_number: int, timestamp: int, marker: int, data: bytes = b"x") -> RtpPacket:
    packet = RtpPacket(sequence_number=sequence_number, timestamp=timestamp, marker=marker)
    packet._data = data  # type: ignore[attr-defined]
    return packet


def no_extra(frame: JitterFrame, packet: RtpPacket) -> None:
    raise AssertionError("only one frame was complete")


def is_keyframe(packet: RtpPacket) -> bool:
    return bool(vars(packet)["_data"].startswith(b"KEY"))


def test_a_frame_is_released_with_its_marker_packet() -> None:
    prompt, stock = PromptJitterBuffer(16, no_extra, is_keyframe), JitterBuffer(16, is_video=True)
    for buffer in (prompt, stock):
        assert buffer.add(rtp(1, 3000, 0, b"a")) == (False, None)
    _, frame = prompt.add(rtp(2, 3000, 1, b"b"))
    assert frame is not None
    assert (frame.data, frame.timestamp) == (b"ab", 3000)
    assert stock.add(rtp(2, 3000, 1, b"b")) == (False, None), "upstream releases at the marker now: drop the hook"


def test_a_frame_with_a_hole_waits_for_it() -> None:
    buffer = PromptJitterBuffer(16, no_extra, is_keyframe)
    assert buffer.add(rtp(1, 3000, 0, b"a"))[1] is None
    assert buffer.add(rtp(3, 3000, 1, b"c"))[1] is None
    frame = buffer.add(rtp(2, 3000, 0, b"b"))[1]
    assert frame is not None
    assert frame.data == b"abc"


def test_a_late_packet_releases_every_frame_it_completes() -> None:
    extra: list[bytes] = []
    buffer = PromptJitterBuffer(16, lambda frame, _packet: extra.append(frame.data), is_keyframe)
    buffer.add(rtp(1, 3000, 0, b"a"))
    for number in range(3, 6):
        assert buffer.add(rtp(number, 3000 * number, 1, bytes([number])))[1] is None
    newest = buffer.add(rtp(2, 3000, 1, b"b"))[1]
    assert newest is not None
    assert (extra, newest.data) == ([b"ab", b"\x03", b"\x04"], b"\x05")


def test_frames_of_a_sender_without_marker_bits_are_told_by_their_timestamps() -> None:
    buffer = PromptJitterBuffer(16, no_extra, is_keyframe)
    assert buffer.add(rtp(1, 3000, 0, b"a"))[1] is None
    frame = buffer.add(rtp(2, 6000, 0, b"b"))[1]
    assert frame is not None
    assert frame.data == b"a"


def test_a_hole_is_left_behind_with_the_next_whole_keyframe() -> None:
    buffer = PromptJitterBuffer(16, no_extra, is_keyframe)
    buffer.add(rtp(1, 3000, 1))
    assert buffer.add(rtp(3, 6000, 1, b"KEY too early"))[1] is None
    buffer.give_up()
    assert buffer.waits_for_keyframe
    assert buffer.add(rtp(5, 9000, 1, b"end of the next"))[1] is not None, "the keyframe that was there already"


def test_what_follows_a_lost_frame_is_passed_over_up_to_a_keyframe() -> None:
    buffer = PromptJitterBuffer(16, no_extra, is_keyframe)
    buffer.add(rtp(1, 3000, 1))
    buffer.need_keyframe()
    assert buffer.add(rtp(2, 6000, 1, b"smeared"))[1] is None
    assert buffer.add(rtp(3, 9000, 0, b"KEY"))[1] is None
    frame = buffer.add(rtp(4, 9000, 1, b"frame"))[1]
    assert frame is not None
    assert (frame.data, buffer.passed_over, buffer.waits_for_keyframe) == (b"KEYframe", 1, False)


def test_a_keyframe_behind_a_hole_is_taken_while_one_is_awaited() -> None:
    buffer = PromptJitterBuffer(16, no_extra, is_keyframe)
    buffer.add(rtp(1, 3000, 1))
    buffer.need_keyframe()
    assert buffer.add(rtp(3, 6000, 1, b"KEY"))[1] is not None


def test_a_late_packet_is_still_welcome_after_giving_up() -> None:
    buffer = PromptJitterBuffer(16, no_extra, is_keyframe)
    buffer.add(rtp(1, 3000, 1))
    buffer.add(rtp(3, 6000, 1, b"b"))
    buffer.give_up()
    frame = buffer.add(rtp(2, 6000, 0, b"a"))[1]
    assert frame is not None
    assert (frame.data, buffer.waits_for_keyframe) == (b"ab", False)


def test_more_lost_than_the_buffer_holds_needs_a_keyframe() -> None:
    buffer = PromptJitterBuffer(16, no_extra, is_keyframe)
    buffer.add(rtp(1, 3000, 1))
    buffer.add(rtp(2, 6000, 0))
    buffer.add(rtp(300, 9000, 1))
    assert buffer.waits_for_keyframe


def test_an_encoder_without_keyframes_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jitter, "KEYFRAME_PATIENCE_S", 0.0)
    buffer = PromptJitterBuffer(16, no_extra, is_keyframe)
    buffer.need_keyframe()
    assert buffer.add(rtp(2, 6000, 1, b"refreshed bit by bit"))[1] is not None


@pytest.mark.parametrize(
    ("codec", "data", "expected"),
    [
        ("VP8", b"\x10\x02\x00\x9d\x01\x2a\x00\x05", True),
        ("VP8", b"\x11\x02\x00\x9d\x01\x2a\x00\x05", False),
        ("VP8", b"", False),
        ("H264", b"\x00\x00\x00\x01\x67\x42", True),
        ("H264", b"\x00\x00\x00\x01\x09\xf0\x00\x00\x01\x65\x88", True),
        ("H264", b"\x00\x00\x00\x01\x61\x88", False),
        ("H264", b"\x00\x00\x00\x01", False),
        ("AV1", b"", True),
    ],
)
def test_keyframes_are_known_by_their_first_bytes(codec: str, data: bytes, expected: bool) -> None:
    assert jitter.begins_keyframe(codec, data) is expected


# --- trap 8: which packets are asked for, and when --------------------------------------------------------------


def test_each_packet_is_asked_for_once_a_round_trip() -> None:
    missing = MissingPackets(64)
    assert not missing.add(rtp(65534, 0, 0))
    assert not missing.add(rtp(1, 0, 0)), "upstream asks for it itself now: drop the hook"
    assert missing.found.is_set()
    now = time.monotonic()
    assert missing.due(now, 10) == [65535, 0]
    assert missing.due(now + missing.interval_s / 2, 10) == []
    assert missing.due(now + missing.interval_s, 1) == [65535]
    missing.add(rtp(0, 0, 0))
    assert missing.due(now + 0.5, 10) == [65535]
    assert missing.due(now + 5, 10) == [], "a full line would be filled with repetitions"
    assert missing.oldest_s(now + 5) > 4
    missing.forget_before(0)
    assert (missing.due(now + 9, 10), missing.oldest_s(now + 9)) == ([], 0)


def test_the_round_trip_is_learned_from_packets_asked_for_once() -> None:
    missing = MissingPackets(64)
    for number in (1, 3, 5):
        missing.add(rtp(number, 0, 0))
    asked = time.monotonic()
    missing.due(asked - 2, 1)
    missing.add(rtp(2, 0, 0))
    assert missing.round_trip_s > 0.3
    learned = missing.round_trip_s
    missing.due(asked - 2, 1)
    missing.due(asked, 1)
    missing.add(rtp(4, 0, 0))
    assert missing.round_trip_s == learned


def test_more_missing_than_the_buffer_holds_is_not_asked_for() -> None:
    missing = MissingPackets(64)
    missing.add(rtp(1, 0, 0))
    missing.add(rtp(3, 0, 0))
    missing.add(rtp(900, 0, 0))
    assert missing.due(time.monotonic(), 100) == []


# --- trap 4: candidates that only the peer's own network can resolve --------------------------------------------


async def firefox_like_offer(peer: RTCPeerConnection) -> str:
    peer.addTransceiver("video", "recvonly")
    await peer.setLocalDescription(await peer.createOffer())
    lines = []
    for line in peer.localDescription.sdp.splitlines():
        parts = line.split()
        if line.startswith("a=candidate:"):
            parts[4] = "4c1f6e0a-1b2c-4d3e-8f90-123456789abc.local"
        lines.append(" ".join(parts))
    return "\r\n".join(lines) + "\r\n"


async def answered(offer: str) -> tuple[RTCPeerConnection, RTCSessionDescription]:
    server = new_peer()
    server.addTrack(PatternTrack())
    await server.setRemoteDescription(RTCSessionDescription(offer, "offer"))
    await server.setLocalDescription(await server.createAnswer())
    return server, server.localDescription


async def test_an_offer_with_only_mdns_candidates_connects(hooks: None) -> None:
    viewer = new_peer()
    offer = await firefox_like_offer(viewer)
    assert "a=end-of-candidates" in offer
    server, answer = await answered(rtc_compat.clean_offer(offer))
    await viewer.setRemoteDescription(answer)
    counter = Counter(viewer.getReceivers()[0].track)
    await until(lambda: counter.frames > 0, what="a picture through addresses learned from the peer's checks")
    await server.close()
    await viewer.close()
    await counter.task


async def test_without_cleaning_such_an_offer_gets_no_candidates(hooks: None) -> None:
    viewer = new_peer()
    server, answer = await answered(await firefox_like_offer(viewer))
    assert "a=candidate:" not in answer.sdp, "upstream serves such offers now: drop the hook"
    await server.close()
    await viewer.close()


# --- trap 8: lost packets whose retransmission is lost too ------------------------------------------------------


def lose_one_for_good(sender: RTCPeerConnection) -> Callable[[], int]:
    """From now on one RTP packet is lost with all its retransmissions; returns how often it was lost."""
    lost: dict[str, int] = {}
    times = 0

    def lose(data: bytes) -> bool:
        nonlocal times
        if not 127 < data[0] < 192 or is_rtcp(data):
            return False
        number = int.from_bytes(data[2:4], "big")
        payload_type = data[1] & 0x7F
        # SRTP encrypts the original sequence number inside RTX, so every retransmission is lost: none is another's.
        if not lost:
            lost["number"], lost["type"] = number, payload_type
        if payload_type != lost["type"] or number == lost["number"]:
            times += 1
            return True
        return False

    drop_datagrams(sender, lose)
    return lambda: times


async def test_a_packet_lost_for_good_costs_less_than_a_second(hooks: None) -> None:
    repairs: list[UplinkRepair] = []
    async with call(lambda receiver: repairs.append(UplinkRepair(receiver))) as (sender, _, counter):
        repair = asyncio.create_task(repairs[0].run())
        times = lose_one_for_good(sender)
        await until(lambda: repairs[0].given_up > 0, what="the hole is given up")
        frames = counter.frames
        await until(lambda: counter.frames > frames + 10, what="the picture goes on")
        assert times() > 1, "the missing packet was asked for only once"
        repair.cancel()


async def test_upstream_alone_stays_frozen(hooks: None) -> None:
    async with call() as (sender, _, counter):
        lose_one_for_good(sender)
        await until(lambda: counter.gaps and time_since(counter) > 1.5, what="a freeze of 1.5 s")


def time_since(counter: Counter) -> float:
    """How long the picture has stood still."""
    state: dict[int, float] = counter.__dict__.setdefault("still", {})
    return time.monotonic() - state.setdefault(counter.frames, time.monotonic())


async def test_what_is_missing_is_asked_for_again(hooks: None) -> None:
    repairs: list[UplinkRepair] = []
    async with call(lambda receiver: repairs.append(UplinkRepair(receiver))) as (_, receiver, _counter):
        nacked: list[int] = []

        async def record(_ssrc: int, lost: list[int]) -> None:
            nacked.extend(lost)

        rtp_receiver: Any = receiver.getReceivers()[0]
        rtp_receiver._send_rtcp_nack = record
        missing = (repairs[0]._missing.max_seq or 0) + 1 & 0xFFFF
        repairs[0]._missing._note_gap((missing + 1) & 0xFFFF, time.monotonic())
        await repairs[0].step(time.monotonic())
        await repairs[0].step(time.monotonic() + 0.5)
        assert nacked.count(missing) == 2


async def test_a_frame_that_cannot_be_decoded_is_followed_by_a_keyframe(hooks: None) -> None:
    repairs: list[UplinkRepair] = []
    async with call(lambda receiver: repairs.append(UplinkRepair(receiver))) as (_, receiver, counter):
        asked = 0
        rtp_receiver: Any = receiver.getReceivers()[0]
        send_pli = rtp_receiver._send_rtcp_pli

        async def second_only(ssrc: int) -> None:
            nonlocal asked
            asked += 1
            if asked > 1:
                await send_pli(ssrc)

        rtp_receiver._send_rtcp_pli = second_only
        repair = asyncio.create_task(repairs[0].run())
        codec = next(iter(rtp_receiver._RTCRtpReceiver__codecs.values()))
        rtp_receiver._RTCRtpReceiver__decoder_queue.put((codec, JitterFrame(b"\x00damaged", 0)))
        await until(lambda: repairs[0]._buffer.waits_for_keyframe, what="a keyframe is awaited")
        await until(lambda: asked > 1 and not repairs[0]._buffer.waits_for_keyframe, what="the request is repeated")
        frames = counter.frames
        await until(lambda: counter.frames > frames + 5, what="the picture goes on")
        repair.cancel()


class SlowCodec:
    """Holds the decoder's thread up until it is told to go on."""

    mimeType = "video/VP8"  # noqa: N815 - as aiortc has it

    def __init__(self) -> None:
        self.go_on = threading.Event()

    @property
    def name(self) -> str:
        self.go_on.wait(10)
        return "VP8"


async def test_a_decoder_that_does_not_keep_up_skips_to_a_keyframe(hooks: None) -> None:
    repairs: list[UplinkRepair] = []
    async with call(lambda receiver: repairs.append(UplinkRepair(receiver))) as (_, receiver, counter):
        await until(lambda: counter.frames > 5)
        rtp_receiver: Any = receiver.getReceivers()[0]
        repair, slow = asyncio.create_task(repairs[0].run()), SlowCodec()
        rtp_receiver._RTCRtpReceiver__decoder_queue.put((slow, JitterFrame(b"\x00damaged", 0)))
        await until(lambda: repairs[0].undecoded > 10, what="pictures wait")
        await until(lambda: repairs[0].given_up and not repairs[0].undecoded, what="what waits is let go")
        slow.go_on.set()
        frames = counter.frames
        await until(lambda: counter.frames > frames + 10, what="the picture goes on")
        repair.cancel()


# --- what a connection costs to make ----------------------------------------------------------------------------


async def test_a_connection_that_only_sends_has_no_estimator(hooks: None) -> None:
    def buckets() -> int:
        return sum(isinstance(each, RateBucket) for each in gc.get_objects())

    before = buckets()
    peer = new_peer()
    peer.addTransceiver("video", "sendonly")
    assert buckets() <= before
    await peer.close()


def test_the_late_estimator_says_what_upstreams_says() -> None:
    late, upstream = LateEstimator(), RemoteBitrateEstimator()
    packets = [
        {"arrival_time_ms": 10 * n, "abs_send_time": 2621 * n, "payload_size": 1200, "ssrc": 1} for n in range(1000)
    ]
    estimates = [late.add(**packet) for packet in packets]
    assert estimates == [upstream.add(**packet) for packet in packets]
    assert any(estimates)


# --- trap 21: datagrams of strangers ----------------------------------------------------------------------------


def media_address(peer: RTCPeerConnection) -> tuple[Any, ...]:
    connection: Any = peer.getTransceivers()[0].receiver.transport.transport
    protocol = connection._connection._protocols[0]
    address: tuple[Any, ...] = protocol.transport.get_extra_info("sockname")
    return address


def throw(address: tuple[Any, ...], datagrams: list[bytes]) -> None:
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as stranger:
        for datagram in datagrams:
            stranger.sendto(datagram, address)


STRANGE = [
    b"",
    bytes([21, 254, 253, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 2, 40]),  # a DTLS alert
    bytes([22, 254, 253]) + bytes(40),
    bytes([128, 96]) + bytes(30),
    bytes([0, 1, 0, 4, 0x21, 0x12, 0xA4, 0x42]) + bytes(12) + bytes([0, 32, 255, 255]),  # STUN, an attribute too long
    bytes([1, 1, 0, 0]),
]


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
async def test_strangers_cannot_disturb_a_session(address: str, strange: list[int]) -> None:
    with rtc_compat.installed([address], lambda: strange.append(1)):
        async with call() as (_, receiver, counter):
            throw(media_address(receiver), STRANGE * 20)
            await until(lambda: len(strange) >= 120, what="the guard counts them")
            frames = counter.frames
            await until(lambda: counter.frames > frames + 10, what="the picture goes on")
            assert receiver.connectionState == "connected"


async def test_upstream_alone_dies_of_an_empty_datagram(hooks: None, caplog: pytest.LogCaptureFixture) -> None:
    guarded = aioice.ice.StunProtocol.datagram_received
    aioice.ice.StunProtocol.datagram_received = guarded.__closure__[1].cell_contents  # type: ignore[method-assign, index]
    caplog.set_level(logging.CRITICAL, "aiortc")
    try:
        async with call() as (_, receiver, _counter):
            throw(media_address(receiver), [b""])
            await until(lambda: receiver.connectionState == "closed", what="the session dies")
    finally:
        aioice.ice.StunProtocol.datagram_received = guarded  # type: ignore[method-assign]


# --- trap 23: closing -------------------------------------------------------------------------------------------


async def test_closing_a_peer_that_cannot_close_returns_and_frees_its_sockets(
    hooks: None, caplog: pytest.LogCaptureFixture
) -> None:
    async with call() as (_, receiver, _counter):
        address = media_address(receiver)
        rtp_receiver: Any = receiver.getReceivers()[0]

        async def fail() -> None:
            raise RuntimeError("as a transport that is gone does")

        stop, rtp_receiver.stop = rtp_receiver.stop, fail
        with pytest.raises(asyncio.TimeoutError):
            await broken_close(receiver)
        receiver._RTCPeerConnection__isClosed = None  # type: ignore[attr-defined]
        await rtc_compat.close_peer(receiver, timeout_s=1)
        await stop()
        assert "did not close by itself" in caplog.text
        await until(lambda: is_free(address), what="the socket is free")
        receiver._RTCPeerConnection__isClosed.set_result(True)  # type: ignore[attr-defined]


async def broken_close(peer: RTCPeerConnection) -> None:
    """What upstream does: the first close raises, the second waits for ever."""
    with pytest.raises(RuntimeError):
        await peer.close()
    await asyncio.wait_for(peer.close(), 0.2)


def is_free(address: tuple[Any, ...]) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(address)
        except OSError:
            return False
    return True


def vanish(peer: RTCPeerConnection) -> None:
    """As a process that is killed: its sockets are gone, and nobody is told."""
    for transceiver in peer.getTransceivers():
        ice = transceiver.sender.transport.transport
        for protocol in ice.iceGatherer._connection._protocols:
            protocol.transport.abort()


@pytest.mark.parametrize("is_installed", [True, False])
async def test_a_peer_that_vanished_is_known_within_thirty_seconds(
    is_installed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a tenth of the time; without the hook it would take longer."""
    monkeypatch.setattr(aioice.ice, "CONSENT_INTERVAL", aioice.ice.CONSENT_INTERVAL / 10)
    monkeypatch.setattr(aioice.stun, "RETRY_RTO", aioice.stun.RETRY_RTO / 10)
    longest = 1.2 * aioice.ice.CONSENT_INTERVAL + aioice.stun.RETRY_RTO
    with rtc_compat.installed(["127.0.0.1"]) if is_installed else nullcontext():
        assert (aioice.ice.CONSENT_FAILURES * longest <= 3.0) == is_installed
        if is_installed:
            async with call() as (sender, receiver, _):
                vanish(receiver)
                await until(lambda: sender.connectionState in ("closed", "failed"), 10, "the sender knows")


async def test_a_close_that_hangs_is_given_up(hooks: None, caplog: pytest.LogCaptureFixture) -> None:
    peer = new_peer()
    peer.close = asyncio.Event().wait  # type: ignore[method-assign, assignment]
    await rtc_compat.close_peer(peer, timeout_s=0.05)
    assert "timed out" in caplog.text


# --- trap 25: which addresses -----------------------------------------------------------------------------------


async def test_only_the_chosen_interfaces_are_offered() -> None:
    peer = new_peer()
    peer.addTransceiver("video", "recvonly")
    with rtc_compat.installed(["127.0.0.1"]):
        await peer.setLocalDescription(await peer.createOffer())
    candidates = [line.split() for line in peer.localDescription.sdp.splitlines() if "a=candidate" in line]
    assert [parts[4] for parts in candidates] == ["127.0.0.1"]
    await peer.close()


def test_container_bridges_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    class Adapter:
        def __init__(self, name: str, *addresses: object) -> None:
            self.name = name
            self.ips = [type("IP", (), {"ip": address})() for address in addresses]

    adapters = [
        Adapter("lo", "127.0.0.1", ("::1", 0, 0)),
        Adapter("docker0", "172.17.0.1"),
        Adapter("eth0", "192.0.2.7", ("2001:db8::7", 0, 0), ("fe80::1", 0, 2)),
    ]
    monkeypatch.setattr(ifaddr, "get_adapters", lambda: adapters)
    assert rtc_compat.choose_addresses([]) == ["192.0.2.7", "2001:db8::7"]
    monkeypatch.setattr(ifaddr, "get_adapters", lambda: adapters[:2])
    assert rtc_compat.choose_addresses([]) == ["127.0.0.1"], "a machine without a network still serves itself"


async def test_the_public_address_is_offered_beside_the_private_one(hooks: None) -> None:
    viewer = new_peer()
    viewer.addTransceiver("video", "recvonly")
    await viewer.setLocalDescription(await viewer.createOffer())
    server, answer = await answered(viewer.localDescription.sdp)
    widened = rtc_compat.add_public_address(answer.sdp, "203.0.113.9")
    lines = [line.split() for line in widened.splitlines() if line.startswith("a=candidate:")]
    assert [(parts[4], parts[5]) for parts in lines] == [("127.0.0.1", lines[0][5]), ("203.0.113.9", lines[0][5])]
    assert lines[0][0] != lines[1][0], "another foundation"
    await viewer.setRemoteDescription(RTCSessionDescription(widened, "answer"))
    await server.close()
    await viewer.close()


# --- versions ---------------------------------------------------------------------------------------------------


def test_a_version_the_tests_did_not_run_with_is_told(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    rtc_compat.warn_if_untested()
    assert not caplog.records, "the tests run with a version that TESTED does not name"
    monkeypatch.setitem(rtc_compat.TESTED, "aiortc", ("0.9.0",))
    rtc_compat.warn_if_untested()
    assert "tested with 0.9.0" in caplog.text
