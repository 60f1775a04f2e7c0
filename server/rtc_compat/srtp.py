"""Stamps and protects the packets of a picture for one viewer, in memory that all viewers use in turn.

pylibsrtp's Session.protect copies each packet three times and makes four objects for it; here a packet is put together
where libsrtp works on it and where the system takes it from. A burst is written and sent without a pause in between,
so one memory serves all. Event loop's thread only.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from aiortc import RTCRtpSender
from aiortc.rtp import HeaderExtensions
from pylibsrtp import ERRORS, SRTP_MAX_TRAILER_LEN, Error, Session
from pylibsrtp._binding import ffi, lib

from .private import private

# In one burst; with the largest packets as much as one call of the system takes (65,507 bytes).
BURST_PACKETS = 43
PACKET_BYTES = 1500
# Each packet has a place of its own, which begins at a multiple of 64: libsrtp asks for aligned packets. It may write
# a trailer of the greatest length (pylibsrtp/__init__.py protect).
_PLACE_BYTES = -(-(PACKET_BYTES + SRTP_MAX_TRAILER_LEN) // 64) * 64

_VERSION = 0x80
_HAS_EXTENSION = 0x10
_MARKER = 0x80
_NO_TIME, _ANY_TIME = 0, 0xFFFFFF

_memory = bytearray(BURST_PACKETS * _PLACE_BYTES)
_view = memoryview(_memory)
_length = ffi.new("int *")
_places = [(start, ffi.from_buffer(_memory) + start) for start in range(0, len(_memory), _PLACE_BYTES)]


class Stamp:
    """What sets one viewer's packets apart from another's: RTP header and extensions (RFC 3550 section 5.1)."""

    def __init__(self, sender: RTCRtpSender, payload_type: int) -> None:
        self._ssrc = sender._ssrc
        self._payload_type = payload_type
        # As upstream writes it, once; afterwards only the time in it changes.
        extension, other = (bytearray(_extension(sender, time)) for time in (_NO_TIME, _ANY_TIME))
        self._extension = extension
        self._time_at = next((at for at, octet in enumerate(other) if octet != extension[at]), None)
        self._first_octet = _VERSION | (_HAS_EXTENSION if extension else 0)
        self._header = struct.Struct(f"!BBHLL{len(extension)}s")

    def at(self, abs_send_time: int) -> None:
        """What follows leaves at this moment, in 2**-18 s of 64 s (24 bits, header extension abs-send-time)."""
        if self._time_at is not None:
            self._extension[self._time_at : self._time_at + 3] = abs_send_time.to_bytes(3)

    def burst(
        self, session: Session, number: int, timestamp: int, payloads: Sequence[bytes], *, is_end: bool
    ) -> list[memoryview]:
        """The protected packets of at most `BURST_PACKETS` payloads, valid until the next burst of any viewer.

        They are numbered from `number` on; `is_end`: the last one ends a picture.

        Raises:
            ValueError: a payload is too long. Error: libsrtp refuses.
        """
        stamp, size, srtp, protect = self._header.pack_into, self._header.size, session._srtp[0], lib.srtp_protect
        first_octet, second_octet, ssrc, extension = self._first_octet, self._payload_type, self._ssrc, self._extension
        last = len(payloads) - 1 if is_end else -1
        packets = []
        for index, (payload, (start, place)) in enumerate(zip(payloads, _places, strict=False)):
            octets = size + len(payload)
            if octets > PACKET_BYTES:
                raise ValueError(f"a payload of {len(payload)} bytes does not fit a packet")
            if index == last:
                second_octet |= _MARKER
            stamp(_memory, start, first_octet, second_octet, (number + index) & 0xFFFF, timestamp, ssrc, extension)
            _view[start + size : start + octets] = payload
            _length[0] = octets
            status = protect(srtp, place, _length)
            if status:
                raise Error(ERRORS[status])
            packets.append(_view[start : start + _length[0]])
        return packets


def _extension(sender: RTCRtpSender, abs_send_time: int) -> bytes:
    """The header extensions as negotiated (RFC 3550 section 5.3.1, RFC 8285)."""
    values = HeaderExtensions(abs_send_time=abs_send_time, mid=private(sender, "mid"))
    profile, value = private(sender, "rtp_header_extensions_map").set(values)
    return struct.pack("!HH", profile, len(value) // 4) + value if value else b""
