"""`surveillx bench page`: how soon a page of ours has a picture, opened cold, opened again, and shown again.

The live page itself in Chromium, with its player: the poster is whatever the viewer sees first, live is the state that
the player tells (data-state, docs/player.md) once WebRTC decodes. Recognition is on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .browser import chromium
from .latency import own_server
from .processes import BenchError, started
from .report import Chart, Goal, Result, Sample, figures_of, progress

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

TIMEOUT_MS = 15_000
# As long as somebody looks at another tab; the server has let the connection go by then.
HIDDEN_MS = 3_000

FIRST_COLD = "opened, nothing cached: first picture"
LIVE_COLD = "opened, nothing cached: live"
FIRST_WARM = "opened again: first picture"
LIVE_WARM = "opened again: live"
SHOWN_AGAIN = "shown again after another tab: live"

# Runs before the page's own scripts; times are milliseconds since the navigation began.
WATCH_SCRIPT = """
window.seen = { first: null, live: null };
const look = () => {
  const player = document.querySelector("surveillx-viewer");
  const root = player?.shadowRoot;
  const poster = player?.querySelector("[slot=poster]");
  // A canvas without a picture has no width, or the 300 pixels it begins with.
  const shows = (poster?.complete && poster.naturalWidth > 0) || root?.querySelector("canvas")?.width > 300
    || root?.querySelector("video.shown")?.readyState >= 2;
  if (shows) window.seen.first ??= performance.now();
  if (player?.dataset.state === "live" && player.dataset.transport === "webrtc") window.seen.live ??= performance.now();
  if (window.seen.live === null) requestAnimationFrame(look);
};
look();
"""
SEEN_SCRIPT = """
async (timeout) => {
  while (window.seen.live === null) {
    if (performance.now() > timeout) throw new Error("the page is not live");
    await new Promise((done) => setTimeout(done, 50));
  }
  return window.seen;
}
"""
# A headless browser hides no tabs: the page is told what a browser would tell it.
SHOW_AGAIN_SCRIPT = """
async ({ hidden, timeout }) => {
  const tell = (state) => {
    Object.defineProperty(document, "visibilityState", { value: state, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
  };
  const player = document.querySelector("surveillx-viewer");
  tell("hidden");
  await new Promise((done) => setTimeout(done, hidden));
  const shown = performance.now();
  tell("visible");
  while (player.dataset.state !== "live" || player.dataset.transport !== "webrtc") {
    if (performance.now() - shown > timeout) throw new Error("the page is not live again");
    await new Promise((done) => requestAnimationFrame(done));
  }
  return performance.now() - shown;
}
"""


def run(count: int, clip: str) -> Result:
    """Open the page `count` times in a new browser profile, and again, and show it again.

    Raises:
        BenchError: there is no Chromium, the server does not start, or the page is not live in time.
    """
    with (
        chromium() as browser,
        own_server(recognition_every=5) as server,
        started("server.bench.camera", server.url, clip),
    ):
        visit(browser, server.url)  # warms server and camera up
        visits = []
        for done in range(count):
            progress(f"measuring: {done + 1} of {count}")
            visits.append(visit(browser, server.url))
        return render(visits, browser.version)


def visit(browser: Browser, url: str) -> dict[str, float]:
    """One person's first visit, second visit, and return to the tab, in milliseconds each.

    Raises:
        BenchError: the page is not live in time.
    """
    from playwright.sync_api import Error  # noqa: PLC0415 - a development package

    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.add_init_script(WATCH_SCRIPT)
    try:
        cold = _opened(context, url)[1]
        page, warm = _opened(context, url)
        again = page.evaluate(SHOW_AGAIN_SCRIPT, {"hidden": HIDDEN_MS, "timeout": TIMEOUT_MS})
    except Error as error:
        raise BenchError(f"the page was not live in time: {error}") from error
    finally:
        context.close()
    return {
        FIRST_COLD: cold["first"],
        LIVE_COLD: cold["live"],
        FIRST_WARM: warm["first"],
        LIVE_WARM: warm["live"],
        SHOWN_AGAIN: again,
    }


def _opened(context: BrowserContext, url: str) -> tuple[Page, dict[str, float]]:
    for before in context.pages:
        before.close()
    page = context.new_page()
    page.goto(url, wait_until="commit")
    seen: dict[str, Any] = page.evaluate(SEEN_SCRIPT, TIMEOUT_MS)
    return page, seen


def render(visits: list[dict[str, float]], chromium_version: str) -> Result:
    """The result."""
    samples = {name: Sample([visit[name] for visit in visits], 1) for name in visits[0]}
    rows = [
        (name, str(len(each.values_ms)), f"{each.median_ms:.0f}", f"{each.p95_ms:.0f}")
        for name, each in samples.items()
    ]
    return Result(
        ("what", "n", "median ms", "p95 ms"),
        rows,
        {name: figures_of(each) for name, each in samples.items()},
        [],
        Chart(
            "Until the page has a picture",
            "visit",
            "ms",
            {name: list(enumerate(each.values_ms, 1)) for name, each in samples.items()},
            "points",
        ),
        {"Chromium": chromium_version},
        goals=_goals(samples),
    )


def _goals(samples: Mapping[str, Sample]) -> list[Goal]:
    return [
        Goal("page opened, nothing cached: first picture, median", samples[FIRST_COLD].median_ms, 300, "ms"),
        Goal("page opened again: first picture, median", samples[FIRST_WARM].median_ms, 300, "ms"),
        Goal("page shown again: live, p95", samples[SHOWN_AGAIN].p95_ms, 1000, "ms"),
    ]
