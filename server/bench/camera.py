"""The bench's camera, a process of its own: a clip in a loop with the clock drawn over it, sent by the real publisher.

`python -m server.bench.camera URL CLIP`
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
import threading
from collections.abc import Iterator

import av

from ..publisher import Capture, Feed, Mode, Publisher, PublisherSettings
from ..publisher.feeds import open_feed
from . import clock


def clock_feed(clip: str, stop: threading.Event) -> Feed:
    """The clip at 720p30, each picture stamped with the moment it is handed over."""
    feed = open_feed(clip, Mode(), stop)
    return Feed(_stamped(feed.frames), feed.fps)


def _stamped(frames: Iterator[av.VideoFrame]) -> Iterator[av.VideoFrame]:
    for frame in frames:
        own = clock.copy(frame)
        clock.draw(own, clock.unix_ms())
        yield own


async def publish(server: str, clip: str) -> None:
    """Publish the stamped clip until SIGTERM."""
    capture = Capture(lambda stop: clock_feed(clip, stop), "bench clip")
    publisher = Publisher(PublisherSettings(server=server), capture)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, publisher.stop)
    await publisher.run()


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    asyncio.run(publish(*sys.argv[1:3]))
