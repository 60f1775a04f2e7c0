"""H.264 in RTP (RFC 6184, packetization-mode 1): cuts one encoded picture into the payloads that every viewer gets."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .vp8 import MAX_PAYLOAD_BYTES

# Annex B of the H.264 specification: NAL units are separated by three octets, with a zero before them at will.
_START_CODE = re.compile(rb"\x00\x00\x01")

_TYPE = 0x1F
_IMPORTANCE = 0xE0  # forbidden_zero_bit and nal_ref_idc
_STAP_A = 24
_FU_A = 28
_FU_START = 0x80
_FU_END = 0x40
# Sequence and picture parameters (7, 8), which a decoder needs before the slices; enhancement information (6).
_SMALL_TYPES = (6, 7, 8)


def packetise(data: bytes) -> tuple[bytes, ...]:
    """Payloads of at most `MAX_PAYLOAD_BYTES` from a picture as the encoder gives it (Annex B).

    Parameters and the like share a payload (STAP-A, section 5.7.1); what is too large is cut (FU-A, section 5.8).
    """
    payloads: list[bytes] = []
    small: list[bytes] = []
    for unit in _units(data):
        if unit[0] & _TYPE in _SMALL_TYPES and len(_aggregate([*small, unit])) <= MAX_PAYLOAD_BYTES:
            small.append(unit)
            continue
        if small:
            payloads.append(_aggregate(small))
            small = []
        payloads.extend([unit] if len(unit) <= MAX_PAYLOAD_BYTES else _fragments(unit))
    if small:
        payloads.append(_aggregate(small))
    return tuple(payloads)


def _units(data: bytes) -> list[bytes]:
    """The NAL units without start codes. A unit never ends with a zero (section 7.4.1), so zeros before a code go."""
    units = (each.rstrip(b"\x00") for each in _START_CODE.split(data)[1:])
    return [each for each in units if each]


def _aggregate(units: Sequence[bytes]) -> bytes:
    if len(units) == 1:
        return units[0]
    header = max(unit[0] & _IMPORTANCE for unit in units) | _STAP_A
    return bytes([header]) + b"".join(len(unit).to_bytes(2) + unit for unit in units)


def _fragments(unit: bytes) -> list[bytes]:
    """Pieces of one unit; its own first octet is split over the two that each piece begins with."""
    room = MAX_PAYLOAD_BYTES - 2
    indicator, kind = unit[0] & _IMPORTANCE | _FU_A, unit[0] & _TYPE
    starts = range(1, len(unit), room)
    flags = [0] * len(starts)
    flags[0] |= _FU_START
    flags[-1] |= _FU_END
    pairs = zip(starts, flags, strict=True)
    return [bytes([indicator, flag | kind]) + unit[start : start + room] for start, flag in pairs]
