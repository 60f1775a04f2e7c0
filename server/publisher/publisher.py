"""The publisher's life: pictures first, then a connection, and a new one whenever it ends, for ever."""

from __future__ import annotations

import asyncio
import logging
import random
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, repeat

from .capture import Capture
from .devices import Mode
from .feeds import open_feed
from .peer import IceServers, PublisherPeer, allow_loopback, raise_limits
from .signalling import NotConnectedError, Signalling, UnreachableError

BACKOFF_S = (0.5, 1.0, 2.0, 5.0)
JITTER = 0.2
KNOCK_EVERY_S = 0.5
# A connection that lasted this long worked: the next one may start without patience.
GOOD_AFTER_S = 5.0

logger = logging.getLogger("surveillx.publisher")


@dataclass(frozen=True, kw_only=True)
class PublisherSettings:
    """What to publish, and where."""

    server: str
    camera_id: str = "1"
    source: str = "0"
    token: str = field(default="", repr=False)
    mode: Mode = field(default_factory=Mode)
    max_bitrate_bps: int = 4_000_000
    ice_servers: IceServers = field(default_factory=IceServers, repr=False)


class Publisher:
    """Publishes one source as one camera, reconnecting for ever. `capture` replaces the source of the settings."""

    def __init__(self, settings: PublisherSettings, capture: Capture | None = None) -> None:
        self._settings = settings
        feed_source = partial(open_feed, settings.source, settings.mode)
        self._capture = capture or Capture(feed_source, f"source {settings.source}")
        self._stop = asyncio.Event()
        self._told = ""
        self._delays = _delays()

    async def run(self) -> None:
        """Publish until `stop`; the server is told goodbye before this returns.

        Raises:
            SourceError: there will never be a picture, such as for a file that does not exist.
        """
        work = asyncio.create_task(self._publish(), name="publisher")
        stopped = asyncio.create_task(self._stop.wait(), name="publisher-stop")
        try:
            await asyncio.wait({work, stopped}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopped.cancel()
            work.cancel()
            await asyncio.wait({work, stopped})
        if not work.cancelled():
            work.result()

    def stop(self) -> None:
        """Ask `run` to end; it does within three seconds. Twice is harmless."""
        self._stop.set()

    async def _publish(self) -> None:
        raise_limits(self._settings.max_bitrate_bps)
        allow_loopback()
        self._capture.start()
        try:
            async with Signalling(self._settings.server, self._settings.camera_id, self._settings.token) as signalling:
                await self._reconnect(signalling)
        finally:
            await self._capture.close()

    async def _reconnect(self, signalling: Signalling) -> None:
        logger.info("Connecting to %s as camera %s", self._settings.server, self._settings.camera_id)
        while True:
            # Without a picture the server would close the connection as silent, again and again.
            await self._capture.wait_fresh()
            problem = await self._connection(signalling)
            self._tell(f"{problem} Trying again.", logging.WARNING)
            await self._pause(signalling, problem)

    async def _connection(self, signalling: Signalling) -> NotConnectedError:
        """Connect and send until that ends; why it ended."""
        peer = PublisherPeer(signalling, self._capture.track(), self._settings.ice_servers)
        try:
            await peer.connect()
            return await self._live(peer)
        except NotConnectedError as error:
            return error
        finally:
            await peer.close()

    async def _live(self, peer: PublisherPeer) -> NotConnectedError:
        capture, loop = self._capture, asyncio.get_running_loop()
        text = f"Live: camera {self._settings.camera_id}, {capture.size} at {capture.fps:.0f} fps"
        self._tell(text, logging.INFO)
        since = loop.time()
        reason = await peer.ended(lambda: capture.frames)
        if loop.time() - since > GOOD_AFTER_S:
            self._delays = _delays()
        return NotConnectedError(reason)

    async def _pause(self, signalling: Signalling, problem: NotConnectedError) -> None:
        """Wait before the next attempt; where nobody listened at the server's port, only until somebody does."""
        delay_s = problem.retry_s or next(self._delays)
        if not isinstance(problem, UnreachableError):
            await asyncio.sleep(delay_s)
            return
        loop = asyncio.get_running_loop()
        end = loop.time() + delay_s
        while (left_s := end - loop.time()) > 0:
            await asyncio.sleep(min(KNOCK_EVERY_S, left_s))
            if await signalling.knock():
                return

    def _tell(self, text: str, level: int) -> None:
        """One line a change of state: what was said last is not said again."""
        if text != self._told:
            logger.log(level, text)
        self._told = text


def _delays() -> Iterator[float]:
    for delay_s in chain(BACKOFF_S, repeat(BACKOFF_S[-1])):
        yield delay_s * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - spreads publishers, guards nothing


def new_event_loop() -> asyncio.AbstractEventLoop:
    """The loop to publish on. On Windows the default one stops receiving after one "port unreachable"."""
    return asyncio.SelectorEventLoop() if sys.platform == "win32" else asyncio.new_event_loop()
