"""The bench's camera, a process of its own: a clip in a loop with the clock drawn over it, sent by the real publisher.

`python -m server.bench.camera URL CLIP [third]`. With `third`, a mirrored third person sits in the sample's classroom.
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

# Where the sample's second person always is (x), and where his mirror image goes; pixels of 1280x720.
PERSON = slice(740, 1060)
EMPTY_SEAT = slice(0, 320)


def clock_feed(clip: str, stop: threading.Event, *, has_third: bool = False) -> Feed:
    """The clip at 720p30, each picture stamped with the moment it is handed over."""
    feed = open_feed(clip, Mode(), stop)
    return Feed(_stamped(feed.frames, has_third=has_third), feed.fps)


def _stamped(frames: Iterator[av.VideoFrame], *, has_third: bool) -> Iterator[av.VideoFrame]:
    for frame in frames:
        own = clock.copy(frame)
        if has_third:
            _seat_third(own)
        clock.draw(own, clock.unix_ms())
        yield own


def _seat_third(frame: av.VideoFrame) -> None:
    for index, fineness in enumerate((1, 2, 2)):
        plane = clock.plane_of(frame, index)
        person, seat = (slice(each.start // fineness, each.stop // fineness) for each in (PERSON, EMPTY_SEAT))
        plane[:, seat] = plane[:, person][:, ::-1]


async def publish(server: str, clip: str, third: str = "") -> None:
    """Publish the stamped clip until SIGTERM."""
    capture = Capture(lambda stop: clock_feed(clip, stop, has_third=bool(third)), "bench clip")
    publisher = Publisher(PublisherSettings(server=server), capture)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, publisher.stop)
    await publisher.run()


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    asyncio.run(publish(*sys.argv[1:4]))
