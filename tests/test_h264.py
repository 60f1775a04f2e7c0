"""Cutting H.264 pictures, held against aiortc's reading of them."""

from __future__ import annotations

import pytest
from aiortc.codecs.h264 import H264PayloadDescriptor

from server.encode import SharedEncoder
from server.h264 import packetise
from server.vp8 import MAX_PAYLOAD_BYTES

from .peers import picture

LONG_START = b"\x00\x00\x00\x01"
START = b"\x00\x00\x01"
PARAMETERS = (b"\x67\x42\xc0\x1f\x01\x02\x03", b"\x68\xce\x06\xe2")


def unit(kind: int, size: int) -> bytes:
    """A NAL unit of that many octets, without anything that looks like a start code."""
    return bytes([0x60 | kind]) + bytes(number % 250 + 1 for number in range(size - 1))


def put_together(payloads: tuple[bytes, ...]) -> bytes:
    """What a receiver's depayloader makes of them."""
    return b"".join(H264PayloadDescriptor.parse(payload)[1] for payload in payloads)


@pytest.mark.parametrize("size", [2, 1299, 1300, 1301, 2597, 2598, 40_000])
def test_a_slice_is_cut_so_that_a_receiver_can_put_it_together(size: int) -> None:
    slice_ = unit(5, size)
    payloads = packetise(LONG_START + slice_)
    assert put_together(payloads) == LONG_START + slice_
    assert max(map(len, payloads)) <= MAX_PAYLOAD_BYTES
    assert len(payloads) == (1 if size <= MAX_PAYLOAD_BYTES else -(-(size - 1) // (MAX_PAYLOAD_BYTES - 2)))


def test_parameters_share_a_payload_ahead_of_the_slices() -> None:
    units = [*PARAMETERS, unit(5, 3000), unit(5, 20)]
    payloads = packetise(b"".join(START + each for each in units))
    assert payloads[0][0] & 0x1F == 24
    assert put_together(payloads) == b"".join(LONG_START + each for each in units)


def test_start_codes_of_either_length_and_zeros_at_the_end_are_no_part_of_a_unit() -> None:
    assert packetise(LONG_START + b"\x61\x10\x80" + START + b"\x61\x20\x80\x00\x00") == (
        b"\x61\x10\x80",
        b"\x61\x20\x80",
    )
    assert packetise(START + PARAMETERS[0]) == (PARAMETERS[0],), "alone it needs no aggregation"


def test_what_the_encoder_makes_arrives_as_it_was() -> None:
    encoder = SharedEncoder("H264", 2_000_000)
    for number in range(3):
        frame = picture(1280, 720, number / 30)
        frame.pts = number * 3000
        (packet,) = encoder.encode(frame)
        data = bytes(packet)
        assert put_together(packetise(data)).replace(LONG_START, START) == data.replace(LONG_START, START)
