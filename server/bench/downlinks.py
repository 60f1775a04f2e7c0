"""Bad lines between the server and a dashboard, and how its picture fares: real Chromium, the page as it is.

The page's own peer connection is asked for its statistics ten times a second. The line is the UDP proxy of `link`, in a
process of its own; a second page on a good line shows whether the others notice.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import psutil

from .latency import own_server
from .processes import Answering, BenchError, answering, started
from .uplinks import BLACKOUT_S, ROUND_TRIP_S, Row

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

LOOK_EVERY_S = 0.1
LIVE_TIMEOUT_S = 30.0
# Browsers that start up make packets wait on a small machine, and the publisher sends less for some seconds.
WARM_S = 8.0
NARROW_BPS = 400_000
# Everything is lost for so long: a burst, and a network that was away until the server had given the session up.
BURST_S, LONG_BLACKOUT_S = 0.5, 60.0
SUSPENDED_S = 60.0
# Who asks for scenarios this short wants to see that they work.
SHORT_S = 10.0
# A picture that stands still for longer than this is a freeze to whoever looks; ten looks a second show no less.
FREEZE_S = 1.0

KEEP_PEERS_SCRIPT = """
window.benchPeers = [];
window.RTCPeerConnection = class extends RTCPeerConnection {
  constructor(...words) { super(...words); window.benchPeers.push(this); }
};
"""
LOOK_SCRIPT = """
async () => {
  let [decoded, keyframes, freezes, frozen, height] = [0, 0, 0, 0, 0];
  for (const peer of window.benchPeers) {
    // A closed connection has no statistics any more: what it had counted stays.
    const total = (peer.benchTotal ??= {decoded: 0, keyframes: 0, freezes: 0, frozen: 0});
    for (const report of (await peer.getStats()).values())
      if (report.type === "inbound-rtp" && report.kind === "video") {
        total.decoded = report.framesDecoded ?? 0;
        total.keyframes = report.keyFramesDecoded ?? 0;
        total.freezes = report.freezeCount ?? 0;
        total.frozen = report.totalFreezesDuration ?? 0;
        if (peer.connectionState === "connected") height = report.frameHeight ?? height;
      }
    decoded += total.decoded;
    keyframes += total.keyframes;
    freezes += total.freezes;
    frozen += total.frozen;
  }
  const player = document.querySelector("surveillx-viewer")?.dataset ?? {};
  return {decoded, keyframes, freezes, frozen, height, transport: player.transport ?? ""};
}
"""


@dataclass(frozen=True)
class Look:
    """A page's statistics at a moment (monotonic): totals, and the height of the picture it gets."""

    at: float
    decoded: int
    keyframes: int
    freezes: int
    frozen: float
    height: int
    transport: str


@dataclass(frozen=True)
class Watched:
    """What was seen of a page, look by look."""

    looks: Sequence[Look]

    @property
    def seconds(self) -> float:
        """From the first look to the last."""
        return self.looks[-1].at - self.looks[0].at

    @property
    def fps(self) -> float:
        """Pictures decoded a second."""
        return (self.looks[-1].decoded - self.looks[0].decoded) / self.seconds

    @property
    def frozen_share(self) -> float:
        """Chromium's totalFreezesDuration as a share of the time."""
        return (self.looks[-1].frozen - self.looks[0].frozen) / self.seconds

    def changed_height_after(self, moment: float) -> float | None:
        """Seconds from `moment` until the picture first had another height; None when it kept it."""
        later = [look for look in self.looks if look.at >= moment]
        return next((each.at - moment for each in later if each.height not in (0, self.looks[0].height)), None)

    def picture_after(self, moment: float) -> float:
        """Seconds from `moment` to the first look with a new picture; all the time left when there is none."""
        before = max((look.decoded for look in self.looks if look.at <= moment), default=0)
        return next(
            (each.at - moment for each in self.looks if each.decoded > before and each.at > moment), self.seconds
        )

    def longest_still_after(self, moment: float) -> float:
        """The longest time without a new picture since `moment`, seconds."""
        later = [look for look in self.looks if look.at >= moment]
        moved = [later[0].at, *(b.at for a, b in pairwise(later) if b.decoded > a.decoded), later[-1].at]
        return max(b - a for a, b in pairwise(moved))


