"""VP8 for a line that may be slow: the bitrate follows the server's estimate, and a picture is worth its bits.

aiortc's own encoder opens a new codec at every change of more than a tenth, each with a keyframe of any size: on a line
that is full already, that fills it for a second. Here a change waits until it is worth it, a keyframe is bounded, and
where the bits do not suffice there are fewer pictures, not blurred ones: recognition looks at six a second, and a face
needs its pixels. `encode` runs on a thread of the loop's executor, one call at a time; the rest on the event loop's.
"""

from __future__ import annotations

import multiprocessing
import time
from fractions import Fraction

import av
from aiortc import rtcrtpsender
from aiortc.codecs import get_encoder, vpx
from aiortc.codecs.base import Encoder
from aiortc.mediastreams import VIDEO_TIME_BASE, convert_timebase
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from av.frame import Frame
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType, VideoFrame

# Measured with the sample clip and sensor noise at 720p: what VP8 keeps to at its coarsest, 10 pictures a second.
MIN_BITRATE_BPS = 200_000
START_BITRATE_BPS = 2_500_000
# Below this bitrate, every second picture; below the next, every third; unless all of them fit, for where little moves
# the estimate is low on the best of lines.
FEWER_PICTURES_BPS = (700_000, 350_000)
FITTING = 0.8
PICTURE_WEIGHT = 1 / 15  # of the newest picture in the mean size
# Room for retransmissions and headers, which the estimate includes.
USABLE = 0.9
# Down at once, for the line is full; up when it is worth a new codec.
LOWER_AT, LOWER_EVERY_S = 0.93, 0.5
RAISE_AT, RAISE_EVERY_S = 1.15, 2.0
# A keyframe is at most so many average pictures: the line carries it in a third of a second at 30 a second.
KEYFRAME_SHARE = 4
FRAME_RATE = 30
KEYFRAME_EVERY_S = 0.5


class BitratePolicy:
    """Which bitrate to encode at, given the server's estimates. Pure but for the time it is told."""

    def __init__(self, most_bps: int) -> None:
        self._most_bps = most_bps
        self._changed_at = float("-inf")
        self._picture_bits = 0.0
        self.bitrate_bps = min(START_BITRATE_BPS, most_bps)

    def estimated(self, estimate_bps: int, now: float) -> None:
        """Take an estimate of what the line carries."""
        wanted = max(min(MIN_BITRATE_BPS, self._most_bps), min(self._most_bps, round(USABLE * estimate_bps)))
        since_s = now - self._changed_at
        is_lower = wanted < LOWER_AT * self.bitrate_bps and since_s >= LOWER_EVERY_S
        is_higher = wanted > RAISE_AT * self.bitrate_bps and since_s >= RAISE_EVERY_S
        reaches_most = wanted == self._most_bps > self.bitrate_bps and since_s >= RAISE_EVERY_S
        if is_lower or is_higher or reaches_most:
            self.bitrate_bps, self._changed_at = wanted, now

    def encoded(self, octets: int) -> None:
        """Take the size of a picture."""
        self._picture_bits += PICTURE_WEIGHT * (8 * octets - self._picture_bits)

    @property
    def every(self) -> int:
        """Every how many-th picture is sent."""
        if self._picture_bits * FRAME_RATE < FITTING * self.bitrate_bps:
            return 1
        return 1 + sum(self.bitrate_bps < limit for limit in FEWER_PICTURES_BPS)


