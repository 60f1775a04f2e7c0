"""One viewer's place among a camera's encodings: what it watches, and how it changes without a gap.

Event loop's thread only.
"""

from __future__ import annotations

from dataclasses import replace

from .relay import Line, Picture, Relay, Subscription


class Switch:
    """Sends a viewer the pictures of one relay after another, all over the same line.

    A new relay is joined first and the old one left with the new one's first keyframe, so that no moment is missing.
    Timestamps only rise: where the new relay shows a moment that the old one has shown, it follows one tick later.
    """

    def __init__(self, line: Line) -> None:
        self._line = line
        self._present: _Way | None = None
        self._coming: _Way | None = None
        self._timestamp: int | None = None
        self.delivered = 0

    def to(self, relay: Relay) -> None:
        """Change to this relay with its next keyframe; until then everything stays as it is."""
        self._forget_coming()
        if self._present is None or self._present.relay is not relay:
            self._coming = way = _Way(self, relay)
            way.join()

    @property
    def relay(self) -> Relay | None:
        """Where the pictures come from now."""
        return self._present.relay if self._present is not None else None

    def request_keyframe(self) -> None:
        """The viewer lost its picture. If it is about to change, the keyframe to begin with is the new relay's."""
        way = self._coming or self._present
        if way is not None:
            way.relay.keyframes.request()

    def stop(self) -> None:
        """Leave all relays; harmless when repeated."""
        self._forget_coming()
        if self._present is not None:
            self._present.leave()
            self._present = None

    def take(self, way: _Way, picture: Picture) -> bool:
        """Send a picture that came over `way`; False when the line takes no more."""
        if self._timestamp is not None and picture.timestamp <= self._timestamp:
            picture = replace(picture, timestamp=self._timestamp + 1)
        if not self._line.send(picture):
            return False
        self._timestamp = picture.timestamp
        self.delivered += 1
        if way is self._coming:
            if self._present is not None:
                self._present.leave()
            self._present, self._coming = way, None
        return True

    def _forget_coming(self) -> None:
        if self._coming is not None:
            self._coming.leave()
            self._coming = None


class _Way:
    """A `Line` from one relay into the switch. The relay begins with a keyframe."""

    def __init__(self, switch: Switch, relay: Relay) -> None:
        self.relay = relay
        self._switch = switch
        self._subscription: Subscription | None = None

    def join(self) -> None:
        """Be sent pictures, the first perhaps before this returns."""
        self._subscription = self.relay.subscribe(self)

    def leave(self) -> None:
        """Be sent no more."""
        if self._subscription is not None:
            self._subscription.stop()

    def send(self, picture: Picture) -> bool:
        return self._switch.take(self, picture)
