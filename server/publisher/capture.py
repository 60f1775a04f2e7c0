"""The capture thread and its newest-frame slot.

One daemon thread reads the source for ever and reopens it when it fails. Pictures are handed to the event loop, where
the newest replaces the one before: nothing is ever queued. A read that blocks for ever blocks neither stop nor exit.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable

import av
from aiortc import VideoStreamTrack
from aiortc.mediastreams import MediaStreamError

from .devices import SourceError
from .feeds import Feed

RETRY_S = 2.0
# A source that gave nothing for this long is not worth a connection: the server would close it as silent.
FRESH_S = 3.0
JOIN_TIMEOUT_S = 1.0

FeedSource = Callable[[threading.Event], Feed]

logger = logging.getLogger("surveillx.publisher")


class Capture:
    """Reads a source on its own thread and keeps the newest picture. All methods belong to the event loop."""

    def __init__(self, open_feed: FeedSource, name: str = "camera") -> None:
        self._open_feed = open_feed
        self._name = name
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="surveillx-capture", daemon=True)
        self._arrived = asyncio.Event()
        self._failure: SourceError | None = None
        self._frame: av.VideoFrame | None = None
        self._taken_at = 0.0
        self.frames = 0
        self.fps = 0.0

    def start(self) -> None:
        """Start reading; once."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    async def close(self) -> None:
        """Ask the thread to end and wait a moment for it; a thread stuck in a driver is left to the exit."""
        self._stop.set()
        await asyncio.to_thread(self._thread.join, JOIN_TIMEOUT_S)

    @property
    def size(self) -> str:
        """The newest picture's, such as "1280x720"."""
        return f"{self._frame.width}x{self._frame.height}" if self._frame else "no picture"

    @property
    def is_fresh(self) -> bool:
        """Whether pictures are coming in."""
        return self._frame is not None and self._loop.time() - self._taken_at < FRESH_S

    async def next(self, after: int) -> tuple[int, av.VideoFrame]:
        """The newest picture that is not number `after`, and its number; waits for one.

        Raises:
            SourceError: there will never be one.
        """
        while self._frame is None or self.frames == after:
            if self._failure:
                raise self._failure
            await self._arrived.wait()
        return self.frames, self._frame

    async def wait_fresh(self) -> None:
        """Until pictures come in.

        Raises:
            SourceError: they never will.
        """
        if not self.is_fresh:
            await self.next(self.frames)

    def track(self) -> CaptureTrack:
        """A track with this source's pictures; each peer connection needs one of its own."""
        return CaptureTrack(self)

    def _run(self) -> None:
        told = ""
        while not self._stop.is_set():
            count, error = self._read()
            if error.permanent or self._stop.is_set():
                self._post(self._fail, error)
                return
            if count or str(error) != told:
                told = str(error)
                logger.warning("%s Trying again every %.0f s.", told, RETRY_S)
            self._stop.wait(RETRY_S)

    def _read(self) -> tuple[int, SourceError]:
        """Read until the source ends; how many pictures came, and why it ended."""
        count = 0
        try:
            feed = self._open_feed(self._stop)
            for frame in feed.frames:
                count += 1
                if self._stop.is_set() or not self._post(self._put, frame, feed.fps):
                    break
        except SourceError as error:
            return count, error
        except Exception as error:
            # The thread must outlive whatever a driver or a decoder throws: the next attempt may work.
            logger.exception("Reading %s failed", self._name)
            return count, SourceError(f"Reading {self._name} failed: {error}.")
        return count, SourceError(f"{self._name[:1].upper()}{self._name[1:]} gives no more pictures: unplugged?")

    def _post(self, call: Callable[..., None], *arguments: object) -> bool:
        try:
            self._loop.call_soon_threadsafe(call, *arguments)
        except RuntimeError:
            return False  # the loop is closed: nobody waits for pictures any more
        return True

    def _put(self, frame: av.VideoFrame, fps: float) -> None:
        self._frame, self.fps = frame, fps
        self._taken_at = self._loop.time()
        self.frames += 1
        self._wake()

    def _fail(self, error: SourceError) -> None:
        self._failure = error
        self._wake()

    def _wake(self) -> None:
        arrived, self._arrived = self._arrived, asyncio.Event()
        arrived.set()


class CaptureTrack(VideoStreamTrack):
    """The newest pictures of a `Capture`, each once; a slow encoder skips those in between."""

    def __init__(self, capture: Capture) -> None:
        super().__init__()
        self._capture = capture
        self._seen = 0

    async def recv(self) -> av.VideoFrame:
        """The next picture (yuv420p, rising 90 kHz timestamps).

        Raises:
            MediaStreamError: the track is stopped, or its source has ended for good.
        """
        if self.readyState != "live":
            raise MediaStreamError
        try:
            self._seen, frame = await self._capture.next(self._seen)
        except SourceError as error:
            raise MediaStreamError from error
        return frame