class Downlink:
    """A camera on air, a page on a line, and a page beside it on a good one; `server` is the server's process."""

    def __init__(self, server: psutil.Process, line: Answering, page: Page, other: Page) -> None:
        self.server, self.line, self.page, self._other = server, line, page, other

    def watch(self, seconds: float, plan: Sequence[tuple[float, Callable[[], object]]] = ()) -> tuple[Watched, Watched]:
        """Look at both pages for that long, carrying out `plan` (seconds from the beginning, what)."""
        began, left = time.monotonic(), list(plan)
        seen: tuple[list[Look], list[Look]] = ([], [])
        while (now := time.monotonic()) < began + seconds:
            while left and now - began >= left[0][0]:
                left.pop(0)[1]()
            for page, looks in zip((self.page, self._other), seen, strict=True):
                looks.append(look(page))
            time.sleep(LOOK_EVERY_S)
        return Watched(seen[0]), Watched(seen[1])


def look(page: Page) -> Look:
    """The page's statistics now."""
    return Look(time.monotonic(), **page.evaluate(LOOK_SCRIPT))


@contextmanager
def watching(browser: Browser, clip: str) -> Iterator[Downlink]:
    """Server, publisher, line and both pages inside the block; both show the picture."""
    delay = {"delay_s": ROUND_TRIP_S / 2}
    with (
        own_server(recognition_every=0) as server,
        started("server.bench.camera", server.url, clip),
        answering("server.bench.link", server.url) as line,
        ExitStack() as pages,
    ):
        line.ask({"up": delay, "down": delay})
        page, other = (_page(browser, url, pages) for url in (line.url, server.url))
        _wait_live(page)
        _wait_live(other)
        time.sleep(WARM_S)
        yield Downlink(psutil.Process(server.pid), line, page, other)


def _page(browser: Browser, url: str, pages: ExitStack) -> Page:
    # A context each: a page whose renderer is stopped must not hold up the other.
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    pages.callback(context.close)
    page = context.new_page()
    page.add_init_script(KEEP_PEERS_SCRIPT)
    page.goto(url)
    return page


def _wait_live(page: Page) -> None:
    deadline = time.monotonic() + LIVE_TIMEOUT_S
    while look(page).decoded < 1:
        if time.monotonic() > deadline:
            raise BenchError("No picture came to the browser; see the messages above.")
        time.sleep(LOOK_EVERY_S)


Scenario = Callable[["Browser", str, float], Row]


def lossy(loss: float, most_frozen: float, browser: Browser, clip: str, seconds: float) -> Row:
    """A line that loses packets all the time."""
    with watching(browser, clip) as downlink:
        downlink.line.ask({"down": {"loss": loss}, "up": {"loss": loss}})
        seen, _ = downlink.watch(seconds)
    first, last = seen.looks[0], seen.looks[-1]
    keyframes = (last.keyframes - first.keyframes) / seen.seconds
    return Row(
        f"downlink, {loss:.0%} loss",
        f"frozen <= {most_frozen:.0%} of the time, <= 1 keyframe/s",
        f"{seen.frozen_share:.1%} in {last.freezes - first.freezes} freezes, {seen.fps:.1f} fps, {keyframes:.2f}/s",
        seen.frozen_share <= most_frozen and keyframes <= 1,
        {"frozen_share": seen.frozen_share, "fps": seen.fps, "keyframes_per_s": keyframes},
    )


def blackout(dark_s: float, within_s: float, browser: Browser, clip: str, seconds: float) -> Row:
    """Nothing passes for a while: a short one the session outlives, after a long one the page begins a new one."""
    with watching(browser, clip) as downlink:
        lifted: list[float] = []

        def lift() -> None:
            downlink.line.ask({"dark": False})
            lifted.append(time.monotonic())

        plan = [(1.0, lambda: downlink.line.ask({"dark": True})), (1.0 + dark_s, lift)]
        seen, _ = downlink.watch(max(seconds, dark_s + 15), plan)
    return _back(f"downlink, blackout of {dark_s:g} s", within_s, seen.picture_after(lifted[0]))


def new_address(browser: Browser, clip: str, seconds: float) -> Row:
    """The viewer's network changes: what was connected leads nowhere, and a new connection gets through at once."""
    with watching(browser, clip) as downlink:
        cut: list[float] = []

        def change() -> None:
            downlink.line.ask({"cut": True})
            cut.append(time.monotonic())

        seen, _ = downlink.watch(max(seconds, 12.0), [(1.0, change)])
    # What had arrived is still shown after the cut: what counts is how long the picture stood still then.
    return _back("downlink, the viewer's network changes", 3.0, seen.longest_still_after(cut[0]))


