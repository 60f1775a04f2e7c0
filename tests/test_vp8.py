"""Cutting VP8 pictures, held against aiortc's reading of them."""

from __future__ import annotations

import pytest
from aiortc.codecs.vpx import VpxPayloadDescriptor

from server.vp8 import MAX_PAYLOAD_BYTES, packetise


@pytest.mark.parametrize("size", [1, 1298, 1299, 1300, 40_000])
def test_a_picture_is_cut_so_that_a_receiver_can_put_it_together(size: int) -> None:
    data = bytes(number % 251 for number in range(size))
    payloads = packetise(data)
    parsed = [VpxPayloadDescriptor.parse(payload) for payload in payloads]
    assert b"".join(rest for _, rest in parsed) == data
    assert [descriptor.partition_start for descriptor, _ in parsed] == [1] + [0] * (len(payloads) - 1)
    assert {descriptor.picture_id for descriptor, _ in parsed} == {None}
    assert max(map(len, payloads)) <= MAX_PAYLOAD_BYTES
