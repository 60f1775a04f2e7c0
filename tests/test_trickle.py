"""Trickled candidates: what clients send is read, what is broken refused, and little of it reaches aiortc."""

from __future__ import annotations

import pytest

from server.errors import BadRequest
from server.sdp import MAX_CANDIDATES
from server.trickle import Fragment, RemoteIce, parse_fragment

from .test_sdp import FIREFOX

# RFC 8840 section 9, with the credentials of FIREFOX.
FRAGMENT = """a=ice-options:trickle ice2
a=group:BUNDLE 0
m=video 9 UDP/TLS/RTP/SAVPF 120
a=mid:0
a=ice-ufrag:0a1b2c3d
a=ice-pwd:0123456789abcdef0123456789abcdef
a=candidate:1387637174 1 udp 2122260223 192.0.2.1 61764 typ host generation 0 ufrag 0a1b2c3d network-id 1
a=candidate:3471623853 1 udp 2122194687 2001:db8::1 61765 typ srflx raddr :: rport 9
a=candidate:473322822 1 tcp 1518280447 192.0.2.1 9 typ host tcptype active
a=candidate:5 1 udp 2122260223 4c1f6e0a-1b2c-4d3e-8f90-123456789abc.local 61764 typ host
a=candidate:6 2 udp 2122260222 192.0.2.1 61766 typ host
a=end-of-candidates
""".replace("\n", "\r\n")


def with_candidates(lines: list[str]) -> Fragment:
    return parse_fragment(FRAGMENT.partition("a=candidate")[0] + "".join(f"a=candidate:{line}\r\n" for line in lines))


def test_addresses_over_udp_reach_aiortc_and_nothing_else() -> None:
    fragment = parse_fragment(FRAGMENT)
    assert (fragment.ufrag, fragment.mids, len(fragment.candidates)) == ("0a1b2c3d", frozenset("0"), 5)
    ice = RemoteIce(FIREFOX)
    assert not ice.is_restart(fragment)
    taken = ice.take(fragment)
    assert [(each.ip, each.port, each.type, each.sdpMid) for each in taken] == [
        ("192.0.2.1", 61764, "host", "0"),
        ("2001:db8::1", 61765, "srflx", "0"),
    ]


def test_a_session_names_only_so_many() -> None:
    ice = RemoteIce(FIREFOX)  # whose offer named two
    batch = with_candidates([f"1 1 udp 5 10.0.0.{number} 5 typ host" for number in range(12)])
    assert len(ice.take(batch)) == 12
    assert len(ice.take(batch)) == MAX_CANDIDATES - 2 - 12
    assert ice.take(batch) == []


def test_candidates_of_a_bundled_section_go_to_the_transport_of_the_first() -> None:
    second = FIREFOX[FIREFOX.index("m=video") :].replace("m=video", "m=audio").replace("mid:0", "mid:1")
    both = FIREFOX.replace("BUNDLE 0", "BUNDLE 0 1") + second.replace("VP8/90000", "opus/48000/2")
    fragment = parse_fragment(FRAGMENT.replace("a=mid:0", "a=mid:1"))
    ice = RemoteIce(both)
    assert not ice.is_restart(fragment)
    assert {each.sdpMid for each in ice.take(fragment)} == {"0"}


@pytest.mark.parametrize(
    ("old", "new", "is_restart"),
    [
        ("ice-ufrag:0a1b2c3d", "ice-ufrag:9z8y", True),
        ("ice-pwd:0123", "ice-pwd:9999", True),
        ("a=ice-pwd:0123456789abcdef0123456789abcdef\r\n", "", False),
    ],
)
def test_other_credentials_ask_for_a_restart(old: str, new: str, is_restart: bool) -> None:
    assert RemoteIce(FIREFOX).is_restart(parse_fragment(FRAGMENT.replace(old, new))) is is_restart


def test_what_does_not_belong_to_the_offer_is_refused() -> None:
    with pytest.raises(BadRequest, match="section"):
        RemoteIce(FIREFOX).is_restart(parse_fragment(FRAGMENT.replace("a=mid:0", "a=mid:7")))
    nameless = FRAGMENT.replace("a=ice-pwd:0123456789abcdef0123456789abcdef\r\n", "").replace("0a1b2c3d", "9z8y")
    with pytest.raises(BadRequest, match="ice-pwd"):
        RemoteIce(FIREFOX).is_restart(parse_fragment(nameless))


@pytest.mark.parametrize(
    "broken",
    [
        "",
        "\r\n\r\n",
        "hello",
        '{"candidate": ""}',
        "\0" * 50,
        FRAGMENT.replace("a=ice-ufrag:0a1b2c3d\r\n", ""),
        FRAGMENT.replace("ufrag:0a1b2c3d", "ufrag:<b>"),
        FRAGMENT.replace("pwd:0123", "pwd:<b>"),
        FRAGMENT + "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=ice-ufrag:zzzz\r\n",
        FRAGMENT + "a=x\r\n" * 400,
        FRAGMENT.replace("192.0.2.1 61764 typ host", "192.0.2.1 99999 typ host"),
        FRAGMENT.replace("2122260223", "9999999999"),
        FRAGMENT.replace("typ host", "typ any"),
        FRAGMENT.replace(" 61764 typ", " typ"),
        FRAGMENT.replace("61764", "６１７６４"),
        FRAGMENT.replace("61764", "-1"),
    ],
)
def test_a_broken_fragment_is_refused_in_words(broken: str) -> None:
    with pytest.raises(BadRequest) as caught:
        parse_fragment(broken)
    assert caught.value.reason == "sdp"
