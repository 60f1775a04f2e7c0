"""Encodes one camera's picture once, for all its viewers.

One codec object on one thread: the camera's. Encoding releases the GIL. A codec that fails is thrown away and the next
frame starts a new one with a keyframe.
"""

from __future__ import annotations

import logging
import multiprocessing
from collections.abc import Callable
from fractions import Fraction
from typing import Any, Literal

import av
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType, VideoFrame

logger = logging.getLogger("surveillx.encode")

CLOCK_RATE = 90_000
TIME_BASE = Fraction(1, CLOCK_RATE)
FRAME_RATE = 30
# Keyframes come when a viewer needs one. This is only the longest time without: one hour.
KEYFRAME_DISTANCE = 3600 * FRAME_RATE
# Packets leave unpaced: a keyframe of at most so many average frames does not choke a receiver.
KEYFRAME_SHARE = 4

CodecName = Literal["VP8", "H264"]


class SharedEncoder:
    """One codec at one bitrate. Call from one thread only; `close` may come from any once that thread is idle."""

    def __init__(
        self, codec: CodecName, bitrate_bps: int, on_active: Callable[[bool], None] = lambda _active: None
    ) -> None:
        self._open = _OPEN[codec]
        self._bitrate_bps = bitrate_bps
        self._on_active = on_active
        self._codec: VideoCodecContext | None = None
        self._encoded = 0

    @property
    def active(self) -> bool:
        """Whether a codec is open."""
        return self._codec is not None

    def encode(self, frame: VideoFrame, force_keyframe: bool = False) -> list[Packet[Any]]:
        """Encode a yuv420p frame whose pts counts 90 kHz ticks; usually one packet.

        A frame of another size starts a new codec, whose first packet is a keyframe; sides are even numbers. A codec
        error loses this one frame; the next starts anew.
        """
        if self._codec is not None and (frame.width, frame.height) != (self._codec.width, self._codec.height):
            self.close()
        try:
            if self._codec is None:
                self._codec = self._open(frame.width, frame.height, self._bitrate_bps)
                self._on_active(True)
            # A decoded frame remembers that it was a keyframe; encoding it again must not repeat that.
            frame.pict_type = PictureType.I if force_keyframe else PictureType.NONE
            return self._encode_evenly(self._codec, frame)
        except av.FFmpegError:
            logger.exception("the encoder failed and is rebuilt")
            self.close()
            return []

    def _encode_evenly(self, codec: VideoCodecContext, frame: VideoFrame) -> list[Packet[Any]]:
        """Encode a frame as if frames came at `FRAME_RATE`, each with the same share of the bits.

        Rate control by the clock spends a pause's bits on what follows it: with frames at 15 and 30 a second in turn,
        libvpx made 490 kbit/s of 250, more than the slow line it was meant for. The codecs keep no frame back.
        """
        moment, frame.pts = frame.pts, self._encoded * CLOCK_RATE // FRAME_RATE
        self._encoded += 1
        try:
            packets = codec.encode(frame)
        finally:
            frame.pts = moment  # others encode it too
        for packet in packets:
            packet.pts = moment
        return packets

    def close(self) -> None:
        """Free the codec; the next frame opens a new one."""
        if self._codec is not None:
            self._codec = None
            self._on_active(False)


def _prepare(name: Literal["libvpx", "libx264"], width: int, height: int, bitrate_bps: int) -> VideoCodecContext:
    codec = av.CodecContext.create(name, "w")
    codec.width, codec.height, codec.pix_fmt = width, height, "yuv420p"
    codec.time_base, codec.framerate = TIME_BASE, Fraction(FRAME_RATE)
    codec.bit_rate = bitrate_bps
    codec.gop_size = KEYFRAME_DISTANCE
    codec.thread_count = max(1, min(4, multiprocessing.cpu_count() // 2))
    return codec


def _open_vp8(width: int, height: int, bitrate_bps: int) -> VideoCodecContext:
    codec = _prepare("libvpx", width, height, bitrate_bps)
    # Measured together against qmin 2 and cpu-used -8: the sample clip takes 4.9 instead of 6.8 ms a frame and 1.2
    # instead of 2.4 Mbit/s, at 50 dB; a picture with sensor noise keeps its bitrate and its 34.5 dB.
    codec.qmin, codec.qmax = 8, 56
    codec.options = {
        "deadline": "realtime",
        "cpu-used": "-12",
        "lag-in-frames": "0",
        "error-resilient": "0",
        # Constant bitrate with half a second of buffer: FFmpeg's bufsize is in bits.
        "minrate": str(bitrate_bps),
        "maxrate": str(bitrate_bps),
        "bufsize": str(bitrate_bps // 2),
        "undershoot-pct": "100",
        "overshoot-pct": "15",
        "max-intra-rate": str(KEYFRAME_SHARE * 100),
        "static-thresh": "1",
        "noise-sensitivity": "0",
    }
    codec.open()
    return codec


def _open_h264(width: int, height: int, bitrate_bps: int) -> VideoCodecContext:
    """Constrained baseline, level 3.1, as every WebRTC browser decodes it (RFC 7742 section 6.2)."""
    codec = _prepare("libx264", width, height, bitrate_bps)
    codec.profile = "Baseline"
    codec.options = {
        # The sample clip at 720p takes 6.6 ms a frame, VP8 7.5; veryfast 10.8 for the same 52.7 dB, ultrafast 3.9 for
        # 51.4 dB. At 360p ultrafast loses 3 dB.
        "preset": "superfast",
        "tune": "zerolatency",  # no frame waits for a later one; one slice a thread
        "level": "3.1",
        "forced-idr": "1",
        # Nothing is larger than this buffer, keyframes neither. FFmpeg's bufsize is in bits.
        "maxrate": str(bitrate_bps),
        "bufsize": str(KEYFRAME_SHARE * bitrate_bps // FRAME_RATE),
    }
    codec.open()
    return codec


_OPEN: dict[CodecName, Callable[[int, int, int], VideoCodecContext]] = {"VP8": _open_vp8, "H264": _open_h264}
