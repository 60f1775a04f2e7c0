"""The gate every offer passes before aiortc sees it.

aiortc answers a broken offer with one of six exceptions, or with a peer that waits for ever; here it gets a plain 400
instead. The rules are those of a WebRTC offer (RFC 8829) that bundles one video section and at most one audio and one
data section. Pure functions; no network.
"""

from __future__ import annotations

import re
from typing import Literal

from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from aiortc.sdp import H264Profile, MediaDescription, SessionDescription, parse_h264_profile_level_id

from .errors import BadRequest, TooLarge, UnsupportedMediaType

MAX_BYTES = 64 * 1024
MAX_LINES = 400
MAX_CANDIDATES = 20
_BASELINE = "H.264 (a baseline profile with packetization-mode=1)"
MAX_SECTIONS = {"video": 1, "audio": 1, "application": 1}

Direction = Literal["send", "receive"]


class TooManySections(BadRequest):
    """The offer can be read, but it has more video or audio sections than a camera's picture needs."""


def check_offer(sdp: str, peer: Direction, codecs: tuple[str, ...]) -> None:
    """Refuse an offer that aiortc could not serve.

    `peer` says what the other side wants to do with its video; it must offer one of `codecs` ("video/VP8").

    Raises:
        TooLarge: more than `MAX_BYTES`.
        UnsupportedMediaType: none of `codecs` is offered.
        TooManySections: a kind of section comes more than once.
        BadRequest: anything else that is wrong, in words.
    """
    if len(sdp.encode(errors="surrogatepass")) > MAX_BYTES:
        raise TooLarge(f"The offer is larger than {MAX_BYTES // 1024} KiB.")
    lines = sdp.splitlines()
    _require(len(lines) <= MAX_LINES, f"The offer has more than {MAX_LINES} lines.")
    candidates = sum(line.startswith("a=candidate:") for line in lines)
    _require(candidates <= MAX_CANDIDATES, f"The offer names more than {MAX_CANDIDATES} candidates.")
    description = _parse(sdp)
    _check_sections(description)
    for media in description.media:
        _check_transport(media)
    video = next(media for media in description.media if media.kind == "video")
    _check_direction(video, peer)
    _check_codecs(video, peer, codecs)


def needs_any_h264(sdp: str) -> bool:
    """Whether a publisher's offer that passed has no codec but H.264 as aiortc does not negotiate it."""
    video = next(media for media in _parse(sdp).media if media.kind == "video")
    return not any(
        codec.mimeType.lower() in ("video/vp8", "video/h264") and _is_served(codec) for codec in video.rtp.codecs
    )


def _parse(sdp: str) -> SessionDescription:
    try:
        return SessionDescription.parse(sdp)
    except Exception as error:  # the parser answers bad input with six kinds of exception, none of them its own
        raise BadRequest("The offer is not a session description that can be read (RFC 8866).", reason="sdp") from error


def _check_sections(description: SessionDescription) -> None:
    kinds = [media.kind for media in description.media]
    for kind in kinds:
        _require(kind in MAX_SECTIONS, "The offer has a section that is neither video nor audio nor data.")
        if kinds.count(kind) > MAX_SECTIONS[kind]:
            raise TooManySections(f"The offer has more than one {kind} section.", reason="sdp")
    _require("video" in kinds, "The offer has no video section; a camera's picture is what this is about.")
    mids = [media.rtp.muxId for media in description.media]
    _require(all(mids) and len(set(mids)) == len(mids), "Each section of the offer needs a mid of its own.")
    bundles = [group.items for group in description.group if group.semantic == "BUNDLE"]
    _require(len(bundles) <= 1, "The offer has more than one BUNDLE group.")
    if bundles or len(mids) > 1:
        _require(
            bool(bundles) and sorted(map(str, bundles[0])) == sorted(mids),
            "The offer must BUNDLE exactly its sections, each once.",
        )


def _check_transport(media: MediaDescription) -> None:
    ice, dtls = media.ice, media.dtls
    _require(ice is not None and is_ice_text(ice.usernameFragment, 4), "The offer's ice-ufrag is malformed.")
    _require(ice is not None and is_ice_text(ice.password, 22), "The offer's ice-pwd is malformed.")
    if dtls is None or not dtls.fingerprints:
        raise BadRequest("The offer has no DTLS fingerprint or no a=setup line.", reason="sdp")
    sha256 = [each.value for each in dtls.fingerprints if each.algorithm.lower() == "sha-256"]
    _require(bool(sha256) and all(map(_is_sha256, sha256)), "The offer needs a sha-256 fingerprint.")
    _require(dtls.role is not None, "The offer must say a=setup:actpass.")
    if media.kind != "application":
        _require(bool(media.rtcp_mux), "The offer must use rtcp-mux.")
        _require(bool(media.rtp.codecs), f"The offer's {media.kind} section names no codec.")


def _check_direction(video: MediaDescription, peer: Direction) -> None:
    wanted = {"send": ("sendonly", "sendrecv"), "receive": ("recvonly", "sendrecv")}[peer]
    direction = video.direction or "sendrecv"
    what = "A publisher's offer must send video" if peer == "send" else "A viewer's offer must receive video"
    _require(direction in wanted, f"{what}; this one is {direction}.")


def _check_codecs(video: MediaDescription, peer: Direction, codecs: tuple[str, ...]) -> None:
    # A publisher's H.264 may be of any profile: it is only decoded. A viewer's must fit what is encoded here.
    offered = {codec.mimeType.lower() for codec in video.rtp.codecs if peer == "send" or _is_served(codec)}
    if not offered & {codec.lower() for codec in codecs}:
        words = {"video/VP8": "VP8", "video/H264": "H.264" if peer == "send" else _BASELINE}
        names = " or ".join(words[codec] for codec in codecs)
        raise UnsupportedMediaType(
            f"This server needs {names}, and the offer has nothing of that. "
            "Enable it in the sending or receiving program.",
            reason="codec",
        )


def _is_served(codec: RTCRtpCodecParameters) -> bool:
    """Whether aiortc would take it: H.264 comes in profiles and in ways to be packed (RFC 6184 section 8.1).

    As aiortc/rtcpeerconnection.py is_codec_compatible decides; what is left without a codec there has no words.
    """
    if codec.mimeType.lower() != "video/h264":
        return True
    if str(codec.parameters.get("packetization-mode")) != "1":
        return False
    try:
        profile, _ = parse_h264_profile_level_id(str(codec.parameters.get("profile-level-id", "42e01f")))
    except ValueError:
        return False
    return profile in (H264Profile.PROFILE_BASELINE, H264Profile.PROFILE_CONSTRAINED_BASELINE)


def is_ice_text(text: str | None, least: int) -> bool:
    """Whether this can be an ice-ufrag or ice-pwd of at least so many characters."""
    # RFC 8839 section 5.4 allows letters, digits, + and /; some clients use the URL-safe alphabet.
    return text is not None and re.fullmatch(rf"[A-Za-z0-9+/=_-]{{{least},256}}", text) is not None


def _is_sha256(value: str) -> bool:
    return re.fullmatch(r"([0-9A-Fa-f]{2}:){31}[0-9A-Fa-f]{2}", value) is not None


def _require(condition: bool, detail: str) -> None:
    if not condition:
        raise BadRequest(detail, reason="sdp")
