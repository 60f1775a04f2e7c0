"""H.264 of publishers in profiles and packings that aiortc does not negotiate, though it decodes them.

aiortc knows baseline and constrained baseline with packetization-mode 1 (aiortc/codecs/__init__.py init_codecs) and
takes nothing else (aiortc/rtcpeerconnection.py is_codec_compatible). Its decoder is libavcodec, which reads every
profile, and its depayloader reads single NAL units as well as fragments. So aiortc is shown the offer with parameters
that it knows, and the answer says those that were offered (RFC 6184 section 8.2.2: both sides name the same profile and
mode). Pure.
"""

from __future__ import annotations

import re

_H264 = re.compile(r"a=rtpmap:(\d+) H264/90000", re.IGNORECASE)
_KNOWN = "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"


class OfferedH264:
    """An offer whose H.264 aiortc shall take as it comes: `offer` is what aiortc is told."""

    def __init__(self, sdp: str) -> None:
        self._payloads = set(_H264.findall(sdp))
        self._offered = {
            payload: line for line in sdp.splitlines() if (payload := _format_of(line)) and payload in self._payloads
        }
        self.offer = self._rewritten(sdp, dict.fromkeys(self._payloads, _KNOWN))

    def answer(self, sdp: str) -> str:
        """The answer as the publisher is told: with the parameters it offered."""
        return self._rewritten(sdp, {payload: line.partition(" ")[2] for payload, line in self._offered.items()})

    def _rewritten(self, sdp: str, parameters: dict[str, str]) -> str:
        """Each H.264 payload type with these parameters, or without any."""
        lines = []
        for line in sdp.splitlines():
            if _format_of(line) in self._payloads:
                continue
            lines.append(line)
            match = _H264.fullmatch(line)
            if match and match[1] in parameters:
                lines.append(f"a=fmtp:{match[1]} {parameters[match[1]]}")
        return "\r\n".join([*lines, ""])


def _format_of(line: str) -> str | None:
    """The payload type whose parameters the line gives."""
    match = re.match(r"a=fmtp:(\d+) ", line)
    return match[1] if match else None
