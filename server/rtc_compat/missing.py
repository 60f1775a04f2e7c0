"""Which of a publisher's packets are missing, and when to ask for each again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from aiortc.rtcrtpreceiver import NackGenerator
from aiortc.rtp import RtpPacket
from aiortc.utils import uint16_add, uint16_gt

# Until the first retransmission has come.
FIRST_ROUND_TRIP_S = 0.1
SMOOTHING = 1 / 8
# Between two requests for the same packet: the round trip and a margin for what varies, within these bounds.
ROUND_TRIPS = 1.25
LEAST_INTERVAL_S = 0.04
MOST_INTERVAL_S = 0.5
# On a line that is full, asking for ever would fill it with repetitions of what nobody waits for any more.
ASKED_FOR_S = 0.8


@dataclass
class _Missing:
    since: float
    asked_at: float = 0.0
    times: int = 0


class MissingPackets(NackGenerator):
    """Trap 8: aiortc/rtcrtpreceiver.py NackGenerator asks for everything with each new gap, and else never.

    Here each packet is asked for at once, and then once a round trip; `found` is set when one has been found missing.
    The round trip is the time from the request to the packet, of packets that were asked for once (RFC 6298 section 3:
    with others it is open which request was answered), and for how long packets wait on a full line, `queue_s`.
    """

    def __init__(self, capacity: int, queue_s: Callable[[], float] = lambda: 0.0) -> None:
        super().__init__()
        self._queue_s = queue_s
        self._capacity = capacity
        self._packets: dict[int, _Missing] = {}
        self.round_trip_s = FIRST_ROUND_TRIP_S
        self.found = asyncio.Event()

    @property
    def interval_s(self) -> float:
        """Between two requests for the same packet."""
        return max(LEAST_INTERVAL_S, min(MOST_INTERVAL_S, ROUND_TRIPS * self.round_trip_s)) + self._queue_s()

    def add(self, packet: RtpPacket) -> bool:
        """Note a packet that has come. False always, so that upstream sends nothing of its own accord."""
        number, now = packet.sequence_number, time.monotonic()
        if self.max_seq is None:
            self.max_seq = number
        elif uint16_gt(number, self.max_seq):
            self._note_gap(number, now)
            self.max_seq = number
        elif (found := self._packets.pop(number, None)) is not None and found.times == 1:
            self.round_trip_s += SMOOTHING * (now - found.asked_at - self.round_trip_s)
        return False

    def _note_gap(self, number: int, now: float) -> None:
        first = uint16_add(self.max_seq or 0, 1)
        gap = uint16_add(number, -first)
        if gap >= self._capacity:
            self._packets.clear()  # the jitter buffer gives up on all of it, too
            return
        for count in range(gap):
            self._packets[uint16_add(first, count)] = _Missing(now)
        if gap:
            self.found.set()

    def forget_before(self, origin: int) -> None:
        """Packets before `origin` are no longer wanted."""
        for number in [each for each in self._packets if uint16_gt(origin, each)]:
            del self._packets[number]

    def oldest_s(self, now: float) -> float:
        """For how long the oldest has been missing; 0 when nothing is."""
        return max((now - each.since for each in self._packets.values()), default=0.0)

    def due(self, now: float, most: int) -> list[int]:
        """At most so many to ask for now, in order; they count as asked for."""
        due = [
            number
            for number, each in self._packets.items()
            if now - each.since < ASKED_FOR_S and (not each.times or now - each.asked_at >= self.interval_s)
        ][:most]
        for number in due:
            each = self._packets[number]
            each.asked_at, each.times = now, each.times + 1
        self.found.clear()
        return due
