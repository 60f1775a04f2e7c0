"""The whole product as a school runs it, to be broken: a server on a fixed port, a camera, and the live page.

Server and camera are processes that can be killed and started again; the page is real Chromium and notes, on the
machine's clock, what its player tells (data-state, data-transport) and when it shows a new picture.
"""

from __future__ import annotations

import os
import signal
import socket
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import psutil
from prometheus_client.parser import text_string_to_metric_families

from .groups import inside
from .processes import BenchError, Child, started

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

POLL_S = 0.02
PATIENCE_S = 40.0

NOTE_SCRIPT = """
window.told = [];
window.pictures = [];
let [video, shown, before] = [null, 0, ""];
const look = () => {
  const player = document.querySelector("surveillx-viewer");
  const now = player ? `${player.dataset.state} ${player.dataset.transport}` : "";
  if (now !== before) window.told.push({at: Date.now() / 1000, what: before = now});
  // The page comes with the player before the player's script: until then it has no root.
  const seen = player?.shadowRoot?.querySelector("video.shown") ?? null;
  const count = seen?.getVideoPlaybackQuality().totalVideoFrames ?? 0;
  if (seen && (seen !== video ? count > 0 : count > shown)) window.pictures.push(Date.now() / 1000);
  [video, shown] = [seen, count];
  requestAnimationFrame(look);
};
look();
"""
TOLD_SCRIPT = "() => window.told.map(({at, what}) => [at, what])"
PICTURES_SCRIPT = "() => window.pictures"
# How many faces each result told of that was recognised from here on; those only remembered do not count.
COUNT_SCRIPT = """
() => {
  window.faces = [];
  const url = location.origin.replace("http", "ws") + "/ws/events?camera_id=1&types=detections";
  new WebSocket(url).onmessage = ({data}) => {
    window.faces.push(JSON.parse(data).faces.filter((face) => face.unseen_s === 0).length);
  };
}
"""

LIVE = "live webrtc"


@dataclass
class Process:
    """A program of ours that may be killed and started again, in a control `group`; times are seconds since 1970."""

    module: str
    arguments: Sequence[str]
    settings: dict[str, str]
    stack: ExitStack
    group: Path | None = None
    child: Child | None = None

    def start(self) -> float:
        """Start it (again); returns when."""
        began = time.time()
        with inside(self.group):
            self.child = self.stack.enter_context(started(self.module, *self.arguments, settings=self.settings))
        return began

    @property
    def pid(self) -> int:
        """Of the running process."""
        if self.child is None:
            raise BenchError("A process of the measurement is not there.")
        return self.child.pid

    def send(self, number: int) -> float:
        """Send it a signal; returns when."""
        sent = time.time()
        os.kill(self.pid, number)
        return sent


