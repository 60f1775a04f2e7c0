"""Hands each encoded packet of one camera to any number of viewers.

Packets are shared, never copied and never changed. Every viewer has a bounded queue of its own: one that falls behind
loses everything up to the next keyframe, and nobody else notices. Runs on the event loop's thread only.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError
from av.packet import Packet

logger = logging.getLogger("surveillx.relay")

# A viewer joining within this time of a keyframe is given that keyframe and what followed: joins share it.
SHARE_KEYFRAME_S = 0.1


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
        self._since_keyframe: list[Packet[Any]] = []
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
        if packet.is_keyframe:
            self.keyframes.granted()
            self._keyframe_at = now
            self._since_keyframe = [packet]
        elif now - self._keyframe_at < SHARE_KEYFRAME_S:
            self._since_keyframe.append(packet)
        else:
            self._since_keyframe.clear()
        for track in self._tracks:
            track.offer(packet)

    def join(self, track: RelayTrack) -> None:
        """Start giving packets to `track`."""
        self._tracks.add(track)
        if self._since_keyframe and time.monotonic() - self._keyframe_at < SHARE_KEYFRAME_S:
            for packet in self._since_keyframe:
                track.offer(packet)
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
    """One viewer's share of a relay: its `recv()` returns encoded packets, which aiortc sends without encoding.

    aiortc stops a track when its sender ends, so each viewer needs one of its own (aiortc/rtcrtpsender.py _run_rtp).
    """

    kind = "video"

    def __init__(self, relay: Relay, queue_packets: int) -> None:
        super().__init__()
        self._relay = relay
        self._limit = queue_packets
        self._packets: deque[Packet[Any]] = deque()
        self._ready = asyncio.Event()
        self._joined = False
        self._needs_keyframe = True
        self.delivered = 0

    def request_keyframe(self) -> None:
        """The viewer lost its picture (PLI or FIR, RFC 4585 and RFC 5104)."""
        self._relay.keyframes.request()

    def offer(self, packet: Packet[Any]) -> None:
        """Queue a packet, or skip to the next keyframe when the viewer is too far behind."""
        if packet.is_keyframe:
            self._needs_keyframe = False
        elif self._needs_keyframe:
            self._relay.count_dropped(1)
            return
        elif len(self._packets) >= self._limit:
            self._relay.count_dropped(len(self._packets) + 1)
            self._packets.clear()
            self._needs_keyframe = True
            self.request_keyframe()
            return
        self._packets.append(packet)
        self._ready.set()

    async def recv(self) -> Packet[Any]:
        """The next packet (`av.Packet`, 90 kHz time base).

        Raises:
            MediaStreamError: the track has been stopped.
        """
        if not self._joined and self.readyState == "live":
            self._joined = True
            self._relay.join(self)
        while not self._packets:
            if self.readyState != "live":
                raise MediaStreamError
            self._ready.clear()
            await self._ready.wait()
        self.delivered += 1
        return self._packets.popleft()

    def stop(self) -> None:
        """Leave the relay; a pending `recv()` ends."""
        super().stop()
        self._relay.leave(self)
        self._packets.clear()
        self._ready.set()
