"""VP8 in RTP (RFC 7741): cuts one encoded picture into the payloads that every viewer gets."""

from __future__ import annotations

# As aiortc/codecs/vpx.py PACKET_MAX: with RTP header, SRTP tag, UDP and IPv6 it stays below 1,500 bytes.
MAX_PAYLOAD_BYTES = 1300

# The one mandatory octet of the descriptor (section 4.2). Without picture ids a receiver orders pictures by sequence
# number alone, so a viewer may skip pictures or change its rendition and never show a gap.
_FIRST = b"\x10"
_LATER = b"\x00"


def packetise(data: bytes) -> tuple[bytes, ...]:
    """Payloads of at most `MAX_PAYLOAD_BYTES`: a descriptor of one octet, then the data."""
    room = MAX_PAYLOAD_BYTES - 1
    return tuple((_LATER if start else _FIRST) + data[start : start + room] for start in range(0, len(data), room))