class Product:
    """The running product, and the live page."""

    def __init__(self, server: Process, camera: Process, url: str, page: Page) -> None:
        self.server, self.camera, self.url, self.page = server, camera, url, page
        self.http = httpx.Client(base_url=url, timeout=5)

    def start_server(self) -> float:
        """Start the server; returns when its port was open."""
        self.server.start()
        port = int(self.url.rpartition(":")[2])
        return wait(lambda: _accepts(port), "the server did not open its port")

    def is_online(self) -> bool:
        """Whether the camera is, as the server tells."""
        try:
            return bool(self.http.get("/api/cameras").json()[0]["online"])
        except (httpx.TransportError, ValueError, IndexError):
            return False

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples with these labels."""
        text = self.http.get("/metrics").text
        samples = [each for family in text_string_to_metric_families(text) for each in family.samples]
        return sum(each.value for each in samples if each.name == name and labels.items() <= each.labels.items())

    def told(self, what: str, since: float) -> float:
        """When the page's player told `what` ("live webrtc") after `since`; waits for it."""

        def moments() -> list[float]:
            told: list[tuple[float, str]] = self.page.evaluate(TOLD_SCRIPT)
            return [at for at, words in told if words.startswith(what) and at > since]

        wait(lambda: bool(moments()), f"the page never told {what!r}")
        return moments()[0]

    def live_again(self, online: float) -> float:
        """When the page showed the camera that is online since then: it said live for good, and a new picture came.

        A page that said live before, over the slate, is counted from `online` on at the earliest.
        """

        def last() -> tuple[float, str]:
            at, words = self.page.evaluate(TOLD_SCRIPT)[-1]
            return at, words

        wait(lambda: last()[1].startswith(LIVE), "the page did not show the camera live again")
        since = max(online, last()[0])
        wait(lambda: bool(self.pictures(since)), "no picture of the camera came")
        return self.pictures(since)[0]

    def count_faces(self) -> None:
        """From now on the page notes how many faces each result tells of."""
        self.page.evaluate(COUNT_SCRIPT)

    def faces(self) -> list[int]:
        """What it noted."""
        noted: list[int] = self.page.evaluate("() => window.faces")
        if not noted:
            raise BenchError("No result of the recognition came.")
        return noted

    def pictures(self, since: float) -> list[float]:
        """When the page showed new pictures since then."""
        shown: list[float] = self.page.evaluate(PICTURES_SCRIPT)
        return [at for at in shown if at > since]

    def rate(self, seconds: float) -> float:
        """Pictures a second that the page shows, from now on for so long."""
        began = time.time()
        time.sleep(seconds)
        return len([at for at in self.pictures(began) if at <= began + seconds]) / seconds

    def longest_gap(self, since: float) -> float:
        """The longest time without a new picture on the page, from `since` to now."""
        moments = [since, *self.pictures(since), time.time()]
        return max(after - before for before, after in pairwise(moments))


@contextmanager
def running(
    clip: str, browser: Browser, *, recognition_every: int = 0, script: str = "", group: Path | None = None
) -> Iterator[Product]:
    """The product inside the block, its page live; with a `script`, to run before the page's own, not yet opened.

    Raises:
        BenchError: it does not come up.
    """
    port = _free_port()
    url = f"http://127.0.0.1:{port}"
    own = {"SURVEILLX_RECOGNITION_EVERY": str(recognition_every), "SURVEILLX_LOG_LEVEL": "ERROR"}
    with tempfile.TemporaryDirectory(prefix="surveillx-bench-") as data, ExitStack() as stack:
        server = Process("server.cli", ("serve", "--port", str(port), "--data", data), own, stack, group)
        camera = Process("server.bench.camera", (url, clip), {}, stack)
        product = Product(server, camera, url, _page(browser, stack, script))
        stack.callback(product.http.close)
        product.start_server()
        camera.start()
        wait(product.is_online, "the camera did not come online")
        if not script:
            product.page.goto(url)
            product.told(LIVE, 0)
        yield product


def wait(is_so: Callable[[], bool], otherwise: str, patience_s: float = PATIENCE_S) -> float:
    """Wait until it is so; returns when (seconds since 1970).

    Raises:
        BenchError: it never was; `otherwise` says so.
    """
    deadline = time.monotonic() + patience_s
    while not is_so():
        if time.monotonic() > deadline:
            raise BenchError(f"{otherwise[0].upper()}{otherwise[1:]} within {patience_s:g} s.")
        time.sleep(POLL_S)
    return time.time()


def ended(product: Product, number: int = signal.SIGTERM) -> tuple[float, int]:
    """End the server with a signal: after how many seconds it was gone, its port too, and its exit status."""
    sent = product.server.send(number)
    _, status = os.waitpid(product.server.pid, 0)
    return time.time() - sent, os.waitstatus_to_exitcode(status)


def _page(browser: Browser, stack: ExitStack, script: str) -> Page:
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    stack.callback(context.close)
    page = context.new_page()
    page.add_init_script(script + NOTE_SCRIPT)
    return page


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def recognition_of(server_pid: int) -> psutil.Process:
    """The recognition process: the server's child that holds the most memory.

    Raises:
        BenchError: there is none.
    """
    children = psutil.Process(server_pid).children(recursive=True)
    if not children:
        raise BenchError("The server runs no recognition process.")
    return max(children, key=lambda child: child.memory_info().rss)
