"""What a bad line does to the datagrams of one direction: loses, delays and queues them. Event loop's thread only.

A datagram passes, in this order: blackout, the scenario's own predicate, bursts, random loss, a rate with a bounded
queue in front of it (a slow DSL line), and the delay. What was sent first arrives first.
"""

from __future__ import annotations

import asyncio
import random
import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

# Datagrams under way in one direction: seconds of video, and an end to the memory they take.
MOST_UNDER_WAY = 20_000

Send = Callable[[bytes], None]


@dataclass
class Impairment:
    """How bad one direction of a line is; every field may be changed while it runs.

    `loss` is the share of datagrams lost one by one, `burst` that of those that begin a burst, in which `burst_length`
    in a row are lost. `rate_bps` of 0 means no limit; a datagram that finds `queue_bytes` waiting before it is lost.
    """

    delay_s: float = 0.0
    loss: float = 0.0
    burst: float = 0.0
    burst_length: int = 8
    rate_bps: int = 0
    queue_bytes: int = 64_000
    dark: bool = False


@dataclass
class Counted:
    """What came: datagrams, those of them that were lost here, and pictures (of one sender; H.264 and VP8)."""

    datagrams: int = 0
    octets: int = 0
    lost: int = 0
    pictures: int = 0


@dataclass
class Direction:
    """One direction of a line, shared by all that goes through it. `seed` makes its losses repeatable.

    What is sent on carries the `mark` (SO_MARK of socket(7)); with one, random loss is left to the kernel's packet
    filter, see `namespaces`.
    """

    seed: int = 1
    impairment: Impairment = field(default_factory=Impairment)
    counted: Counted = field(default_factory=Counted)
    lose: Callable[[bytes], bool] | None = None
    mark: int = 0

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)  # noqa: S311 - repeatable, not secret
        self._left_of_burst = 0
        self._free_at = 0.0
        self._under_way: deque[tuple[float, Send, bytes]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._newest_picture: int | None = None

    def carry(self, data: bytes, send: Send) -> None:
        """Take a datagram; `send` is called with it when it arrives, if it does."""
        self.counted.datagrams += 1
        self.counted.octets += len(data)
        self._count_picture(data)
        now = asyncio.get_running_loop().time()
        if self._is_lost(data) or not self._fits(len(data), now):
            self.counted.lost += 1
            return
        due = max(self._free_at, now) + self.impairment.delay_s
        if self._under_way:
            due = max(due, self._under_way[-1][0])
        elif due <= now:
            send(data)
            return
        self._under_way.append((due, send, data))
        if self._timer is None:
            self._wait()

    def close(self) -> None:
        """Lose what is still under way."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._under_way.clear()

    def _count_picture(self, data: bytes) -> None:
        """A picture is a timestamp newer than any before; retransmissions carry the one of their picture."""
        if not is_rtp(data):
            return
        (timestamp,) = struct.unpack("!L", data[4:8])
        if self._newest_picture is None or 0 < (timestamp - self._newest_picture) & 0xFFFFFFFF < 1 << 31:
            self._newest_picture = timestamp
            self.counted.pictures += 1

    def _is_lost(self, data: bytes) -> bool:
        bad = self.impairment
        if bad.dark or len(self._under_way) >= MOST_UNDER_WAY:
            return True
        if self.lose is not None and self.lose(data):
            return True
        if self._left_of_burst:
            self._left_of_burst -= 1
            return True
        if bad.burst and self._random.random() < bad.burst:
            self._left_of_burst = bad.burst_length - 1
            return True
        return bool(bad.loss) and not self.mark and self._random.random() < bad.loss

    def _fits(self, octets: int, now: float) -> bool:
        """Queue it before the slow part of the line, if there is room."""
        bad = self.impairment
        if not bad.rate_bps:
            self._free_at = 0.0
            return True
        waiting_s = max(0.0, self._free_at - now)
        if waiting_s * bad.rate_bps / 8 + octets > bad.queue_bytes:
            return False
        self._free_at = now + waiting_s + octets * 8 / bad.rate_bps
        return True

    def _wait(self) -> None:
        self._timer = asyncio.get_running_loop().call_at(self._under_way[0][0], self._arrive)

    def _arrive(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time()
        while self._under_way and self._under_way[0][0] <= now:
            _, send, data = self._under_way.popleft()
            send(data)
        if self._under_way:
            self._wait()


class LosePacketForGood:
    """A predicate: loses one video packet and whatever repeats it, for as long as it is asked.

    SRTP leaves the header readable (RFC 3711 section 3.1). Which packet a retransmission (RFC 4588) carries is not, but
    on a line that loses nothing else it is the one that is two octets longer and has another SSRC.
    """

    def __init__(self, after: int = 0) -> None:
        self._after = after
        self._victim: tuple[int, int, int] | None = None
        self.repeats = 0

    def __call__(self, data: bytes) -> bool:
        """Whether this datagram is lost."""
        if not is_rtp(data):
            return False
        number, ssrc = struct.unpack("!2xH4xL", data[:12])
        if self._victim is None:
            self._after -= 1
            if self._after < 0:
                self._victim = (number, ssrc, len(data))
            return self._victim is not None
        lost_number, lost_ssrc, octets = self._victim
        repeated = number == lost_number if ssrc == lost_ssrc else len(data) == octets + 2
        self.repeats += repeated
        return repeated


def is_rtp(data: bytes) -> bool:
    """Whether a datagram of a WebRTC connection is a media packet (RFC 7983; RFC 5761 section 4 tells RTCP apart)."""
    return len(data) > 12 and 127 < data[0] < 192 and not 192 <= data[1] <= 223


def is_rtcp(data: bytes) -> bool:
    """Whether a datagram of a WebRTC connection is a report or a request."""
    return len(data) >= 8 and 127 < data[0] < 192 and 192 <= data[1] <= 223
