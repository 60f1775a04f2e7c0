"""The gate: real offers pass, broken ones are refused in words and never reach aiortc."""

from __future__ import annotations

import re

import pytest
from aiortc import VideoStreamTrack

from server.errors import BadRequest, SurveillxError, TooLarge, UnsupportedMediaType
from server.rtc_compat import OfferedH264
from server.sdp import check_offer, needs_any_h264

from .peers import new_peer

VP8 = ("video/VP8",)
BOTH = ("video/VP8", "video/H264")

# The shape of an offer of Firefox on Debian: only mDNS candidates, their end, TCP candidates and no H.264.
FIREFOX = """v=0
o=mozilla...THIS_IS_SDPARTA-99.0 123 0 IN IP4 0.0.0.0
s=-
t=0 0
a=fingerprint:sha-256 {fingerprint}
a=group:BUNDLE 0
a=ice-options:trickle
a=msid-semantic:WMS *
m=video 9 UDP/TLS/RTP/SAVPF 120 124
c=IN IP4 0.0.0.0
a=candidate:0 1 UDP 2122252543 4c1f6e0a-1b2c-4d3e-8f90-123456789abc.local 42424 typ host
a=candidate:1 1 TCP 2105524479 4c1f6e0a-1b2c-4d3e-8f90-123456789abc.local 9 typ host tcptype active
a=end-of-candidates
a=recvonly
a=fmtp:124 apt=120
a=ice-pwd:0123456789abcdef0123456789abcdef
a=ice-ufrag:0a1b2c3d
a=mid:0
a=rtcp-mux
a=rtpmap:120 VP8/90000
a=rtpmap:124 rtx/90000
a=setup:actpass
""".format(fingerprint=":".join(["AB"] * 32)).replace("\n", "\r\n")


async def offer(*, send: bool) -> str:
    peer = new_peer()
    if send:
        peer.addTrack(VideoStreamTrack())
    else:
        peer.addTransceiver("video", "recvonly")
    await peer.setLocalDescription(await peer.createOffer())
    sdp = peer.localDescription.sdp
    await peer.close()
    return str(sdp)


async def test_offers_of_aiortc_pass() -> None:
    check_offer(await offer(send=True), "send", BOTH)
    check_offer(await offer(send=False), "receive", VP8)


def test_an_offer_of_firefox_passes() -> None:
    check_offer(FIREFOX, "receive", VP8)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda sdp: "", "no video section"),
        (lambda sdp: sdp.replace("VP8/90000", "VP8/fast"), "can be read"),
        (lambda sdp: "\0" * 100, "no video section"),
        (lambda sdp: sdp + sdp[sdp.index("m=video") :], "more than one video"),
        (lambda sdp: sdp.replace("m=video", "m=text"), "neither video nor audio"),
        (lambda sdp: sdp.replace("BUNDLE 0", "BUNDLE 7"), "BUNDLE"),
        (lambda sdp: re.sub("a=fingerprint.*\r\n", "", sdp), "fingerprint"),
        (lambda sdp: sdp.replace("sha-256", "md5"), "sha-256"),
        (lambda sdp: sdp.replace("AB:AB", "AB"), "sha-256"),
        (lambda sdp: re.sub("a=setup.*\r\n", "", sdp), "fingerprint|setup"),
        (lambda sdp: sdp.replace("a=rtcp-mux\r\n", ""), "rtcp-mux"),
        (lambda sdp: sdp.replace("a=ice-pwd:0123456789abcdef", "a=ice-pwd:<script>"), "ice-pwd"),
        (lambda sdp: re.sub("a=ice-ufrag.*\r\n", "", sdp), "ice-ufrag"),
        (lambda sdp: sdp.replace("a=mid:0\r\n", ""), "mid"),
        (lambda sdp: sdp.replace("recvonly", "sendonly"), "must receive video"),
        (lambda sdp: sdp.replace("recvonly", "inactive"), "must receive video"),
        (lambda sdp: sdp + "a=x\r\n" * 400, "400 lines"),
        (lambda sdp: sdp + "a=candidate:1 1 udp 1 10.0.0.1 5 typ host\r\n" * 21, "20 candidates"),
    ],
)
def test_a_broken_offer_is_refused_in_words(change: object, words: str) -> None:
    assert callable(change)
    with pytest.raises(BadRequest, match=words) as caught:
        check_offer(change(FIREFOX), "receive", VP8)
    assert caught.value.reason == "sdp"


def test_too_large_an_offer() -> None:
    with pytest.raises(TooLarge):
        check_offer(FIREFOX + "a=" + "x" * 65536, "receive", VP8)


@pytest.mark.parametrize(
    ("fmtp", "is_served"),
    [
        ("profile-level-id=42e01f;level-asymmetry-allowed=1;packetization-mode=1", True),
        ("packetization-mode=1", True),
        ("profile-level-id=42001f;packetization-mode=1", True),
        ("profile-level-id=42e01f", False),
        ("profile-level-id=640c1f;packetization-mode=1", False),
        ("profile-level-id=zzz;packetization-mode=1", False),
    ],
)
def test_h264_is_taken_in_the_profile_and_packing_that_we_speak(fmtp: str, is_served: bool) -> None:
    only_h264 = FIREFOX.replace("VP8/90000", f"H264/90000\na=fmtp:120 {fmtp}")
    if is_served:
        check_offer(only_h264, "receive", BOTH)
        return
    with pytest.raises(UnsupportedMediaType, match=r"VP8 or H\.264"):
        check_offer(only_h264, "receive", BOTH)


def test_an_offer_without_our_codec_is_told_which_is_needed() -> None:
    with pytest.raises(UnsupportedMediaType, match="needs VP8") as caught:
        check_offer(FIREFOX.replace("VP8/90000", "H264/90000"), "receive", VP8)
    assert caught.value.reason == "codec"


def test_lone_surrogates_are_refused_like_any_other_text() -> None:
    with pytest.raises(SurveillxError):
        check_offer("\ud800" * 10, "receive", VP8)


@pytest.mark.parametrize("fmtp", ["profile-level-id=640c1f;packetization-mode=1", "profile-level-id=4d0028", ""])
def test_a_publisher_may_send_h264_of_any_profile(fmtp: str) -> None:
    """aiortc is shown what it knows; the answer says what was offered."""
    lines = f"a=fmtp:120 {fmtp}" if fmtp else "a=x-nothing"
    offer = FIREFOX.replace("recvonly", "sendonly").replace("VP8/90000", f"H264/90000\r\n{lines}")
    check_offer(offer, "send", BOTH)
    assert needs_any_h264(offer)
    h264 = OfferedH264(offer)
    assert "a=fmtp:120 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f\r\n" in h264.offer
    assert not needs_any_h264(h264.offer)
    assert h264.answer(h264.offer).replace(f"{lines}\r\n", "") == offer.replace(f"{lines}\r\n", "")
    assert (f"\r\n{lines}\r\n" in h264.answer(h264.offer)) or not fmtp
    assert not needs_any_h264(FIREFOX.replace("recvonly", "sendonly")), "VP8 needs nothing of that"