class LineEncoder(vpx.Vp8Encoder):
    """Stands in for aiortc/codecs/vpx.py Vp8Encoder."""

    def __init__(self, most_bps: int) -> None:
        super().__init__()
        self._policy = BitratePolicy(most_bps)
        self._open: VideoCodecContext | None = None
        self._wants_keyframe = False
        self._keyframe_at = float("-inf")
        self._count = 0

    @property
    def target_bitrate(self) -> int:
        """What is encoded at, bit/s; aiortc/rtcrtpsender.py sets the server's estimate (REMB)."""
        return self._policy.bitrate_bps

    @target_bitrate.setter
    def target_bitrate(self, bitrate: int) -> None:
        self._policy.estimated(bitrate, time.monotonic())

    def encode(self, frame: Frame, force_keyframe: bool = False) -> tuple[list[bytes], int]:
        """The payloads of a yuv420p picture and its 90 kHz timestamp; none for a picture that is left out."""
        assert isinstance(frame, VideoFrame)  # noqa: S101 - upstream's signature is wider
        timestamp = convert_timebase(frame.pts or 0, frame.time_base or VIDEO_TIME_BASE, VIDEO_TIME_BASE)
        self._wants_keyframe = self._wants_keyframe or force_keyframe
        self._count += 1
        if self._count % self._policy.every:
            return [], timestamp
        codec = self._codec_for(frame)
        frame.pict_type = PictureType.I if self._takes_keyframe() else PictureType.NONE
        data = b"".join(bytes(packet) for packet in codec.encode(frame))
        self._policy.encoded(len(data))
        payloads = self._packetize(data, self.picture_id)
        self.picture_id = (self.picture_id + 1) % (1 << 15)
        return payloads, timestamp

    def _codec_for(self, frame: VideoFrame) -> VideoCodecContext:
        codec, bitrate_bps = self._open, self._policy.bitrate_bps
        if codec is None or (codec.width, codec.height, codec.bit_rate) != (frame.width, frame.height, bitrate_bps):
            codec = self._open = open_vp8(frame.width, frame.height, bitrate_bps)
            # Its first picture is a keyframe by itself.
            self._wants_keyframe, self._keyframe_at = False, time.monotonic()
        return codec

    def _takes_keyframe(self) -> bool:
        """Whether this picture is a keyframe; requests that come while one is under way are answered by it."""
        now = time.monotonic()
        if not self._wants_keyframe or now - self._keyframe_at < KEYFRAME_EVERY_S:
            return False
        self._wants_keyframe, self._keyframe_at = False, now
        return True


def open_vp8(width: int, height: int, bitrate_bps: int) -> VideoCodecContext:
    """A codec with a constant bitrate and bounded keyframes."""
    codec = av.CodecContext.create("libvpx", "w")
    codec.width, codec.height, codec.pix_fmt = width, height, "yuv420p"
    codec.time_base, codec.framerate = VIDEO_TIME_BASE, Fraction(FRAME_RATE)
    codec.bit_rate = bitrate_bps
    codec.gop_size = 3000
    # Measured against qmin 2 and noise-sensitivity 4, aiortc's: the sample clip takes 6.8 instead of 12.8 ms of
    # processor time a picture and 1.0 instead of 2.3 Mbit/s, at 50.4 instead of 48.3 dB; with sensor noise 10.4 instead
    # of 13.8 ms, at the same 39.2 dB. The denoiser costs more than it saves.
    codec.qmin, codec.qmax = 8, 56
    codec.thread_count = vpx.number_of_threads(width * height, multiprocessing.cpu_count())
    # Otherwise as aiortc/codecs/vpx.py, but for the keyframes' size and half a second of buffer instead of one.
    codec.options = {
        "bufsize": str(bitrate_bps // 2),
        "cpu-used": "-6",
        "deadline": "realtime",
        "lag-in-frames": "0",
        "max-intra-rate": str(KEYFRAME_SHARE * 100),
        "minrate": str(bitrate_bps),
        "maxrate": str(bitrate_bps),
        "noise-sensitivity": "0",
        "overshoot-pct": "15",
        "partitions": "0",
        "static-thresh": "1",
        "undershoot-pct": "100",
    }
    return codec


def encode_for_lines(most_bps: int) -> None:
    """Let aiortc's senders of this process encode VP8 so; H.264 stays upstream's."""

    def line_encoder(codec: RTCRtpCodecParameters) -> Encoder:
        return LineEncoder(most_bps) if codec.name == "VP8" else get_encoder(codec)

    # aiortc/rtcrtpsender.py _next_encoded_frame looks the function up in its module.
    vars(rtcrtpsender).update(get_encoder=line_encoder)
