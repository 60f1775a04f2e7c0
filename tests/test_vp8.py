"""Cutting VP8 pictures, held against aiortc's reading of them."""

from __future__ import annotations

import pytest
from aiortc.codecs.vpx import Vp8Encoder, VpxPayloadDescriptor

from server.vp8 import MAX_PAYLOAD_BYTES, PICTURE_IDS, packetise


@pytest.mark.parametrize("size", [1, 1295, 1296, 1297, 40_000])
@pytest.mark.parametrize("picture_id", [0, 127, PICTURE_IDS - 1])
def test_a_picture_is_cut_as_aiortc_cuts_it(size: int, picture_id: int) -> None:
    data = bytes(number % 251 for number in range(size))
    payloads = packetise(data, picture_id)
    assert list(payloads) == Vp8Encoder._packetize(data, picture_id)
    parsed = [VpxPayloadDescriptor.parse(payload) for payload in payloads]
    assert b"".join(rest for _, rest in parsed) == data
    assert [descriptor.partition_start for descriptor, _ in parsed] == [1] + [0] * (len(payloads) - 1)
    assert {descriptor.picture_id for descriptor, _ in parsed} == {picture_id}
    assert max(map(len, payloads)) <= MAX_PAYLOAD_BYTES
