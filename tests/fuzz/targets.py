"""What is attacked: each takes bytes, and may refuse them in words but not break."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import cache

import numpy as np
from aiortc.rtp import RtcpPacket, RtpPacket
from av.video.frame import VideoFrame

from server.annotate import Overlay, draw
from server.errors import SurveillxError
from server.rtc_compat import SharedPort, clean_offer
from server.rtc_compat.feedback import Feedback
from server.sdp import check_offer
from server.trickle import RemoteIce, parse_fragment
from tests.offers import OFFERS

CODECS = ("video/VP8", "video/H264")
STRANGER = ("192.0.2.1", 4000)


def offer(data: bytes) -> None:
    """An offer at the gate, and what is read of one that passes."""
    text = data.decode(errors="replace")
    try:
        check_offer(text, "receive", CODECS)
    except SurveillxError:
        return
    clean_offer(text)
    RemoteIce(text)


def fragment(data: bytes) -> None:
    """What a peer says of ICE later."""
    try:
        taken = parse_fragment(data.decode(errors="replace"))
        ice = RemoteIce(OFFERS["view"][0])
        if not ice.is_restart(taken):
            ice.take(taken)
    except SurveillxError:
        return


@cache
def _shared_port() -> SharedPort:
    shared = SharedPort(0, lambda: None)
    asyncio.new_event_loop().run_until_complete(shared.open(["127.0.0.1"]))
    return shared


def datagram(data: bytes) -> None:
    """A stranger's, at the port of all sessions."""
    for port in _shared_port()._ports.values():
        port.datagram_received(data, STRANGER)


def report(data: bytes) -> None:
    """RTP and RTCP of a peer that went wrong, decrypted."""
    feedback = Feedback()
    try:
        for packet in RtcpPacket.parse(data):
            feedback.take(packet, 1)
        RtpPacket.parse(data)
    except ValueError:  # as aiortc/rtcdtlstransport.py _handle_rtcp_data expects it
        return


def overlay(data: bytes) -> None:
    """Any box with any name on a picture."""
    numbers = np.frombuffer(data[:16].ljust(16, b"\0"), np.float32)
    box = (float(numbers[0]), float(numbers[1]), float(numbers[2]), float(numbers[3]))
    frame = VideoFrame.from_ndarray(np.full((96, 64), 90, np.uint8), format="yuv420p")
    draw(frame, [Overlay(box, data[16:].decode(errors="replace"), known=bool(data[:1]), pixelated=box)])


TARGETS: Mapping[str, Callable[[bytes], None]] = {
    "offer": offer,
    "fragment": fragment,
    "datagram": datagram,
    "report": report,
    "overlay": overlay,
}
