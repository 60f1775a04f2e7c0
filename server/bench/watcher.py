"""A viewer that decodes and reads the clock in the picture, in a process of its own.

Answers each line of stdin with one line of JSON: what it has seen since the last, as `Seen` has it.
`python -m server.bench.watcher URL`
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import dataclass, field

import httpx
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from av.video.frame import VideoFrame

from ..publisher.peer import allow_loopback
from . import clock

CONNECT_TIMEOUT_S = 15.0


@dataclass
class Seen:
    """Pictures decoded, the delays of those whose clock could be read, and the longest time without a picture."""

    pictures: int = 0
    delays_ms: list[int] = field(default_factory=list)
    longest_gap_s: float = 0.0


class Watcher:
    """One viewer. aiortc hands a picture on with the next one's first packet: each delay holds one picture's time."""

    def __init__(self) -> None:
        self._peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._receiver = self._peer.addTransceiver("video", direction="recvonly").receiver
        self._seen = Seen()
        self._last_at = time.monotonic()

    async def watch(self, url: str) -> None:
        """Connect, and look until the server ends it.

        Raises:
            httpx.HTTPError: the server refuses.
        """
        await self._peer.setLocalDescription(await self._peer.createOffer())
        async with httpx.AsyncClient(base_url=url, timeout=CONNECT_TIMEOUT_S) as client:
            response = await client.post(
                "/webrtc/viewer", json={"sdp": self._peer.localDescription.sdp, "type": "offer"}
            )
        response.raise_for_status()
        await self._peer.setRemoteDescription(RTCSessionDescription(response.json()["sdp"], "answer"))
        try:
            while True:
                self._note(await self._receiver.track.recv())
        except MediaStreamError:
            return

    def _note(self, frame: object) -> None:
        now_ms, now = clock.unix_ms(), time.monotonic()
        self._seen.pictures += 1
        self._seen.longest_gap_s = max(self._seen.longest_gap_s, now - self._last_at)
        self._last_at = now
        if isinstance(frame, VideoFrame) and frame.height >= clock.HEIGHT and frame.width >= clock.WIDTH:
            shown_ms = clock.read(frame)
            if shown_ms is not None:
                self._seen.delays_ms.append((now_ms - shown_ms) % clock.MODULUS)

    def take(self) -> Seen:
        """What was seen since the last time; a gap that lasts counts as long as it is."""
        seen, self._seen = self._seen, Seen()
        seen.longest_gap_s = max(seen.longest_gap_s, time.monotonic() - self._last_at)
        return seen

    async def close(self) -> None:
        """Hang up."""
        await self._peer.close()


async def main(url: str) -> None:
    """Watch, and answer stdin until it ends."""
    allow_loopback()
    watcher = Watcher()
    watching = asyncio.create_task(watcher.watch(url))
    while not watching.done() and (await asyncio.to_thread(sys.stdin.readline)).strip():
        print(json.dumps(vars(watcher.take())), flush=True)
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    await watcher.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
