"""The shared encoder, with the real codec."""

from __future__ import annotations

import av
import pytest
from av.video.frame import PictureType, VideoFrame

from server.encode import SharedEncoder

from .peers import picture


def frame(number: int, width: int = 640, height: int = 360) -> VideoFrame:
    made = picture(width, height, number / 30)
    made.pts = number * 3000
    return made


def test_what_is_encoded_decodes_to_the_same_picture_and_time() -> None:
    encoder, decoder = SharedEncoder("VP8", 1_000_000), av.CodecContext.create("libvpx", "r")
    for number in range(10):
        packets = encoder.encode(frame(number))
        assert len(packets) == 1
        assert packets[0].pts == number * 3000
        assert packets[0].is_keyframe == (number == 0)
        (decoded,) = decoder.decode(packets[0])
        difference = abs(decoded.to_ndarray()[:360].astype(int) - frame(number).to_ndarray()[:360].astype(int))
        assert difference.mean() < 6


def test_a_keyframe_comes_when_it_is_asked_for_and_only_then() -> None:
    encoder = SharedEncoder("VP8", 1_000_000)
    keyframes = []
    for number in range(60):
        source = frame(number)
        source.pict_type = PictureType.I  # as a decoded keyframe arrives
        (packet,) = encoder.encode(source, force_keyframe=number == 40)
        if packet.is_keyframe:
            keyframes.append(number)
    assert keyframes == [0, 40]


def test_a_new_size_begins_with_a_keyframe() -> None:
    encoder = SharedEncoder("VP8", 1_000_000)
    encoder.encode(frame(0))
    encoder.encode(frame(1))
    (packet,) = encoder.encode(frame(2, 320, 180))
    assert packet.is_keyframe


def test_keyframes_are_kept_small_enough_not_to_choke_a_receiver() -> None:
    encoder = SharedEncoder("VP8", 1_000_000)
    sizes = [encoder.encode(frame(number), number == 30)[0].size for number in range(31)]
    assert sizes[30] <= 5 * 1_000_000 / 8 / 30


def test_a_failing_codec_loses_one_frame_and_starts_anew(caplog: pytest.LogCaptureFixture) -> None:
    active: list[bool] = []
    encoder = SharedEncoder("VP8", 1_000_000, active.append)
    encoder.encode(frame(1))
    assert encoder.encode(frame(0)) == [], "time running backwards is an error of the codec"
    assert "rebuilt" in caplog.text
    (packet,) = encoder.encode(frame(2))
    assert packet.is_keyframe
    encoder.close()
    encoder.close()
    assert active == [True, False, True, False]
