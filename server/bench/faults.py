"""`surveillx bench faults`: what breaks in a school, how soon it is noticed, and how soon it is whole again.

Each fault is done to the running product (`product`): its processes are killed, stopped and starved from outside. What
is told is what the live page in Chromium shows, which is what people see. Bad lines are `surveillx bench loss`.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import psutil

from .browser import chromium
from .crowded import FACES, write
from .groups import memory_group
from .processes import BenchError, started
from .product import LIVE, Product, ended, recognition_of, running, wait
from .report import Chart, Result, progress
from .uplinks import Row
from .viewers import ask

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# A browser that cannot get through: real connections that may use relays only, and there are none.
FIREWALL_SCRIPT = """
window.RTCPeerConnection = class extends RTCPeerConnection {
  constructor(options) { super({...options, iceTransportPolicy: "relay", iceServers: []}); }
};
"""
WATCH_S = 8.0
SETTLE_S = 3.0
STANDSTILL_S = 0.5
KEPT_SHARE = 0.8
FOUND_SHARE = 0.9
FILES = 256
MEMORY_MB = 512
# Who lets in so many has not been short of anything.
MOST_VIEWERS = 120

Scenario = Callable[["Browser", str, int], list[Row]]


def run(repeats: int, clip: str, only: Sequence[str] = ()) -> Result:
    """Do what is named, or everything.

    Raises:
        BenchError: a name that is none, no Chromium, or a part that does not come up.
    """
    if unknown := sorted(set(only) - set(SCENARIOS)):
        raise BenchError(f"There is no fault {', '.join(unknown)}. There are: {', '.join(SCENARIOS)}.")
    rows: list[Row] = []
    with chromium() as browser:
        for name, scenario in SCENARIOS.items():
            if not only or name in only:
                progress(f"fault: {name}")
                for row in scenario(browser, clip, repeats):
                    progress(f"{row.scenario}: {row.figure}")
                    rows.append(row)
        return render(rows, repeats, browser.version)


def render(rows: Sequence[Row], repeats: int, chromium_version: str) -> Result:
    """The table, and how many met their goals."""
    waits = {row.scenario: row.figures["worst_s"] for row in rows if "worst_s" in row.figures}
    return Result(
        ("scenario", "goal", "found", "met"),
        [(row.scenario, row.goal, row.figure, "yes" if row.is_met else "NO") for row in rows],
        {row.scenario: {"met": row.is_met, **row.figures} for row in rows},
        [f"{sum(row.is_met for row in rows)} of {len(rows)} goals met; {repeats} times where a worst is told"],
        Chart("The longest wait", "", "seconds", {"worst": list(enumerate(waits.values()))}, "bars", list(waits)),
        {"Chromium": chromium_version},
    )


def waiting(scenario: str, most_s: float, waits_s: Sequence[float], goal: str = "") -> Row:
    """A row of waits that should not be longer than `most_s`."""
    return Row(
        scenario,
        goal or f"<= {most_s:g} s",
        f"{median(waits_s):.2f} s, worst {max(waits_s):.2f} s",
        max(waits_s) <= most_s,
        {"median_s": median(waits_s), "worst_s": max(waits_s), "n": len(waits_s)},
    )


def publisher(browser: Browser, clip: str, repeats: int) -> list[Row]:
    """The camera PC's program is killed, and started again."""
    noticed, freed, back = [], [], []
    with running(clip, browser) as product:
        publishers = partial(product.metric, "surveillx_sessions", kind="publisher")
        for _ in range(repeats):
            killed = product.camera.send(signal.SIGKILL)
            noticed.append(product.told("offline", killed) - killed)
            freed.append(wait(lambda: publishers() == 0, "the dead publisher was kept") - killed)
            back.append(_published_again(product))
    return [
        waiting("publisher killed: the page says so", 2.5, noticed),
        waiting("publisher killed: its session is freed", 10.0, freed),
        waiting("publisher started again: from its answer to the live page", 1.5, back),
    ]


