"""Offers as Chromium 156, Firefox 153 and aiortc made them, and strategies that spoil them.

What is drawn is mostly still an offer: a line gone, doubled or moved, a number or word replaced by one that programs
trip over, sections changed about. Some are only bytes. Hypothesis shrinks what fails to the few changes that matter.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from hypothesis import strategies as st

Direction = Literal["view", "publish"]

BROWSERS = ("chromium", "firefox", "aiortc")


def real_offer(browser: str, direction: Direction) -> str:
    """An offer as it was sent, with the line ends that SDP wants."""
    text = (Path(__file__).parent / f"{browser}_{direction}.sdp").read_text()
    return text.replace("\n", "\r\n")


OFFERS: dict[Direction, tuple[str, ...]] = {
    "view": tuple(real_offer(browser, "view") for browser in BROWSERS),
    "publish": tuple(real_offer(browser, "publish") for browser in BROWSERS),
}
_LINES = tuple(sorted({line for offers in OFFERS.values() for offer in offers for line in offer.split("\r\n") if line}))

# What programs trip over where a number or a word was expected.
_ODD_WORDS = (
    *("", " ", "-1", "0", "00", "1e9", "65536", "4294967296", "18446744073709551616", "9" * 400, "0x10", "NaN", "²"),
    *(
        "*",
        "..",
        "%s%n",
        "<script>",
        "x" * 300,
        "\0",
        "\r",
        "\x85",
        "\u2028",
        "\u202e",
        "٣",
        "é",
        "🙂",
        "\ud800",
        "\ufeff",
    ),
    *(
        "0.0.0.0",
        "127.0.0.1",
        "255.255.255.255",
        "224.0.0.1",
        "::",
        "::1",
        "fe80::1%lo",
        "ff02::1",
        "host.local",
        "a.b",
    ),
    *("VP8/0", "VP8/90000/0", "H264/90000", "rtx/90000", "apt=0", "apt=x", "apt=", "actpass", "holdconn", "inactive"),
)
_ODD_LINES = (
    *("a=candidate:1 1 udp 1 10.0.0.1 5 typ host", "a=candidate:1 1 udp 1 10.0.0.1 0 typ host raddr", "a=candidate:"),
    *("a=candidate:1 1 tcp 1 10.0.0.1 9 typ host tcptype active", "a=candidate:1 256 udp -1 ::1 99999 typ x"),
    *("a=candidate:1 1 udp 1 256.0.0.1 5 typ relay raddr 1.1.1.1 rport x", "a=end-of-candidates", "a=ice-lite"),
    *("a=group:BUNDLE", "a=group:BUNDLE 0 0", "a=group:BUNDLE 9", "a=group:LS 0 1", "a=mid:", "a=mid:0", "a=mid:1"),
    *("a=rtpmap:96 VP8/90000", "a=rtpmap:300 VP8/90000", "a=rtpmap:x VP8", "a=rtpmap:", "a=fmtp:97 apt=97", "a=fmtp:"),
    *("a=fmtp:96 profile-level-id=zz;packetization-mode=1", "a=rtcp-fb:* nack", "a=rtcp-fb:999 nack", "a=rtcp-fb:"),
    *("a=extmap:0 urn:x", "a=extmap:15 urn:x", "a=extmap:256 urn:x", "a=extmap:x", "a=extmap:1/sideways urn:x"),
    *(
        "a=ssrc-group:FID 1",
        "a=ssrc-group:FID 1 2",
        "a=ssrc-group:SIM",
        "a=ssrc:1 cname:",
        "a=ssrc:-1 cname:x",
        "a=ssrc:",
    ),
    *("a=setup:active", "a=setup:passive", "a=setup:", "a=fingerprint:sha-256", "a=fingerprint:sha-512 00", "a=rtcp:"),
    *(
        "a=sctp-port:0",
        "a=sctp-port:99999",
        "a=sctpmap:5000 x",
        "a=max-message-size:x",
        "a=rid:1 send",
        "a=simulcast:send 1",
    ),
    *(
        "a=sendrecv",
        "a=recvonly",
        "a=sendonly",
        "a=inactive",
        "a=rtcp-rsize",
        "a=msid:",
        "a=ice-pwd:",
        "a=ice-options:ice2",
    ),
    *(
        "m=video 0 UDP/TLS/RTP/SAVPF 96",
        "m=audio 9 RTP/AVP 0",
        "m=application 9 DTLS/SCTP 5000",
        "m=text 9 x 0",
        "m=video",
    ),
    *(
        "c=IN IP6 ::1",
        "c=IN IP4",
        "c=",
        "b=AS:-1",
        "t=",
        "v=1",
        "o=",
        "s=",
        "z",
        "=",
        "a",
        "a=",
        "a=:",
        "a=rtcp:x IN IP4 y",
    ),
)

_odd_words = st.sampled_from(_ODD_WORDS) | st.integers(-(2**70), 2**70).map(str) | st.text(max_size=20)
_odd_lines = st.sampled_from(_ODD_LINES) | st.sampled_from(_LINES)
_WORDS = re.compile(r"[^ :=/;,\r\n]+")


def _line(draw: st.DrawFn, lines: list[str]) -> int:
    return draw(st.integers(0, len(lines) - 1))


def _drop(draw: st.DrawFn, lines: list[str]) -> None:
    del lines[_line(draw, lines)]


def _double(draw: st.DrawFn, lines: list[str]) -> None:
    at = _line(draw, lines)
    lines[at:at] = [lines[at]] * draw(st.sampled_from((1, 2, 30)))


def _move(draw: st.DrawFn, lines: list[str]) -> None:
    line = lines.pop(_line(draw, lines))
    lines.insert(draw(st.integers(0, len(lines))), line)


def _insert(draw: st.DrawFn, lines: list[str]) -> None:
    lines.insert(draw(st.integers(0, len(lines))), draw(_odd_lines))


def _reword(draw: st.DrawFn, lines: list[str]) -> None:
    at = _line(draw, lines)
    words = list(_WORDS.finditer(lines[at]))
    if words:
        word = words[draw(st.integers(0, len(words) - 1))]
        lines[at] = lines[at][: word.start()] + draw(_odd_words) + lines[at][word.end() :]


def _repeat_section(draw: st.DrawFn, lines: list[str]) -> None:
    starts = [number for number, line in enumerate(lines) if line.startswith("m=")]
    if starts:
        first = draw(st.sampled_from(starts))
        end = next((number for number in starts if number > first), len(lines))
        lines.extend(lines[first:end])


def _truncate(draw: st.DrawFn, lines: list[str]) -> None:
    at = _line(draw, lines)
    del lines[at + 1 :]
    lines[at] = lines[at][: draw(st.integers(0, len(lines[at])))]


_CHANGES = (_drop, _double, _move, _insert, _reword, _reword, _repeat_section, _truncate)


@st.composite
def spoilt_offers(draw: st.DrawFn, direction: Direction) -> str:
    """A real offer after one to eight changes; now and then with other line ends."""
    lines = draw(st.sampled_from(OFFERS[direction])).removesuffix("\r\n").split("\r\n")
    for change in draw(st.lists(st.sampled_from(_CHANGES), min_size=1, max_size=8)):
        if lines:
            change(draw, lines)
    return draw(st.sampled_from(("\r\n", "\r\n", "\r\n", "\n", "\r"))).join([*lines, ""])


@st.composite
def spoilt_bytes(draw: st.DrawFn, direction: Direction) -> bytes:
    """A real offer with some of its bytes overwritten, removed or put in."""
    data = bytearray(draw(st.sampled_from(OFFERS[direction])).encode())
    for _ in range(draw(st.integers(1, 20))):
        at = draw(st.integers(0, len(data)))
        data[at : at + draw(st.integers(0, 4))] = draw(st.binary(max_size=4))
    return bytes(data)
