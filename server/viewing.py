"""What one viewer is sent: the kind of picture it asked for, in the rendition that its line carries.

Joins the decisions of `Steering` to the viewer's `Switch` and line, and tells the page. Event loop's thread only.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import replace

from .annotate import PictureKind
from .broadcast import Broadcast
from .encode import CodecName
from .events import EventBus, ViewerChanged, ViewerRendition
from .renditions import RenditionName
from .rtc_compat import Downlink
from .steering import SILENCE_S, Steering
from .switching import Switch

PAD_EVERY_S = 0.05
# An overrun line holds a full queue, which would drop the keyframe of the smaller rendition too: first it runs empty.
DRAIN_S = 0.4

logger = logging.getLogger("surveillx.viewing")


class Viewing:
    """One viewer's picture, from `begin` to `stop`.

    A viewer whose line does not carry the smallest rendition is told so and goes on being sent it: its page leaves, and
    a program that knows no other way loses nothing.
    """

    def __init__(
        self,
        camera_id: str,
        session_id: str,
        broadcast: Broadcast,
        events: EventBus,
        start: RenditionName,
        picture: PictureKind = "annotated",
    ) -> None:
        """`start` is the best rendition unless the viewer knows that its line does not carry that."""
        self._broadcast = broadcast
        self._picture = picture
        self._events = events
        self._codec: CodecName = "VP8"
        self._names: list[ViewerRendition] = [*(each.name for each in broadcast.renditions), "jpeg"]
        bitrates_bps = [each.bitrate_bps for each in broadcast.renditions]
        self._steering = Steering(bitrates_bps, self._names.index(start), time.monotonic())
        self._line: Downlink | None = None
        self._switch: Switch | None = None
        self._heard_at = float("inf")
        self._padding: asyncio.TimerHandle | None = None
        self._draining: asyncio.TimerHandle | None = None
        self.told = ViewerChanged(camera_id, session_id, start, "")

    @property
    def delivered(self) -> int:
        """How many pictures were sent."""
        return self._switch.delivered if self._switch is not None else 0

    @property
    def is_best(self) -> bool:
        """Whether the viewer has the best rendition."""
        return self._steering.rung == 0

    def begin(self, line: Downlink, codec: CodecName) -> None:
        """Pictures of this codec can be sent down this line."""
        self._line, self._codec = line, codec
        self._switch = Switch(line)
        self._follow()

    def show(self, picture: PictureKind) -> None:
        """Be sent this kind of picture from its next keyframe on; until then everything stays as it is."""
        if picture != self._picture:
            self._picture = picture
            if self._draining is None:  # else it follows by itself when the line is empty
                self._follow()

    def limit(self, best: RenditionName | None) -> None:
        """Be sent this rendition at most, however much the line carries; None: whatever it carries."""
        rung = 0 if best is None else self._names.index(best)
        if self._steering.limit(time.monotonic(), rung):
            self._tell()
            if self._draining is None:
                self._follow()

    def request_keyframe(self) -> None:
        """The viewer lost its picture."""
        if self._switch is not None:
            self._switch.request_keyframe()

    def judge(self) -> None:
        """The viewer has reported how its line is."""
        if self._line is None:
            return
        now, heard_at, self._heard_at = time.monotonic(), self._heard_at, time.monotonic()
        if now - heard_at > SILENCE_S:
            # The line was down. Nobody wants to see now what was lost meanwhile.
            self._line.forget()
            self.request_keyframe()
        rung = self._steering.rung
        if self._steering.judge(now, self._line.feedback, self._broadcast.needs_bps(self._codec, self._picture)):
            self._tell()
            if self._steering.rung > rung:
                self._drain()
            else:
                self._follow()
        if self._padding is None:
            self._pad()

    def stop(self) -> None:
        """Leave; harmless when repeated."""
        for timer in (self._padding, self._draining):
            if timer is not None:
                timer.cancel()
        self._line = None
        if self._switch is not None:
            self._switch.stop()

    def _follow(self) -> None:
        """Be sent what the steering says, of the kind that the viewer wants."""
        if self._draining is not None:
            self._draining.cancel()
            self._draining = None
        if self._line is not None and self._switch is not None:
            rendition = self._broadcast.renditions[min(self._steering.rung, len(self._broadcast.renditions) - 1)]
            self._switch.to(self._broadcast.relay(self._codec, rendition.name, self._picture))

    def _drain(self) -> None:
        """Send nothing for a moment, and never what was lost, before the next keyframe."""
        if self._line is not None and self._switch is not None:
            self._switch.stop()
            self._line.forget()
            self._draining = asyncio.get_running_loop().call_later(DRAIN_S, self._follow)

    def _tell(self) -> None:
        self.told = replace(self.told, rendition=self._names[self._steering.rung], reason=self._steering.reason)
        logger.info("viewer %s: %s, %s", self.told.session_id, self.told.rendition, self.told.reason or "as it wants")
        self._events.publish(self.told)

    def _pad(self) -> None:
        """Send more than the pictures while the steering wants to know what the line carries."""
        self._padding = None
        if self._line is not None and self._steering.probing and not self._line.ended.is_set():
            padding_bps = self._steering.padding_bps(self._broadcast.needs_bps(self._codec, self._picture))
            self._line.pad(int(padding_bps / 8 * PAD_EVERY_S))
            self._padding = asyncio.get_running_loop().call_later(PAD_EVERY_S, self._pad)
