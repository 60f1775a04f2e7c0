"""Many cameras in one process that cost next to nothing: each sends the packets of one clip that was encoded once.

Real WebRTC in all else. A keyframe every two seconds, as hardware cameras send them; a PLI is not answered before.
Reads from stdin how many cameras there should be, or "count"; answers each on stdout in one line of JSON: how many
pictures each camera has sent so far. `python -m server.bench.replay URL CLIP`
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any

import av
from aiortc import MediaStreamTrack
from av.packet import Packet
from av.video.reformatter import VideoReformatter

from ..encode import CLOCK_RATE, FRAME_RATE, TIME_BASE, SharedEncoder
from ..publisher.peer import IceServers, PublisherPeer, allow_loopback
from ..publisher.signalling import Signalling

WIDTH, HEIGHT = 1280, 720
BITRATE_BPS = 2_500_000
LONGEST_FRAMES = 12 * FRAME_RATE
KEYFRAME_EVERY = 2 * FRAME_RATE
TICKS = CLOCK_RATE // FRAME_RATE


def encoded(clip: str) -> list[bytes]:
    """The clip's pictures at 720p, VP8, at most 12 s of them.

    Raises:
        av.FFmpegError: it cannot be played.
    """
    encoder, reformatter = SharedEncoder("VP8", BITRATE_BPS), VideoReformatter()
    pictures: list[bytes] = []
    with av.open(clip) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number == LONGEST_FRAMES:
                break
            own = reformatter.reformat(frame, WIDTH, HEIGHT, "yuv420p")
            own.pts, own.time_base = number * TICKS, TIME_BASE
            pictures += [bytes(packet) for packet in encoder.encode(own, number % KEYFRAME_EVERY == 0)]
    encoder.close()
    return pictures


class ReplayTrack(MediaStreamTrack):
    """A camera that films `pictures` again and again at 30 a second; aiortc only packs what is encoded."""

    kind = "video"

    def __init__(self, pictures: Sequence[bytes]) -> None:
        super().__init__()
        self._pictures = pictures
        self._began_at: float | None = None
        self.sent = 0

    async def recv(self) -> Packet[Any]:
        """The next picture when its time has come."""
        # Cameras do not film at the same moment: each begins when it is connected.
        self._began_at = self._began_at or time.monotonic()
        await asyncio.sleep(max(0.0, self._began_at + self.sent / FRAME_RATE - time.monotonic()))
        packet = Packet(self._pictures[self.sent % len(self._pictures)])
        packet.pts, packet.time_base = self.sent * TICKS, TIME_BASE
        self.sent += 1
        return packet


async def play(url: str, clip: str) -> None:
    """Obey stdin until it ends."""
    allow_loopback()
    pictures = encoded(clip)
    tracks: list[ReplayTrack] = []
    async with AsyncExitStack() as stack:
        while line := (await asyncio.to_thread(sys.stdin.readline)).strip():
            while line.isdigit() and len(tracks) < int(line):
                tracks.append(ReplayTrack(pictures))
                signalling = await stack.enter_async_context(Signalling(url, str(len(tracks))))
                peer = PublisherPeer(signalling, tracks[-1], IceServers())
                stack.push_async_callback(peer.close)
                await peer.connect()
            print(json.dumps([track.sent for track in tracks]), flush=True)


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    asyncio.run(play(*sys.argv[1:3]))