def suspended(browser: Browser, clip: str, seconds: float) -> Row:
    """The tab does not run for a minute, or as long as asked for if that is less (SIGSTOP of its renderer)."""
    asleep_s = seconds if seconds < SHORT_S else SUSPENDED_S
    with watching(browser, clip) as downlink:
        pid, held = _renderer(browser, downlink.page), downlink.server.memory_info().rss
        os.kill(pid, signal.SIGSTOP)
        try:
            time.sleep(asleep_s)
        finally:
            os.kill(pid, signal.SIGCONT)
        resumed = time.monotonic()
        grown_mb = (downlink.server.memory_info().rss - held) / 1e6
        seen, _ = downlink.watch(5.0)
        # What had arrived before is decoded at once; the picture is back when it moves evenly again.
        still_s = seen.longest_still_after(seen.looks[0].at)
        after_s = max(seen.picture_after(seen.looks[0].at) + seen.looks[0].at - resumed, still_s)
    return Row(
        f"downlink, tab suspended for {asleep_s:g} s",
        "picture <= 1.5 s after, server's memory <= +5 MB",
        f"{after_s:.1f} s, {grown_mb:+.1f} MB",
        after_s <= 1.5 and grown_mb <= 5,
        {"picture_after_s": after_s, "grown_mb": grown_mb},
    )


def _back(scenario: str, within_s: float, after_s: float) -> Row:
    goal = f"picture <= {within_s:g} s after"
    return Row(scenario, goal, f"{after_s:.1f} s", after_s <= within_s, {"picture_after_s": after_s})


def _renderer(browser: Browser, page: Page) -> int:
    """The process of the page: the renderer that gets busy when the page does."""
    session = browser.new_browser_cdp_session()
    try:

        def used() -> dict[int, float]:
            processes: list[dict[str, Any]] = session.send("SystemInfo.getProcessInfo")["processInfo"]
            return {each["id"]: each["cpuTime"] for each in processes if each["type"] == "renderer"}

        before = used()
        page.evaluate("() => { const end = performance.now() + 500; while (performance.now() < end); }")
        after = used()
    finally:
        session.detach()
    return max(after, key=lambda pid: after[pid] - before.get(pid, 0.0))


def narrow(browser: Browser, clip: str, seconds: float) -> Row:
    """The viewer's line carries a sixth of the picture; a viewer on a good line notices nothing."""
    with watching(browser, clip) as downlink:
        narrowed: list[float] = []

        def squeeze() -> None:
            downlink.line.ask({"down": {"rate_bps": NARROW_BPS}})
            narrowed.append(time.monotonic())

        seen, other = downlink.watch(max(seconds, 15.0), [(1.0, squeeze)])
    changed_s = seen.changed_height_after(narrowed[0])
    still_s = seen.longest_still_after(narrowed[0] + (changed_s or 0.0))
    height = seen.looks[-1].height
    decided = f"{height}p after {changed_s:.1f} s" if changed_s is not None else f"stayed at {height}p"
    return Row(
        f"downlink, {NARROW_BPS // 1000} kbit/s",
        f"another rendition <= 5 s, then no freeze > {FREEZE_S:g} s, the other viewer >= 29 fps",
        f"{decided}, longest freeze then {still_s:.1f} s, {seen.looks[-1].transport}, other {other.fps:.1f} fps",
        changed_s is not None and changed_s <= 5 and still_s <= FREEZE_S + LOOK_EVERY_S and other.fps >= 29,
        {
            "changed_s": -1.0 if changed_s is None else changed_s,
            "longest_still_s": still_s,
            "height": height,
            "other_fps": other.fps,
        },
    )


def scenarios() -> dict[str, Scenario]:
    """Every scenario of the downlink by its name."""
    return {
        "down-5": partial(lossy, 0.05, 0.01),
        "down-10": partial(lossy, 0.10, 0.03),
        "down-burst": partial(blackout, BURST_S, 1.0),
        "down-blackout": partial(blackout, BLACKOUT_S, 1.0),
        "down-blackout-60": partial(blackout, LONG_BLACKOUT_S, 3.0),
        "down-400k": narrow,
        "down-suspended": suspended,
        "down-new-address": new_address,
    }
