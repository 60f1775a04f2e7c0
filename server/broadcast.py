"""What one camera sends: each encoding that somebody watches, encoded once, and the viewers of each.

An encoding is a codec at a rendition of a kind of picture, annotated or clean. Encoding runs on the camera's thread,
everything else on the event loop's.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from itertools import product
from typing import Any

from av.packet import Packet
from av.video.frame import VideoFrame

from . import h264, vp8
from .annotate import PICTURE_KINDS, PictureKind
from .config import Settings
from .encode import CodecName, SharedEncoder
from .metrics import Metrics
from .relay import Picture, Relay
from .renditions import Rendition, RenditionName, Scaler, renditions

RATE_WINDOW_S = 2.0

PACKETISE: dict[CodecName, Callable[[bytes], tuple[bytes, ...]]] = {"VP8": vp8.packetise, "H264": h264.packetise}


class Meter:
    """How much an encoding sends, or sent when it was last watched."""

    def __init__(self) -> None:
        self._sizes: deque[tuple[float, int]] = deque()

    def add(self, octets: int) -> None:
        """So many octets were sent now."""
        now = time.monotonic()
        self._sizes.append((now, octets))
        while self._sizes[0][0] < now - RATE_WINDOW_S:
            self._sizes.popleft()

    def bps(self) -> float | None:
        """Bits in a second, of the last `RATE_WINDOW_S`; None where too little was sent to tell."""
        lasted_s = self._sizes[-1][0] - self._sizes[0][0] if self._sizes else 0.0
        octets = sum(octets for _, octets in self._sizes)
        return octets * 8 / lasted_s if lasted_s > RATE_WINDOW_S / 2 else None


class Encoding:
    """One codec at one rendition of one kind of picture: the encoder, and the relay to those who watch it."""

    def __init__(
        self,
        codec: CodecName,
        rendition: Rendition,
        kind: PictureKind,
        scaler: Scaler,
        relay: Relay,
        metrics: Metrics,
        camera_id: str,
    ) -> None:
        self.rendition = rendition
        self.kind = kind
        self.relay = relay
        labels = (camera_id, codec, rendition.name, kind)
        self._frames_encoded = metrics.frames_encoded.labels(*labels)
        self._keyframes = metrics.keyframes.labels(*labels)
        active = metrics.encodes_active.labels(*labels)
        self._scaler = scaler
        self._packetise = PACKETISE[codec]
        self._meter = Meter()
        self._encoder = SharedEncoder(codec, rendition.bitrate_bps, lambda is_active: active.set(float(is_active)))

    @property
    def is_open(self) -> bool:
        """Whether its codec is open."""
        return self._encoder.active

    @property
    def is_idle(self) -> bool:
        """Whether its codec is open though nobody watches."""
        return self.is_open and not self.relay.viewers

    def encode(self, frame: VideoFrame) -> list[Packet[Any]]:
        """Scale and encode a yuv420p frame (pts in 90 kHz ticks). On the camera's thread."""
        return self._encoder.encode(self._scaler.fit(frame), self.relay.keyframes.due())

    def publish(self, packets: Sequence[Packet[Any]]) -> None:
        """Send what `encode` made to the viewers."""
        for packet in packets:
            self._frames_encoded.inc()
            self._meter.add(packet.size)
            if packet.is_keyframe:
                self._keyframes.inc()
            self.relay.publish(Picture(packet.pts or 0, packet.is_keyframe, self._packetise(bytes(packet))))

    @property
    def need_bps(self) -> float:
        """What a viewer's line must carry: what is or was sent, or what may be."""
        return self._meter.bps() or float(self.rendition.bitrate_bps)

    def close(self) -> None:
        """Free the codec and the frame last scaled."""
        self._encoder.close()
        self._scaler.forget()


class Broadcast:
    """The encodings of one camera. `on_first` is called when somebody begins to watch one."""

    def __init__(self, camera_id: str, settings: Settings, metrics: Metrics, on_first: Callable[[], None]) -> None:
        self.renditions = renditions(settings.video_bitrate_bps, settings.video_low_bitrate_bps)
        self._encodings: dict[tuple[CodecName, RenditionName, PictureKind], Encoding] = {}
        self._encode_s = metrics.stage_seconds.labels(camera_id, "encode")
        self._send_s = metrics.stage_seconds.labels(camera_id, "send")
        dropped = metrics.relay_drops.labels(camera_id).inc
        for rendition in self.renditions:
            scaler = Scaler(rendition)  # one for all: it keeps one frame, and the kinds follow each other
            for kind, codec in product(PICTURE_KINDS, PACKETISE):
                relay = Relay(keyframe_interval_s=settings.keyframe_interval_s, on_first=on_first, on_dropped=dropped)
                encoding = Encoding(codec, rendition, kind, scaler, relay, metrics, camera_id)
                self._encodings[codec, rendition.name, kind] = encoding

    def relay(self, codec: CodecName, rendition: RenditionName, kind: PictureKind) -> Relay:
        """Where to watch this encoding."""
        return self._encodings[codec, rendition, kind].relay

    def needs_bps(self, codec: CodecName, kind: PictureKind) -> list[float]:
        """What each rendition takes of a line now, the best first."""
        return [self._encodings[codec, each.name, kind].need_bps for each in self.renditions]

    @property
    def viewers(self) -> int:
        """How many viewers take pictures now."""
        return sum(each.relay.viewers for each in self._encodings.values())

    @property
    def viewers_by_rendition(self) -> Counter[RenditionName]:
        """How many viewers take pictures of each rendition now."""
        counts: Counter[RenditionName] = Counter()
        for each in self._encodings.values():
            counts[each.rendition.name] += each.relay.viewers
        return counts

    @property
    def viewers_by_picture(self) -> Counter[PictureKind]:
        """How many viewers take pictures of each kind now."""
        counts: Counter[PictureKind] = Counter()
        for each in self._encodings.values():
            counts[each.kind] += each.relay.viewers
        return counts

    @property
    def encoders(self) -> int:
        """How many codecs are open now."""
        return sum(each.is_open for each in self._encodings.values())

    @property
    def has_idle_encoders(self) -> bool:
        """Whether a codec is open that nobody watches."""
        return any(each.is_idle for each in self._encodings.values())

    async def send(self, pictures: Mapping[PictureKind, VideoFrame], thread: Executor) -> None:
        """Encode yuv420p frames of one moment (pts in 90 kHz ticks) in every encoding that is watched, and send them.

        The best rendition first, and on its way before the next one is begun: a slow line costs nobody else time. Who
        has begun to watch a kind that is not among `pictures` is served from the next moment on.
        """
        for encoding in self._encodings.values():
            frame = pictures.get(encoding.kind)
            if frame is not None and encoding.relay.viewers:
                await self._send(encoding, frame, thread)

    async def _send(self, encoding: Encoding, frame: VideoFrame, thread: Executor) -> None:
        begun_at = time.monotonic()
        packets = await asyncio.get_running_loop().run_in_executor(thread, encoding.encode, frame)
        encoded_at = time.monotonic()
        encoding.publish(packets)
        self._encode_s.observe(encoded_at - begun_at)
        self._send_s.observe(time.monotonic() - encoded_at)

    def close_idle_encoders(self) -> None:
        """Free the codecs that nobody watches. On the camera's thread."""
        for each in self._encodings.values():
            if each.is_idle:
                each.close()

    def close(self) -> None:
        """Free every codec, once the camera's thread is idle."""
        for each in self._encodings.values():
            each.close()
