"""The publisher's encoder on lines that carry less than it would like."""

from __future__ import annotations

import time
from fractions import Fraction

import numpy as np
import pytest
from aiortc.codecs.vpx import VpxPayloadDescriptor
from av import VideoFrame

from server.publisher import encoder
from server.publisher.encoder import MIN_BITRATE_BPS, BitratePolicy, LineEncoder

from .peers import picture


def frame(number: int) -> object:
    made = picture(640, 360, number / 30)
    made.pts, made.time_base = number * 3000, Fraction(1, 90_000)
    return made


def noisy(number: int, noise: np.random.Generator) -> VideoFrame:
    made = VideoFrame.from_ndarray(noise.integers(0, 255, (540, 640), np.uint8), format="yuv420p")
    made.pts, made.time_base = number * 3000, Fraction(1, 90_000)
    return made


def encoded(line: LineEncoder, numbers: range, force: int = -1) -> list[list[bytes]]:
    return [line.encode(frame(number), number == force)[0] for number in numbers]  # type: ignore[arg-type]


def is_keyframe(payloads: list[bytes]) -> bool:
    return bool(payloads) and not VpxPayloadDescriptor.parse(payloads[0])[1][0] & 1


def test_the_bitrate_goes_down_at_once_and_up_in_steps() -> None:
    policy = BitratePolicy(4_000_000)
    assert policy.bitrate_bps == 2_500_000
    policy.estimated(2_700_000, 10.0)
    assert policy.bitrate_bps == 2_500_000, "not worth a new codec"
    policy.estimated(1_000_000, 10.1)
    assert policy.bitrate_bps == 900_000
    policy.estimated(500_000, 10.2)
    assert policy.bitrate_bps == 900_000, "not twice at once"
    policy.estimated(500_000, 10.7)
    assert policy.bitrate_bps == 450_000
    policy.estimated(5_000_000, 11.0)
    assert policy.bitrate_bps == 450_000
    policy.estimated(5_000_000, 13.0)
    assert policy.bitrate_bps == 4_000_000
    policy.estimated(1000, 14.0)
    assert policy.bitrate_bps == MIN_BITRATE_BPS


def test_the_most_is_reached_even_by_a_small_step_and_may_be_below_the_least() -> None:
    policy = BitratePolicy(1_000_000)
    policy.estimated(1_050_000, 1.0)
    assert policy.bitrate_bps == 1_000_000
    policy.estimated(1_000_000, 2.0)
    policy.estimated(1_150_000, 9.0)
    assert policy.bitrate_bps == 1_000_000
    assert BitratePolicy(100_000).bitrate_bps == 100_000


@pytest.mark.parametrize(("bitrate_bps", "every"), [(2_500_000, 1), (600_000, 2), (250_000, 3)])
def test_fewer_bits_mean_fewer_pictures(bitrate_bps: int, every: int) -> None:
    line = LineEncoder(bitrate_bps)
    noise = np.random.default_rng(0)
    sent = [line.encode(noisy(number, noise))[0] for number in range(60)]
    assert sum(bool(payloads) for payloads in sent[30:]) == 30 // every


def test_where_little_moves_every_picture_is_sent_however_low_the_estimate() -> None:
    line = LineEncoder(600_000)
    made = picture(640, 360)
    for number in range(60):
        made.pts, made.time_base = number * 3000, Fraction(1, 90_000)
        assert line.encode(made)[0]


def test_a_keyframe_comes_when_asked_for_but_not_twice_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    line = LineEncoder(2_500_000)
    assert is_keyframe(encoded(line, range(1))[0])
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 0.1)
    assert not is_keyframe(encoded(line, range(1, 2), force=1)[0]), "one was sent just now"
    monkeypatch.setattr(time, "monotonic", lambda: now + 1.0)
    assert is_keyframe(encoded(line, range(2, 3))[0]), "the request was not forgotten"
    assert not any(map(is_keyframe, encoded(line, range(3, 8))))


def test_another_bitrate_or_size_begins_with_a_keyframe_of_bounded_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoder, "KEYFRAME_EVERY_S", 0.0)
    line = LineEncoder(2_500_000)
    encoded(line, range(5))
    line.target_bitrate = 1_000_000
    sent = encoded(line, range(5, 10))
    assert is_keyframe(sent[0])
    assert sum(map(len, sent[0])) < 2 * encoder.KEYFRAME_SHARE * 900_000 / 8 / 30
    small = picture(320, 180)
    small.pts, small.time_base = 30_000, Fraction(1, 90_000)
    assert is_keyframe(line.encode(small)[0])
