"""VP8 in RTP (RFC 7741): cuts one encoded picture into the payloads that every viewer gets."""

from __future__ import annotations

import struct

# As aiortc/codecs/vpx.py PACKET_MAX: with RTP header, SRTP tag, UDP and IPv6 it stays below 1,500 bytes.
MAX_PAYLOAD_BYTES = 1300
PICTURE_IDS = 1 << 15

_DESCRIPTOR = struct.Struct("!BBH")
_EXTENDED = 0x80
_START = 0x10
_HAS_PICTURE_ID = 0x80
_LONG_PICTURE_ID = 0x8000


def packetise(data: bytes, picture_id: int) -> tuple[bytes, ...]:
    """Payloads of at most `MAX_PAYLOAD_BYTES`: a descriptor with a 15-bit picture id (section 4.2), then the data."""
    room = MAX_PAYLOAD_BYTES - _DESCRIPTOR.size
    first = _DESCRIPTOR.pack(_EXTENDED | _START, _HAS_PICTURE_ID, _LONG_PICTURE_ID | picture_id)
    later = _DESCRIPTOR.pack(_EXTENDED, _HAS_PICTURE_ID, _LONG_PICTURE_ID | picture_id)
    return tuple((later if start else first) + data[start : start + room] for start in range(0, len(data), room))
