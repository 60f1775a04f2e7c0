"""`surveillx bench churn`: what viewers and publishers leave behind who come, get a picture and go, 1,000 times.

Nine of ten go politely or hang up, one vanishes without a word; now and then a publisher does the same with a camera of
its own. Then come 500 offers that nobody completes. All the while somebody watches the camera who should notice
nothing. Recognition is off: it is a process of its own. Linux only, for /proc.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import httpx
from aiortc import RTCConfiguration, RTCPeerConnection

from .latency import own_server
from .processes import BenchError, Child, Serving, started
from .readings import Reading, asking, read, settled
from .report import Chart, Goal, Result, progress
from .viewers import ask, wait_for_camera

ROUND = 100
VANISHING = 10
# A peer that has vanished is noticed by ICE after 27 to 39 s (RFC 7675, and aioice's patience), then closed.
SETTLE_S = 60.0
# So soon the server gives free memory back (server/heap.py).
HEAP_S = 3.0
# Offers are made by so many at once; a server that limits says 429 or 503.
OFFERS_AT_ONCE = 20
OFFER_TIMEOUT_S = 30.0
WATCHED_S = 3.0
GOAL_MORE_MB, GOAL_GONE_S = 20.0, 15.0
# Of the pictures that a viewer had before: the others must not notice.
GOAL_FPS_SHARE = 0.95


@dataclass(frozen=True)
class Stop:
    """After so many connects: how the server is, after how long, and the watcher's pictures a second meanwhile.

    `joined_s` are the times from offer to first picture.
    """

    connects: int
    reading: Reading
    settled_s: float
    watcher_fps: float
    joined_s: Sequence[float] = ()


@dataclass(frozen=True)
class Flood:
    """Offers never completed: answers by HTTP status, seconds until all was gone, the watcher's pictures a second.

    `quiet_fps` is what the watcher had just before.
    """

    offers: int
    statuses: dict[int, int]
    after: Stop
    quiet_fps: float


@dataclass
class Found:
    """What has been measured so far. `ended` is why it ended before its time."""

    stops: list[Stop] = field(default_factory=list)
    flood: Flood | None = None
    ended: str = ""


def run(connects: int, offers: int, clip: str) -> Result:
    """Let them come and go, or until SIGINT or SIGTERM.

    Raises:
        BenchError: this is not Linux, something does not start, or it ends before there is anything to tell.
    """
    if not sys.platform.startswith("linux"):
        raise BenchError("this measurement reads /proc and runs on Linux only")
    found = Found()
    with ExitStack() as stack:
        scene = _Scene.started(stack, clip)
        try:
            for stop in scene.rounds(connects):
                found.stops.append(stop)
            found.flood = scene.flood(offers, found.stops[0].reading) if offers else None
        except KeyboardInterrupt:
            found.ended = "interrupted"
        except BenchError as error:
            found.ended = str(error)
    return result(found)


@dataclass
class _Scene:
    server: Serving
    watcher: Child
    http: httpx.Client

    @classmethod
    def started(cls, stack: ExitStack, clip: str) -> _Scene:
        """A camera and its watcher, until the stack is closed."""
        server = stack.enter_context(own_server(recognition_every=0))
        stack.enter_context(started("server.bench.camera", server.url, clip))
        wait_for_camera(server)
        watcher = stack.enter_context(started("server.bench.load", server.url))
        ask(watcher, "1")
        return cls(server, watcher, stack.enter_context(asking(server.url)))

    def rounds(self, connects: int) -> Iterator[Stop]:
        """One reading before the first visitor and one after each round of visits.

        Before the first reading one visitor of each kind has been here: threads and caches that stay are there.
        """
        with started("server.bench.visitors", self.server.url) as visitors:
            for who in ("viewer", "publisher"):
                _send(visitors, who, "delete", 1)
        first = read(self.server.pid, self.http)
        yield Stop(0, first, 0.0, self._fps(WATCHED_S))
        for begin in range(0, connects, ROUND):
            count = min(ROUND, connects - begin)
            stop = self._round(begin + count, count, first)
            progress(told(stop))
            yield stop

    def _round(self, connects: int, count: int, first: Reading) -> Stop:
        pictures, began = self._pictures(), time.monotonic()
        vanishing = min(VANISHING, count // 2)
        joined_s = self._vanish(vanishing) if vanishing else []
        with started("server.bench.visitors", self.server.url) as visitors:
            polite = (count - vanishing) // 2
            joined_s += _send(visitors, "viewer", "delete", polite)
            joined_s += _send(visitors, "viewer", "close", count - vanishing - polite)
            for how in ("delete", "close"):
                _send(visitors, "publisher", how, 1)
        fps = (self._pictures() - pictures) / (time.monotonic() - began)
        reading, settled_s = self._settled(first)
        return Stop(connects, reading, settled_s, fps, joined_s)

    def _vanish(self, count: int) -> list[float]:
        """So many viewers and one publisher, with its viewer, of whom nothing is heard any more."""
        with started("server.bench.visitors", self.server.url) as lost:
            joined_s = _send(lost, "viewer", "stay", count)
            _send(lost, "publisher", "stay", 1)
            os.kill(lost.pid, signal.SIGKILL)
        return joined_s

    def flood(self, offers: int, first: Reading) -> Flood:
        """Make offers that nobody completes, and wait until the server has forgotten them."""
        quiet_fps = self._fps(WATCHED_S)
        pictures, began = self._pictures(), time.monotonic()
        statuses = asyncio.run(offer_in_vain(self.server.url, offers))
        reading, settled_s = self._settled(first)
        fps = (self._pictures() - pictures) / (time.monotonic() - began)
        return Flood(offers, dict(statuses), Stop(offers, reading, settled_s, fps), quiet_fps)

    def _settled(self, first: Reading) -> tuple[Reading, float]:
        """How the server is when nothing is left over, and after how many seconds that was."""
        _, settled_s = settled(self.server.pid, self.http, first, SETTLE_S)
        time.sleep(HEAP_S)
        return read(self.server.pid, self.http), settled_s

    def _fps(self, seconds: float) -> float:
        pictures, began = self._pictures(), time.monotonic()
        time.sleep(seconds)
        return (self._pictures() - pictures) / (time.monotonic() - began)

    def _pictures(self) -> float:
        return ask(self.watcher, "count")[0]


def _send(visitors: Child, who: str, how: str, count: int) -> list[float]:
    """Send visitors; the seconds from offer to first picture of each.

    Raises:
        BenchError: one of them could not connect.
    """
    if not count:
        return []
    print(who, how, count, file=visitors.input, flush=True)
    answer = visitors.output.readline()
    if not answer:
        raise BenchError(f"A {who} could not connect; its messages are above.")
    return [float(seconds) for seconds in json.loads(answer)]


async def offer_in_vain(url: str, offers: int) -> Counter[int]:
    """Make real offers of a peer that is not there any more; how often each HTTP status came."""
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    peer.addTransceiver("video", direction="recvonly")
    await peer.setLocalDescription(await peer.createOffer())
    offer = {"sdp": peer.localDescription.sdp, "type": "offer", "camera_id": "1"}
    await peer.close()
    gate = asyncio.Semaphore(OFFERS_AT_ONCE)
    async with httpx.AsyncClient(base_url=url, timeout=OFFER_TIMEOUT_S) as http:

        async def ask_once() -> int:
            async with gate:
                return (await http.post("/webrtc/viewer", json=offer)).status_code

        return Counter(await asyncio.gather(*(ask_once() for _ in range(offers))))


def told(stop: Stop) -> str:
    """How it goes, in one line."""
    held = ", ".join(f"{count} {name}" for name, count in stop.reading.counts.items())
    return f"{stop.connects} connects: {stop.reading.rss_mb:.1f} MB, {held}, {stop.watcher_fps:.1f} fps at the watcher"


def result(found: Found) -> Result:
    """What was found.

    Raises:
        BenchError: nobody had come and gone yet.
    """
    if len(found.stops) < 2:
        raise BenchError(f"it ended too early to say anything{found.ended and ': '}{found.ended}")
    rows = [_row(f"after {each.connects} connects", each) for each in found.stops]
    if found.flood is not None:
        rows.append(_row(f"after {found.flood.offers} offers never completed", found.flood.after))
    return Result(
        ("when", "memory MB", *found.stops[0].reading.counts, "settled after s", "watcher's fps"),
        rows,
        {
            "ended": found.ended,
            "stops": [_kept(each) for each in found.stops],
            "flood": found.flood
            and {
                "offers": found.flood.offers,
                "statuses": {str(status): count for status, count in found.flood.statuses.items()},
                "quiet_fps": round(found.flood.quiet_fps, 2),
                **_kept(found.flood.after),
            },
        },
        _notes(found),
        Chart(
            "Memory of the server",
            "viewers that have come and gone",
            "MB",
            {"server": [(each.connects, each.reading.rss_mb) for each in found.stops]},
        ),
        goals=_goals(found),
    )


def _goals(found: Found) -> list[Goal]:
    first, last = found.stops[0].reading, found.stops[-1].reading
    goals = [
        Goal("memory more than at the start", last.rss_mb - first.rss_mb, GOAL_MORE_MB, "MB"),
        Goal("files, threads, tasks, connections left over", sum(last.left_over(first).values()), 0),
    ]
    if found.flood is not None:
        after, least_fps = found.flood.after, GOAL_FPS_SHARE * found.flood.quiet_fps
        goals += [
            Goal("offers never completed: gone after", after.settled_s, GOAL_GONE_S, "s"),
            Goal("offers never completed: left over", sum(after.reading.left_over(first).values()), 0),
            Goal("offers never completed: live pictures a second", after.watcher_fps, least_fps, "fps", is_least=True),
        ]
    return goals


def _row(when: str, stop: Stop) -> tuple[str, ...]:
    return (
        when,
        f"{stop.reading.rss_mb:.1f}",
        *(str(count) for count in stop.reading.counts.values()),
        f"{stop.settled_s:.0f}",
        f"{stop.watcher_fps:.1f}",
    )


def _kept(stop: Stop) -> dict[str, Any]:
    return {
        "connects": stop.connects,
        "rss_mb": round(stop.reading.rss_mb, 1),
        **stop.reading.counts,
        "settled_s": round(stop.settled_s, 1),
        "watcher_fps": round(stop.watcher_fps, 2),
        "joined_s": [round(seconds, 3) for seconds in stop.joined_s],
    }


def _notes(found: Found) -> list[str]:
    first, last = found.stops[0], found.stops[-1]
    joined_s = sorted(seconds for each in found.stops for seconds in each.joined_s)
    p95_s = joined_s[min(len(joined_s) - 1, int(0.95 * len(joined_s)))]
    more_mb = last.reading.rss_mb - first.reading.rss_mb
    took = f"median {1000 * median(joined_s):.0f} ms, p95 {1000 * p95_s:.0f} ms"
    notes = [
        f"memory: {more_mb:+.1f} MB, {_half_way(found.stops)}",
        f"left over of {last.connects} connects: {_words(last.reading.left_over(first.reading))}",
        f"offer to first complete picture, {len(joined_s)} viewers: {took}",
        f"of each {ROUND} viewers {VANISHING} vanished, which ICE notices after half a minute; 3 publishers came too",
    ]
    if found.flood is not None:
        notes.append(_flood_note(found.flood, first.reading))
    return [*notes, f"ended before its time: {found.ended}"] if found.ended else notes


def _half_way(stops: Sequence[Stop]) -> str:
    middle = stops[len(stops) // 2]
    more_mb = stops[-1].reading.rss_mb - middle.reading.rss_mb
    return f"of which {more_mb:+.1f} MB since the {middle.connects}th"


def _flood_note(flood: Flood, first: Reading) -> str:
    answers = ", ".join(f"{count} x {status}" for status, count in sorted(flood.statuses.items()))
    left = _words(flood.after.reading.left_over(first))
    fps = f"the watcher's fps {flood.after.watcher_fps:.1f}, before {flood.quiet_fps:.1f}"
    return (
        f"{flood.offers} offers never completed: answered {answers}; left over after {flood.after.settled_s:.0f} s: "
        f"{left}; {fps}"
    )


def _words(left_over: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in left_over.items()) or "nothing"
