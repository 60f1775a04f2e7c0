"""What a peer says of ICE after its offer: `application/trickle-ice-sdpfrag` (RFC 8840), sent by PATCH.

`parse_fragment` is the gate such a fragment passes; `RemoteIce` knows the ICE session that the offer began, and what of
a fragment may reach aiortc. Pure; no network.
"""

from __future__ import annotations

import ipaddress
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass

from aiortc import RTCIceCandidate
from aiortc.sdp import SessionDescription

from .errors import BadRequest
from .sdp import MAX_CANDIDATES, MAX_LINES, is_ice_text

MEDIA_TYPE = "application/trickle-ice-sdpfrag"

# Session-level lines stand before the first m= line; a pseudo m= line and a=mid open each section (section 4.4).
_LINE = re.compile(r"[a-z]=\S.*")
# RFC 8839 section 5.1; a token or an address where spaces end it.
_CANDIDATE = re.compile(
    r"[\w+/]{1,32} (?P<component>\d{1,3}) (?P<transport>\w+) (?P<priority>\d{1,10}) (?P<host>\S{1,255}) "
    r"(?P<port>\d{1,5}) typ (?P<type>host|srflx|prflx|relay)( .*)?",
    re.ASCII,
)
_RTP_COMPONENT = 1


@dataclass(frozen=True)
class Fragment:
    """One fragment: the ICE session it belongs to, the sections it names, its candidates.

    `password` is empty where the peer left it out.
    """

    ufrag: str
    password: str
    mids: frozenset[str]
    candidates: tuple[RTCIceCandidate, ...]


def parse_fragment(text: str) -> Fragment:
    """Read a fragment.

    Raises:
        BadRequest: it is malformed, names no ICE session or more than one.
    """
    lines = [line for line in text.splitlines() if line]
    _require(0 < len(lines) <= MAX_LINES, f"The fragment must have 1 to {MAX_LINES} lines.")
    _require(all(map(_LINE.fullmatch, lines)), "The fragment has a line that is not of a session description.")
    ufrag = _one(_values(lines, "ice-ufrag"), "ice-ufrag")
    password = _one(_values(lines, "ice-pwd"), "ice-pwd")
    _require(is_ice_text(ufrag, 4), "The fragment's ice-ufrag is missing or malformed.")
    _require(not password or is_ice_text(password, 22), "The fragment's ice-pwd is malformed.")
    candidates = tuple(_candidate(value) for value in _values(lines, "candidate"))
    return Fragment(ufrag, password, frozenset(_values(lines, "mid")), candidates)


class RemoteIce:
    """The ICE session in force on the peer's side, and its strong ETag (RFC 9725 section 4.3.1)."""

    def __init__(self, offer_sdp: str) -> None:
        description = SessionDescription.parse(offer_sdp)
        self._mids = [media.rtp.muxId for media in description.media]
        bundles = [group.items for group in description.group if group.semantic == "BUNDLE"]
        self._transport_mid = str(bundles[0][0]) if bundles and bundles[0] else self._mids[0]
        first = next(media for media in description.media if media.rtp.muxId == self._transport_mid)
        self._credentials = (first.ice.usernameFragment, first.ice.password) if first.ice else ("", "")
        self._candidates_left = MAX_CANDIDATES - sum(len(media.ice_candidates) for media in description.media)
        self.etag = _new_etag()

    def is_restart(self, fragment: Fragment) -> bool:
        """Whether the fragment asks for a new ICE session (RFC 9725 section 4.3.3).

        Raises:
            BadRequest: it belongs to another offer than this one.
        """
        _require(fragment.mids <= set(self._mids), "The fragment names a section that the offer did not have.")
        ufrag, password = self._credentials
        is_same = fragment.ufrag == ufrag and fragment.password in ("", password)
        _require(is_same or bool(fragment.password), "A new ICE session needs an ice-pwd.")
        return not is_same

    def take(self, fragment: Fragment) -> list[RTCIceCandidate]:
        """The candidates that aiortc may be told of: addresses over UDP, `MAX_CANDIDATES` a session at most.

        Others are passed over: names would be looked up (mDNS waits a second for each), TCP is not spoken, and the
        peer's own checks teach its address in any case (RFC 8445 section 7.3.1.3).
        """
        usable = [each for each in fragment.candidates if _is_usable(each)][: max(0, self._candidates_left)]
        self._candidates_left -= len(usable)
        for candidate in usable:
            candidate.sdpMid = self._transport_mid  # all sections share one transport (BUNDLE)
        return usable


def _new_etag() -> str:
    return f'"{secrets.token_urlsafe(8)}"'


def _values(lines: Iterable[str], attribute: str) -> list[str]:
    start = f"a={attribute}:"
    return [line.removeprefix(start).strip() for line in lines if line.startswith(start)]


def _one(values: list[str], attribute: str) -> str:
    _require(len(set(values)) <= 1, f"The fragment has more than one {attribute}; sections that are bundled share it.")
    return values[0] if values else ""


def _candidate(value: str) -> RTCIceCandidate:
    """One candidate line, as aiortc/sdp.py candidate_from_sdp reads it, of what it would trip over."""
    match = _CANDIDATE.fullmatch(value)
    if match is None:
        raise BadRequest("The fragment has a candidate that cannot be read (RFC 8839).", reason="sdp")
    port, priority = int(match["port"]), int(match["priority"])
    _require(port <= 65535 and priority < 2**32, "The fragment has a candidate that is out of range.")
    return RTCIceCandidate(
        component=int(match["component"]),
        foundation=value.split(maxsplit=1)[0],
        ip=match["host"],
        port=port,
        priority=priority,
        protocol=match["transport"].lower(),
        type=match["type"],
    )


def _is_usable(candidate: RTCIceCandidate) -> bool:
    is_media = candidate.component == _RTP_COMPONENT and candidate.protocol == "udp" and candidate.port > 0
    return is_media and _is_address(candidate.ip)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _require(condition: bool, detail: str) -> None:
    if not condition:
        raise BadRequest(detail, reason="sdp")