def takeover(browser: Browser, clip: str, repeats: int) -> list[Row]:
    """A publisher hangs, and another one comes for the same camera."""
    waits = []
    with running(clip, browser) as product:
        for _ in range(repeats):
            hung = product.camera.send(signal.SIGSTOP)
            first = psutil.Process(product.camera.pid)
            product.told("offline", hung)
            waits.append(_published_again(product))
            first.kill()
            time.sleep(SETTLE_S)
    return [waiting("another publisher takes over a hung one: from its answer to the live page", 1.5, waits)]


def _published_again(product: Product) -> float:
    """From the answer to the new publisher's offer until the page is live again."""
    answered = partial(product.metric, "surveillx_offers_total", kind="publisher", outcome="answered")
    before = answered()
    product.camera.start()
    offered = wait(lambda: answered() > before, "the publisher did not come back")
    return product.told(LIVE, offered) - offered


def server(browser: Browser, clip: str, repeats: int) -> list[Row]:
    """The server is killed and started again; publisher and page come back by themselves."""
    cameras, pages, exits = [], [], []
    with running(clip, browser) as product:
        for _ in range(repeats):
            ended(product, signal.SIGKILL)  # else the port that is open would be the old one's
            opened = product.start_server()
            online = wait(product.is_online, "the publisher did not come back")
            cameras.append(online - opened)
            pages.append(product.live_again(online) - opened)
            time.sleep(SETTLE_S)
        for _ in range(repeats):
            took, status = ended(product)
            exits.append(took)
            if status != 0:
                raise BenchError(f"The server ended with exit status {status} on SIGTERM.")
            opened = product.start_server()
            product.told(LIVE, opened)
    return [
        waiting("server killed and started: publisher is back after the port is open", 3.0, cameras),
        waiting("server killed and started: page shows the camera live after the port is open", 5.0, pages),
        waiting("server ended (SIGTERM) with a viewer: gone, exit status 0", 5.0, exits),
    ]


def standstill(browser: Browser, clip: str, repeats: int) -> list[Row]:
    """The whole server stands still for half a second, as when its event loop is blocked."""
    waits = []
    with running(clip, browser) as product:
        for _ in range(repeats):
            product.server.send(signal.SIGSTOP)
            time.sleep(STANDSTILL_S)
            went_on = product.server.send(signal.SIGCONT)
            time.sleep(SETTLE_S)
            waits.append(product.pictures(went_on)[0] - went_on)
    return [waiting(f"server stands still for {STANDSTILL_S:g} s: picture after it goes on", 1.0, waits)]


def recognition(browser: Browser, clip: str, repeats: int) -> list[Row]:
    """The recognition process is killed; the picture must not notice."""
    gaps, again = [], []
    with running(clip, browser, recognition_every=5) as product:
        recognised = partial(product.metric, "surveillx_frames_recognised_total")
        for _ in range(repeats):
            _wait_for_more(recognised)
            killed = time.time()
            recognition_of(product.server.pid).kill()
            again.append(_wait_for_more(recognised) - killed)
            gaps.append(product.longest_gap(killed))
    return [
        waiting("recognition killed: the next result (models loaded anew)", 10.0, again),
        waiting("recognition killed: longest time without a new picture", 0.2, gaps),
    ]


def _wait_for_more(count: Callable[[], float]) -> float:
    before = count()
    return wait(lambda: count() > before, "nothing is recognised")


def blocked(browser: Browser, clip: str, repeats: int) -> list[Row]:
    """WebRTC cannot get through at a viewer: JPEG pictures come by themselves."""
    waits = []
    with running(clip, browser, script=FIREWALL_SCRIPT) as product:
        for _ in range(repeats):
            opened = time.time()
            product.page.goto(product.url)
            waits.append(product.told("live jpeg", opened) - opened)
    return [waiting("WebRTC blocked at the viewer: live by JPEG after opening the page", 4.0, waits)]


