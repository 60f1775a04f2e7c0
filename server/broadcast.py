"""What one camera sends: each encoding that somebody watches, encoded once, and the viewers of each.

`encode` runs on the camera's thread, everything else on the event loop's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from av.packet import Packet
from av.video.frame import VideoFrame

from .config import Settings
from .encode import SharedEncoder
from .metrics import Metrics
from .relay import Picture, Relay
from .vp8 import packetise


@dataclass(frozen=True, slots=True)
class Encoded:
    """The packets that one frame became in one encoding."""

    relay: Relay
    packets: Sequence[Packet[Any]]


class Broadcast:
    """The encodings of one camera. `on_first` is called when somebody begins to watch."""

    def __init__(self, camera_id: str, settings: Settings, metrics: Metrics, on_first: Callable[[], None]) -> None:
        self._frames_encoded = metrics.frames_encoded.labels(camera_id)
        self._keyframes = metrics.keyframes.labels(camera_id)
        encodes = metrics.encodes_active.labels(camera_id)
        self._encoder = SharedEncoder(settings.video_bitrate_bps, lambda active: encodes.set(float(active)))
        self.relay = Relay(
            keyframe_interval_s=settings.keyframe_interval_s,
            on_first=on_first,
            on_dropped=metrics.relay_drops.labels(camera_id).inc,
        )

    @property
    def viewers(self) -> int:
        """How many viewers take pictures now."""
        return self.relay.viewers

    @property
    def encoders(self) -> int:
        """How many codecs are open now."""
        return int(self._encoder.active)

    @property
    def has_idle_encoders(self) -> bool:
        """Whether a codec is open that nobody watches."""
        return self._encoder.active and not self.relay.viewers

    def encode(self, frame: VideoFrame) -> list[Encoded]:
        """Encode a yuv420p frame (pts in 90 kHz ticks) in every encoding that has viewers. On the camera's thread."""
        if not self.relay.viewers:
            return []
        return [Encoded(self.relay, self._encoder.encode(frame, self.relay.keyframes.due()))]

    def publish(self, encoded: Sequence[Encoded]) -> None:
        """Send what `encode` made to its viewers."""
        for each in encoded:
            for packet in each.packets:
                self._frames_encoded.inc()
                if packet.is_keyframe:
                    self._keyframes.inc()
                each.relay.publish(Picture(packet.pts or 0, packet.is_keyframe, packetise(bytes(packet))))

    def close_idle_encoders(self) -> None:
        """Free the codecs that nobody watches. On the camera's thread."""
        if not self.relay.viewers:
            self._encoder.close()

    def close(self) -> None:
        """Free every codec, once the camera's thread is idle."""
        self._encoder.close()
