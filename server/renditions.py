"""The sizes in which a camera is sent: one for good lines, one for slow ones.

A frame is never enlarged; a camera that is small already keeps its size and is only sent with fewer bits. `Scaler`
runs on the camera's thread; the rest is pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter

RenditionName = Literal["720p", "360p"]


@dataclass(frozen=True, slots=True)
class Rendition:
    """A size and a bitrate. `lines` bounds the shorter side, in pixels, so that a picture on its side keeps as much."""

    name: RenditionName
    lines: int
    bitrate_bps: int

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Width and height for a frame of that size, even numbers: chroma is half as fine, and H.264 insists."""
        scale = min(1.0, self.lines / max(1, min(width, height)))
        return _even(width * scale), _even(height * scale)


def _even(length: float) -> int:
    return max(2, int(length + 0.5) & ~1)


def renditions(bitrate_bps: int, low_bitrate_bps: int) -> tuple[Rendition, ...]:
    """What a camera offers, the best first."""
    return (
        Rendition("720p", 720, bitrate_bps),
        Rendition("360p", 360, min(bitrate_bps, low_bitrate_bps)),
    )


class Scaler:
    """Brings one camera's frames to one rendition, each once however many codecs want it. One thread only."""

    def __init__(self, rendition: Rendition) -> None:
        self._rendition = rendition
        # One for good: each converted frame would otherwise keep a scaler of 15 MB alive with it.
        self._reformatter = VideoReformatter()
        self._latest: tuple[VideoFrame, VideoFrame] | None = None

    def fit(self, frame: VideoFrame) -> VideoFrame:
        """The frame itself where it fits, else a smaller one of the same time."""
        size = self._rendition.size(frame.width, frame.height)
        if size == (frame.width, frame.height):
            return frame
        if self._latest is None or self._latest[0] is not frame:
            # Of swscale's ways the mean of an area costs least, 0.7 ms from 720p to 360p, and does not flicker.
            self._latest = frame, self._reformatter.reformat(frame, *size, interpolation=Interpolation.AREA)
        return self._latest[1]

    def forget(self) -> None:
        """Keep no frame."""
        self._latest = None
