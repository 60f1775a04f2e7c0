"""The shared encoder, with the real codec."""

from __future__ import annotations

import av
import numpy as np
import pytest
from av.video.frame import PictureType, VideoFrame

from server.encode import CodecName, SharedEncoder

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


@pytest.mark.parametrize("codec", ["VP8", "H264"])
def test_frames_that_come_unevenly_do_not_exceed_the_bitrate(codec: CodecName) -> None:
    """A webcam in changing light: every second at another rate."""
    chance = np.random.default_rng(5)
    encoder, moment, octets = SharedEncoder(codec, 250_000), 0.0, []
    for second in range(12):
        rate = 15 if second % 2 else 30
        total = 0
        for number in range(rate):
            noisy = frame(second * 30 + number)
            plane = np.frombuffer(noisy.planes[0], np.uint8).reshape(360, -1)  # type: ignore[call-overload]
            plane[:, :640] += chance.integers(0, 12, (360, 640), np.uint8)
            noisy.pts = round((moment + number / rate) * 90_000)
            total += sum(packet.size for packet in encoder.encode(noisy))
        moment += 1.0
        octets.append(total)
    assert max(octets[2:]) * 8 <= 1.3 * 250_000


def test_a_failing_codec_loses_one_frame_and_starts_anew(caplog: pytest.LogCaptureFixture) -> None:
    active: list[bool] = []
    encoder = SharedEncoder("VP8", 1_000_000, active.append)
    encoder.encode(frame(1))
    assert encoder._codec is not None
    encoder._codec.encode(None)
    assert encoder.encode(frame(1)) == [], "a codec that was told the end takes nothing more"
    assert "rebuilt" in caplog.text
    (packet,) = encoder.encode(frame(2))
    assert packet.is_keyframe
    encoder.close()
    encoder.close()
    assert active == [True, False, True, False]
