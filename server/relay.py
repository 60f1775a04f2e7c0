"""Hands each picture of one encoding to any number of viewers, at once.

Pictures and their RTP payloads are shared, never copied and never changed. Nothing is queued: a viewer whose
line takes no more loses everything up to the next keyframe, and nobody else notices. Event loop's thread only.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

# A viewer joining within this time of a keyframe is given that keyframe and what followed: joins share it.
SHARE_KEYFRAME_S = 0.1
# Joins so close to each other share the next one, but nobody waits longer than this after the last.
JOINS_PAUSE_S = 0.3
JOINS_PATIENCE_S = 1.4

logger = logging.getLogger("surveillx.relay")


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """One encoded picture as it travels, the same for all viewers.

    `timestamp` counts 90 kHz ticks of the camera's clock. `payloads` are RTP payloads in order (RFC 7741, RFC 6184).
    """

    timestamp: int
    is_keyframe: bool
    payloads: tuple[bytes, ...]


class Line(Protocol):
    """Where one viewer's pictures go."""

    def send(self, picture: Picture) -> bool:
        """Send it whole, without waiting. False: the line takes no more now, and the rest of the chain is useless."""


class KeyframeBroker:
    """Turns any number of wishes for a keyframe into at most one in `interval_s`, for all viewers together.

    Who lost the picture is served as soon as that allows. Who joins shortly after a keyframe waits until nobody else
    has joined for `JOINS_PAUSE_S`: a class that opens the page at once costs two keyframes, not one for each.
    """

    def __init__(self, interval_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._interval_s = interval_s
        self._clock = clock
        self._is_lost = False
        self._joined_at: float | None = None
        self._granted_at = float("-inf")

    def request(self) -> None:
        """Ask for a keyframe: a viewer has lost the picture."""
        self._is_lost = True

    def join(self) -> None:
        """Ask for a keyframe: a viewer has come."""
        self._joined_at = self._clock()

    def due(self) -> bool:
        """Whether the next frame must be a keyframe; the encoder asks this for every frame."""
        now = self._clock()
        since_s = now - self._granted_at
        return since_s >= self._interval_s and (self._is_lost or self._joins_are_over(now, since_s))

    def granted(self) -> None:
        """A keyframe has been encoded, wished for or not."""
        self._is_lost, self._joined_at = False, None
        self._granted_at = self._clock()

    def _joins_are_over(self, now: float, since_s: float) -> bool:
        if self._joined_at is None:
            return False
        return now - self._joined_at >= JOINS_PAUSE_S or since_s >= JOINS_PATIENCE_S


class Relay:
    """The viewers of one encoding."""

    def __init__(
        self,
        *,
        keyframe_interval_s: float,
        on_first: Callable[[], None] = lambda: None,
        on_dropped: Callable[[int], None] = lambda _count: None,
    ) -> None:
        self.keyframes = KeyframeBroker(keyframe_interval_s)
        self._on_first = on_first
        self._on_dropped = on_dropped
        self._subscriptions: set[Subscription] = set()
        self._since_keyframe: list[Picture] = []
        self._keyframe_at = float("-inf")
        self.dropped = 0

    @property
    def viewers(self) -> int:
        """How many viewers take pictures now."""
        return len(self._subscriptions)

    def subscribe(self, line: Line) -> Subscription:
        """Send pictures down `line` from the next keyframe on."""
        subscription = Subscription(self, line)
        self._subscriptions.add(subscription)
        if self._since_keyframe and time.monotonic() - self._keyframe_at < SHARE_KEYFRAME_S:
            for picture in self._since_keyframe:
                subscription.take(picture)
        else:
            self.keyframes.join()
        if len(self._subscriptions) == 1:
            self._on_first()
        return subscription

    def publish(self, picture: Picture) -> None:
        """Send a picture to every viewer; never blocks."""
        now = time.monotonic()
        if picture.is_keyframe:
            self.keyframes.granted()
            self._keyframe_at = now
            self._since_keyframe = [picture]
        elif now - self._keyframe_at < SHARE_KEYFRAME_S:
            self._since_keyframe.append(picture)
        else:
            self._since_keyframe.clear()
        for subscription in tuple(self._subscriptions):
            subscription.take(picture)

    def leave(self, subscription: Subscription) -> None:
        """Send nothing more to `subscription`."""
        self._subscriptions.discard(subscription)
        if not self._subscriptions:
            self._since_keyframe.clear()

    def count_dropped(self) -> None:
        """A picture was not sent to a viewer that is behind."""
        self.dropped += 1
        self._on_dropped(1)


class Subscription:
    """One viewer's place in a relay, from `Relay.subscribe` to `stop`."""

    def __init__(self, relay: Relay, line: Line) -> None:
        self._relay = relay
        self._line = line
        self._needs_keyframe = True
        self.delivered = 0

    def request_keyframe(self) -> None:
        """The viewer lost its picture (PLI or FIR, RFC 4585 and RFC 5104)."""
        self._relay.keyframes.request()

    def take(self, picture: Picture) -> None:
        """Send a picture, or skip to the next keyframe when the line takes no more."""
        if self._needs_keyframe and not picture.is_keyframe:
            self._relay.count_dropped()
        elif self._line.send(picture):
            self._needs_keyframe = False
            self.delivered += 1
        else:
            self._relay.count_dropped()
            self._needs_keyframe = True
            self.request_keyframe()

    def stop(self) -> None:
        """Leave the relay; harmless when repeated."""
        self._relay.leave(self)