def thirty_faces(browser: Browser, clip: str, repeats: int) -> list[Row]:  # noqa: ARG001 - a clip of its own
    """Thirty faces in the picture: recognition takes longer, the picture must not."""
    with tempfile.TemporaryDirectory(prefix="surveillx-bench-") as folder:
        crowd = Path(folder) / "crowd.mp4"
        write(crowd)
        with running(str(crowd), browser) as product:
            alone = product.rate(WATCH_S)
        with running(str(crowd), browser, recognition_every=5) as product:
            product.count_faces()
            time.sleep(SETTLE_S)
            watched = product.rate(WATCH_S)
            took_s = product.metric("surveillx_recognition_seconds")
            found = median(product.faces())
    more = f", {found:g} of {FACES} faces found, each recognition {took_s:.2f} s"
    row = _kept("thirty faces in the picture", 0.9, alone, watched, more)
    goal = f"{row.goal}, with >= {FOUND_SHARE:.0%} of the faces found"
    is_met = row.is_met and found >= FOUND_SHARE * FACES
    return [Row(row.scenario, goal, row.figure, is_met, {**row.figures, "faces": found})]


def competitor(browser: Browser, clip: str, repeats: int) -> list[Row]:  # noqa: ARG001 - a rate is watched for long
    """Another program takes all it can get of one core."""
    with running(clip, browser, recognition_every=5) as product, ExitStack() as stack:
        before = product.rate(WATCH_S)
        busy = stack.enter_context(subprocess.Popen([sys.executable, "-c", "while True: pass"]))
        stack.callback(busy.kill)
        during = product.rate(WATCH_S)
    return [_kept("another program takes a whole core", KEPT_SHARE, before, during)]


def few_files(browser: Browser, clip: str, repeats: int) -> list[Row]:  # noqa: ARG001 - as above
    """The server may open few files only: new viewers are refused before old ones suffer."""
    with running(clip, browser) as product:
        psutil.Process(product.server.pid).rlimit(psutil.RLIMIT_NOFILE, (FILES, FILES))
        return [_filled(product, f"at most {FILES} files")]


def little_memory(browser: Browser, clip: str, repeats: int) -> list[Row]:  # noqa: ARG001 - as above
    """The server and its recognition may hold little memory: the same."""
    with memory_group(MEMORY_MB) as group:
        if group is None:
            progress("no control group for memory can be made here; left out")
            return []
        with running(clip, browser, group=group, recognition_every=5) as product:
            return [_filled(product, f"at most {MEMORY_MB} MB of memory, recognition on")]


def _filled(product: Product, what: str) -> Row:
    """Viewers join until the server refuses one."""
    before = product.rate(WATCH_S)
    with started("server.bench.load", product.url) as load:
        joined = len(ask(load, f"fill {MOST_VIEWERS}"))
        during = product.rate(WATCH_S)
    refused = product.metric("surveillx_offers_total", kind="viewer", outcome="full")
    is_full = refused > 0 or joined == MOST_VIEWERS
    then = "then 503" if refused else "all let in" if is_full else "then nothing"
    row = _kept(what, KEPT_SHARE, before, during, f", {joined} more viewers, {then}")
    return Row(row.scenario, row.goal, row.figure, row.is_met and is_full, {**row.figures, "joined": joined})


def _kept(what: str, share: float, before: float, during: float, more: str = "") -> Row:
    return Row(
        what,
        f">= {share:.0%} of the pictures go on",
        f"{during:.1f} of {before:.1f} fps{more}",
        during >= share * before,
        {"fps_before": before, "fps_during": during},
    )


SCENARIOS: dict[str, Scenario] = {
    "publisher": publisher,
    "takeover": takeover,
    "server": server,
    "standstill": standstill,
    "recognition": recognition,
    "blocked": blocked,
    "thirty-faces": thirty_faces,
    "competitor": competitor,
    "few-files": few_files,
    "little-memory": little_memory,
}
