"""Bad lines between a publisher and the server, and how the camera's picture fares on them.

The real publisher and the real server, each a process, and between them the UDP proxy of `link`. What counts is when a
new picture is there to be shown, and how many of those sent have come.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import Any

from .processes import Answering, BenchError, answering, started

ROUND_TRIP_S = 0.05
WARM_S = 4.0
ONLINE_TIMEOUT_S = 20.0
BLACKOUT_S = 5.0
POLL_S = 0.1
# What a slow line still has to carry: a picture that moves.
LIVE_GAP_S = 1.0


@dataclass(frozen=True)
class Row:
    """One scenario's outcome: the goal in words, the figures, and whether they meet it."""

    scenario: str
    goal: str
    figure: str
    is_met: bool
    figures: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Stretch:
    """A while on a line: pictures sent and received, the longest time without a new one, and the bitrate before it."""

    seconds: float
    sent: int
    received: int
    longest_gap_s: float
    moments: Sequence[float]
    began: float
    bitrate_bps: float

    @property
    def share(self) -> float:
        """Of the pictures sent, those that came."""
        return min(1.0, self.received / self.sent) if self.sent else 0.0

    def gap_after(self, moment: float) -> float:
        """Until the first picture after `moment` (monotonic), seconds; the stretch's length when none came."""
        return next((each - moment for each in self.moments if each > moment), self.seconds)


class Uplink:
    """A camera on air through a line."""

    def __init__(self, server: Answering, line: Answering) -> None:
        self._server, self.line = server, line

    def watch(self, seconds: float, during: Callable[[], object] = lambda: None) -> Stretch:
        """Measure for that long; `during` runs at the beginning and counts towards it."""
        self._server.ask()
        before, frames = self.line.ask({})["up"], self._received()
        began = time.monotonic()
        during()
        time.sleep(max(0.0, began + seconds - time.monotonic()))
        answer = self._server.ask()
        after = self.line.ask({})["up"]
        passed = time.monotonic() - began
        moments = [began, *answer["moments"], began + passed]
        return Stretch(
            passed,
            after["pictures"] - before["pictures"],
            answer["frames"]["received"] - frames,
            max(later - earlier for earlier, later in pairwise(moments)),
            answer["moments"],
            began,
            (after["octets"] - before["octets"]) * 8 / passed,
        )

    def impair(self, **up: float) -> None:
        """Change the line towards the server; the way back keeps its half of the delay."""
        self.line.ask({"up": up})

    def darken(self, dark: bool) -> None:
        """Let nothing pass in either direction, or all again."""
        self.line.ask({"dark": dark})

    def _received(self) -> int:
        received: int = self._server.ask()["frames"]["received"]
        return received


@contextmanager
def on_air(clip: str) -> Iterator[Uplink]:
    """Server, line and publisher inside the block; the camera is online and its encoder has found its rate."""
    delay = {"delay_s": ROUND_TRIP_S / 2}
    with (
        tempfile.TemporaryDirectory(prefix="surveillx-bench-") as data,
        answering("server.bench.arrivals", data) as server,
        answering("server.bench.link", server.url) as line,
    ):
        line.ask({"up": delay, "down": delay})
        with started("server.bench.camera", line.url, clip):
            _wait_online(server)
            time.sleep(WARM_S)
            yield Uplink(server, line)


def _wait_online(server: Answering) -> None:
    deadline = time.monotonic() + ONLINE_TIMEOUT_S
    while not server.ask()["online"]:
        if time.monotonic() > deadline:
            raise BenchError("The camera did not come up; its messages are above.")
        time.sleep(POLL_S)


Scenario = Callable[[str, float], Row]


def lossy(name: str, gap_s: float, share: float, clip: str, seconds: float, **bad: float) -> Row:
    """A line that loses packets all the time."""
    with on_air(clip) as uplink:
        uplink.impair(**bad)
        found = uplink.watch(seconds)
    return Row(
        name,
        f"longest gap <= {gap_s:g} s, pictures >= {share:.0%}",
        f"{found.longest_gap_s:.2f} s, {found.share:.1%} of {found.sent}",
        found.longest_gap_s <= gap_s and found.share >= share,
        {"longest_gap_s": found.longest_gap_s, "share": found.share, "sent": found.sent, "bps": found.bitrate_bps},
    )


