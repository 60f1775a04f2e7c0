"""Hands each encoded packet of one camera to any number of viewers.

Packets and the RTP payloads cut from them are shared, never copied and never changed. Every viewer has a bounded queue
of its own: one that falls behind loses everything up to the next keyframe, and nobody else notices. Runs on the event
loop's thread only.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError
from av.packet import Packet

from .vp8 import PICTURE_IDS, packetise

# A viewer joining within this time of a keyframe is given that keyframe and what followed: joins share it.
SHARE_KEYFRAME_S = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class Parcel:
    """One encoded picture, and the RTP payloads it travels in, cut once for all viewers."""

    packet: Packet[Any]
    payloads: tuple[bytes, ...]

    @property
    def timestamp(self) -> int:
        """90 kHz ticks of the camera's clock."""
        return self.packet.pts or 0


class KeyframeBroker:
    """Turns any number of wishes for a keyframe into at most one in `interval_s`, for all viewers together."""

    def __init__(self, interval_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._interval_s = interval_s
        self._clock = clock
        self._wanted = False
        self._granted_at = float("-inf")

    def request(self) -> None:
        """Ask for a keyframe."""
        self._wanted = True

    def due(self) -> bool:
        """Whether the next frame must be a keyframe; the encoder asks this for every frame."""
        return self._wanted and self._clock() - self._granted_at >= self._interval_s

    def granted(self) -> None:
        """A keyframe has been encoded, wished for or not."""
        self._wanted = False
        self._granted_at = self._clock()


class Relay:
    """The viewers of one camera."""

    def __init__(
        self,
        *,
        queue_packets: int,
        keyframe_interval_s: float,
        on_first: Callable[[], None] = lambda: None,
        on_dropped: Callable[[int], None] = lambda _count: None,
    ) -> None:
        self.keyframes = KeyframeBroker(keyframe_interval_s)
        self._queue_packets = queue_packets
        self._on_first = on_first
        self._on_dropped = on_dropped
        self._tracks: set[RelayTrack] = set()
        self._since_keyframe: list[Parcel] = []
        self._picture_id = 0
        self._keyframe_at = float("-inf")
        self.dropped = 0

    @property
    def viewers(self) -> int:
        """How many viewers take packets now."""
        return len(self._tracks)

    def subscribe(self) -> RelayTrack:
        """A track for one viewer; it joins when its connection asks for the first packet."""
        return RelayTrack(self, self._queue_packets)

    def publish(self, packet: Packet[Any]) -> None:
        """Give a packet to every viewer; never blocks."""
        now = time.monotonic()
        parcel = Parcel(packet, packetise(bytes(packet), self._picture_id))
        self._picture_id = (self._picture_id + 1) % PICTURE_IDS
        if packet.is_keyframe:
            self.keyframes.granted()
            self._keyframe_at = now
            self._since_keyframe = [parcel]
        elif now - self._keyframe_at < SHARE_KEYFRAME_S:
            self._since_keyframe.append(parcel)
        else:
            self._since_keyframe.clear()
        for track in self._tracks:
            track.offer(parcel)

    def join(self, track: RelayTrack) -> None:
        """Start giving packets to `track`."""
        self._tracks.add(track)
        if self._since_keyframe and time.monotonic() - self._keyframe_at < SHARE_KEYFRAME_S:
            for parcel in self._since_keyframe:
                track.offer(parcel)
        else:
            self.keyframes.request()
        if len(self._tracks) == 1:
            self._on_first()

    def leave(self, track: RelayTrack) -> None:
        """Stop giving packets to `track`."""
        self._tracks.discard(track)
        if not self._tracks:
            self._since_keyframe.clear()

    def count_dropped(self, count: int) -> None:
        """`count` packets were not delivered to a viewer that is behind."""
        self.dropped += count
        self._on_dropped(count)


class RelayTrack(MediaStreamTrack):
    """One viewer's share of a relay: its `recv()` returns encoded packets, which aiortc would send without encoding;
    `next_picture()` gives them ready for the wire.

    aiortc stops a track when its sender ends, so each viewer needs one of its own (aiortc/rtcrtpsender.py _run_rtp).
    """

    kind = "video"

    def __init__(self, relay: Relay, queue_packets: int) -> None:
        super().__init__()
        self._relay = relay
        self._limit = queue_packets
        self._parcels: deque[Parcel] = deque()
        self._ready = asyncio.Event()
        self._joined = False
        self._needs_keyframe = True
        self.delivered = 0

    def request_keyframe(self) -> None:
        """The viewer lost its picture (PLI or FIR, RFC 4585 and RFC 5104)."""
        self._relay.keyframes.request()

    def offer(self, parcel: Parcel) -> None:
        """Queue a picture, or skip to the next keyframe when the viewer is too far behind."""
        if parcel.packet.is_keyframe:
            self._needs_keyframe = False
        elif self._needs_keyframe:
            self._relay.count_dropped(1)
            return
        elif len(self._parcels) >= self._limit:
            self._relay.count_dropped(len(self._parcels) + 1)
            self._parcels.clear()
            self._needs_keyframe = True
            self.request_keyframe()
            return
        self._parcels.append(parcel)
        self._ready.set()

    async def recv(self) -> Packet[Any]:
        """The next packet (`av.Packet`, 90 kHz time base).

        Raises:
            MediaStreamError: the track has been stopped.
        """
        return (await self.next_picture()).packet

    async def next_picture(self) -> Parcel:
        """The next picture, cut for RTP.

        Raises:
            MediaStreamError: the track has been stopped.
        """
        if not self._joined and self.readyState == "live":
            self._joined = True
            self._relay.join(self)
        while not self._parcels:
            if self.readyState != "live":
                raise MediaStreamError
            self._ready.clear()
            await self._ready.wait()
        self.delivered += 1
        return self._parcels.popleft()

    def stop(self) -> None:
        """Leave the relay; a pending `recv()` ends."""
        super().stop()
        self._relay.leave(self)
        self._parcels.clear()
        self._ready.set()