def packet_lost_for_good(clip: str, seconds: float) -> Row:
    """One packet is lost, and so is whatever repeats it."""
    with on_air(clip) as uplink:
        found = uplink.watch(seconds, lambda: uplink.line.ask({"lose": "up"}))
    return Row(
        "uplink, one packet and all its retransmissions lost",
        "longest gap <= 1 s",
        f"{found.longest_gap_s:.2f} s",
        found.longest_gap_s <= 1.0,
        {"longest_gap_s": found.longest_gap_s, "share": found.share},
    )


def blackout(clip: str, seconds: float) -> Row:
    """Nothing passes for a while; then the picture must be back."""
    back: list[float] = []

    def interrupt(uplink: Uplink) -> None:
        uplink.darken(True)
        time.sleep(BLACKOUT_S)
        uplink.darken(False)
        back.append(time.monotonic())

    with on_air(clip) as uplink:
        found = uplink.watch(max(seconds, BLACKOUT_S + 10), lambda: interrupt(uplink))
    after_s = found.gap_after(back[0])
    return Row(
        f"uplink, blackout of {BLACKOUT_S:g} s",
        "picture <= 1 s after",
        f"{after_s:.2f} s",
        after_s <= 1.0,
        {"picture_after_s": after_s},
    )


def narrow(rate_bps: int, clip: str, seconds: float) -> Row:
    """The line carries less than the picture takes; later it is good again."""
    with on_air(clip) as uplink:
        before = uplink.watch(3)
        uplink.impair(rate_bps=rate_bps)
        adapting = uplink.watch(5)
        found = uplink.watch(seconds)
        uplink.impair(rate_bps=0)
        after = uplink.watch(seconds)
    fps = found.received / found.seconds
    return Row(
        f"uplink, {rate_bps / 1e6:g} Mbit/s",
        f"after 5 s: longest gap <= {LIVE_GAP_S:g} s",
        f"{found.longest_gap_s:.2f} s, {fps:.1f} fps, {found.bitrate_bps / 1e6:.2f} Mbit/s "
        f"(before {before.bitrate_bps / 1e6:.2f}, the first 5 s {adapting.longest_gap_s:.2f} s; "
        f"good again {after.bitrate_bps / 1e6:.2f})",
        found.longest_gap_s <= LIVE_GAP_S,
        {
            "longest_gap_s": found.longest_gap_s,
            "fps": fps,
            "bps": found.bitrate_bps,
            "bps_before": before.bitrate_bps,
            "bps_after": after.bitrate_bps,
            "adapting_gap_s": adapting.longest_gap_s,
        },
    )


def scenarios() -> dict[str, Scenario]:
    """Every scenario of the uplink by its name."""
    loss: Any = {
        "up-0": ("no loss", 0.3, 0.99, {}),
        "up-1": ("1 % loss", 0.3, 0.99, {"loss": 0.01}),
        "up-5": ("5 % loss", 0.5, 0.97, {"loss": 0.05}),
        "up-10": ("10 % loss", 1.0, 0.93, {"loss": 0.10}),
        "up-bursts": ("bursts of 8 packets, 5 % in all", 1.0, 0.93, {"burst": 0.05 / 8, "burst_length": 8}),
    }
    return {
        **{
            key: partial(_lossy, f"uplink, {name}", gap_s, share, bad)
            for key, (name, gap_s, share, bad) in loss.items()
        },
        "up-lost-for-good": packet_lost_for_good,
        "up-blackout": blackout,
        "up-1200k": partial(narrow, 1_200_000),
        "up-600k": partial(narrow, 600_000),
    }


def _lossy(name: str, gap_s: float, share: float, bad: Mapping[str, float], clip: str, seconds: float) -> Row:
    return lossy(name, gap_s, share, clip, seconds, **bad)
