"""The player in real Chromium against the whole application, in the cases that need no camera.

Without a publisher the server sends its slate, so that both ways have pictures. What needs a real camera is in
`tests/e2e`.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
from av.video.frame import VideoFrame
from numpy.typing import NDArray
from playwright.async_api import Browser, Page, Route, async_playwright, expect

from server.camera import Camera
from server.events import AttendanceMarked, Timing
from server.passwords import hash_password
from server.timing import Origin

from .faces import astronaut
from .live import Live, live
from .wait import until

PLAYER = "surveillx-viewer"
NO_WEBRTC = "delete window.RTCPeerConnection"
WEBRTC_SWITCHED_OFF = """
const Real = window.RTCPeerConnection;
window.off = true;
window.RTCPeerConnection = class extends Real {
  constructor(...options) {
    if (window.off) throw new Error("switched off");
    super(...options);
  }
};
"""
HIDE = """
([state]) => {
  Object.defineProperty(document, "visibilityState", { value: state, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}
"""
# What `Delay` says of pictures shown 100 ms after they were taken, while what it knows changes.
DELAYS = """
async () => {
  const { Delay } = await import("/static/delay.js");
  let now = 1000;
  performance.now = () => now;
  const delay = new Delay(), figures = {};
  const compare = (serverMs) => delay.compare({ sent: now - 10, server_ms: serverMs - 5 });
  const learn = (captured_at_ms) => delay.learn({ rtp_timestamp: 2 ** 32 - 90, captured_at_ms });
  const look = (name, rtpTimestamp) => {
    delay.show(rtpTimestamp, now);
    figures[name] = delay.milliseconds;
    now += 2000;
  };
  look("nothing known", 0);
  compare(now + 5000);
  look("clock only", 0);
  learn(now + 5000 - 100);
  look("both", 2 ** 32 - 90);
  learn(now + 5000 - 101);
  look("wrapped", 0);
  learn(now + 5000 + 300);
  look("ahead of the camera", 2 ** 32 - 90);
  learn(now + 3_605_000 - 100);
  look("slept", 2 ** 32 - 90);
  compare(now + 3_605_000);
  learn(now + 3_605_000 - 100);
  look("compared anew", 2 ** 32 - 90);
  now += 4000;
  look("not told any more", 2 ** 32 - 90);
  return figures;
}
"""
PLAYER_OF_LAB = """
async () => {
  await import("/static/viewer.js");
  document.body.replaceChildren(document.createElement("surveillx-viewer"));
  document.body.firstChild.setAttribute("camera", "lab");
}
"""
MARKUP = "<img src=x onerror=alert(1)> Zoë"


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    arguments = ["--no-sandbox", "--disable-gpu", "--allow-loopback-in-peer-connection"]
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path=chromium, args=arguments)
        yield launched
        await launched.close()


Browsing = Callable[..., AbstractAsyncContextManager[tuple[Live, Page]]]


@pytest.fixture
def browsing(browser: Browser, tmp_path: Path) -> Browsing:
    """Serves the application with some settings and opens an empty page, in which `script` runs before ours."""

    @asynccontextmanager
    async def browsing(script: str = "", **settings: Any) -> AsyncIterator[tuple[Live, Page]]:
        errors: list[str] = []
        async with live(tmp_path, **settings) as running:
            context = await browser.new_context(base_url=running.url)
            page = await context.new_page()
            page.on("pageerror", lambda error: errors.append(str(error)))
            if script:
                await page.add_init_script(script)
            try:
                yield running, page
            finally:
                await context.close()
        assert errors == [], "a script of the page failed"

    return browsing


@asynccontextmanager
async def filming(
    camera: Camera, taken_s: float | None = None, picture: NDArray[np.uint8] | None = None
) -> AsyncIterator[None]:
    """The camera is online inside the block: it gets a picture (RGB) over and over, each taken so long ago."""
    shown = astronaut() if picture is None else picture
    frame = VideoFrame.from_ndarray(shown, format="rgb24").reformat(format="yuv420p")

    async def film() -> None:
        while True:
            now = time.monotonic()
            camera.offer(film, frame, Origin(now, None if taken_s is None else now - taken_s))
            await asyncio.sleep(0.1)

    camera.claim(film)
    task = asyncio.create_task(film())
    try:
        yield
    finally:
        task.cancel()
        camera.release(film, "the test is over")


async def shows(page: Page, **facts: str) -> None:
    """Wait until the player's data-* attributes are these."""
    for name, value in facts.items():
        await expect(page.locator(PLAYER).first).to_have_attribute(f"data-{name}", value, timeout=20_000)


async def viewers(running: Live) -> int:
    return int((await running.camera())["viewers"])


async def test_the_badge_tells_how_late_the_picture_is(browsing: Browsing) -> None:
    async with browsing() as (running, page), filming(running.parts.cameras.get("1"), taken_s=2.0):
        await page.goto("/")
        await shows(page, transport="webrtc", state="live")
        await expect(page.locator(".badge")).to_have_text(re.compile(r"^Live · WebRTC [2-9]\d\d\d ms$"), timeout=20_000)


async def test_without_a_moment_of_capture_the_badge_tells_no_figure(browsing: Browsing) -> None:
    async with browsing() as (running, page), filming(running.parts.cameras.get("1")):
        with running.parts.events.subscribe(Timing) as told:
            await page.goto("/")
            await shows(page, transport="webrtc", state="live")
            for _ in range(3):
                await asyncio.wait_for(told.next(), 20)
        await expect(page.locator(".badge")).to_have_text("Live · WebRTC")


async def test_clocks_that_jump_and_figures_that_cannot_be_are_not_shown(browsing: Browsing) -> None:
    async with browsing() as (_, page):
        await page.goto("/")
        figures = await page.evaluate(DELAYS)
    assert figures == {
        "nothing known": None, "clock only": None, "both": 100, "wrapped": 100, "ahead of the camera": None,
        "slept": None, "compared anew": 100, "not told any more": None,
    }  # fmt: skip


async def test_camera_without_publisher_shows_the_slate_and_says_since_when(browsing: Browsing) -> None:
    async with browsing() as (_, page):
        await page.goto("/")
        await shows(page, camera="1", transport="webrtc", state="offline")
        reason = await page.locator(PLAYER).get_attribute("data-reason") or ""
        assert reason.startswith("Camera 1 has been offline since ")
        since = reason.removeprefix("Camera 1 has been offline since ")
        await expect(page.locator(".badge")).to_have_text(f"Offline since {since}")
        await expect(page.get_by_role("status").filter(has_text=reason)).to_have_count(1)


async def test_browser_without_webrtc_gets_jpeg(browsing: Browsing) -> None:
    async with browsing(NO_WEBRTC) as (running, page):
        await page.goto("/")
        await shows(page, transport="jpeg")
        await expect(page.locator(".notice")).to_be_hidden()
        assert await viewers(running) == 0
        width = "() => document.querySelector('surveillx-viewer').shadowRoot.querySelector('canvas').width"
        assert await page.evaluate(width) > 0


async def test_webrtc_is_taken_back_when_the_network_returns(browsing: Browsing) -> None:
    async with browsing(WEBRTC_SWITCHED_OFF) as (_, page):
        await page.goto("/")
        await shows(page, transport="jpeg")
        await page.evaluate("() => { window.off = false; window.dispatchEvent(new Event('online')); }")
        await shows(page, transport="webrtc")


async def test_full_server_is_asked_again_when_it_said(browsing: Browsing) -> None:
    async with browsing() as (running, page), filming(running.parts.cameras.get("1")):
        asked = []

        async def refuse(route: Route) -> None:
            asked.append(route.request.url)
            problem = '{"status": 503, "detail": "All places are taken."}'
            headers = {"Retry-After": "30"}
            await route.fulfill(status=503, content_type="application/problem+json", headers=headers, body=problem)

        await page.route("**/webrtc/viewer", refuse)
        await page.goto("/")
        await shows(page, transport="jpeg", state="live", reason="All places are taken.")
        # Its own first step would be 5 s.
        words = re.compile(r"JPEG fallback: All places are taken, retrying in (30|2\d) s")
        await expect(page.locator(".badge")).to_have_text(words)
        assert len(asked) == 1


async def test_hidden_page_holds_nothing_and_is_back_when_shown(browsing: Browsing) -> None:
    async with browsing() as (running, page):
        await page.goto("/")
        await shows(page, transport="webrtc")
        await until(lambda: running.parts.cameras.get("1").broadcast.viewers == 1)
        await page.evaluate(HIDE, ["hidden"])
        await shows(page, transport="none", state="connecting")
        await until(lambda: running.parts.cameras.get("1").broadcast.viewers == 0)
        await page.evaluate(HIDE, ["visible"])
        await shows(page, transport="webrtc")


async def test_leaving_the_page_ends_the_session(browsing: Browsing) -> None:
    async with browsing() as (running, page):
        await page.goto("/")
        await shows(page, transport="webrtc")
        await until(lambda: running.parts.cameras.get("1").broadcast.viewers == 1)
        await page.goto("/attendance")
        await until(lambda: running.parts.cameras.get("1").broadcast.viewers == 0)


async def test_camera_that_does_not_exist_appears_when_it_comes(browsing: Browsing) -> None:
    async with browsing() as (running, page):
        await page.goto("/healthz")  # a page without any player of its own
        await page.evaluate(PLAYER_OF_LAB)
        await shows(page, camera="lab", transport="none", state="offline")
        await expect(page.locator(".title").first).to_have_text("Camera lab")
        async with filming(running.parts.cameras.open("lab")):
            await shows(page, transport="webrtc", state="live", reason="Live over WebRTC")
            await expect(page.locator(".badge").first).to_have_text("Live · WebRTC")
        await shows(page, transport="webrtc", state="offline")


async def test_new_camera_joins_the_grid(browsing: Browsing) -> None:
    async with browsing() as (running, page):
        await page.goto("/")
        await shows(page, transport="webrtc")
        running.parts.cameras.open("hall")._change("online", "")
        await expect(page.locator(f"{PLAYER}[camera=hall]")).to_have_attribute(
            "data-transport", "webrtc", timeout=20_000
        )
        await expect(page.locator(PLAYER)).to_have_count(2)


@pytest.mark.parametrize(("script", "transport"), [("", "webrtc"), (NO_WEBRTC, "jpeg")])
async def test_an_account_that_is_removed_stops_watching_and_is_told(
    browsing: Browsing, script: str, transport: str
) -> None:
    async with browsing(script) as (running, page):
        accounts = running.parts.access.accounts
        accounts.add("Ada", "another account, so that the server stays closed", "admin", [])
        accounts.add("Vera", hash_password("ten letters and more"), "viewer", ["1"])
        await running.parts.access.refresh()
        await page.goto("/people")
        await page.get_by_label("Name", exact=True).fill("vera")
        await page.get_by_label("Password", exact=True).fill("ten letters and more")
        await page.keyboard.press("Enter")
        await expect(page.get_by_text("You are signed in as Vera")).to_be_visible()
        await page.goto("/")
        await shows(page, transport=transport)
        assert await page.locator("nav a").all_inner_texts() == ["Live"]
        await expect(page.locator("#attendance")).to_be_hidden()
        accounts.remove("Vera")
        await expect(page.locator(PLAYER)).to_have_attribute("data-state", "denied", timeout=5_000)
        await expect(page.locator(PLAYER).get_by_role("link", name="Sign in")).to_be_visible()


async def test_signing_in_is_asked_for_once_and_again_when_it_is_void(browsing: Browsing) -> None:
    async with browsing(view_token="view") as (_, page):
        await page.goto("/")
        await page.get_by_label("View token").fill("guess")
        await page.get_by_role("button", name="Sign in").click()
        await expect(page.get_by_role("alert")).to_have_text("This is not the right token.")
        await page.get_by_label("View token").fill("view")
        await page.keyboard.press("Enter")
        await shows(page, transport="webrtc")
        await page.context.clear_cookies()
        await page.evaluate(HIDE, ["hidden"])
        await page.evaluate(HIDE, ["visible"])
        await shows(page, transport="none", state="denied")
        await page.locator(PLAYER).get_by_role("link", name="Sign in").click()
        await page.get_by_label("View token").fill("view")
        await page.get_by_role("button", name="Sign in").click()
        await shows(page, transport="webrtc")
        await page.get_by_text("view token").click()
        await page.get_by_role("button", name="Sign out", exact=True).click()
        await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


async def test_attendance_appears_as_it_happens_and_names_are_only_text(browsing: Browsing) -> None:
    async with browsing() as (running, page):
        await page.goto("/")
        await expect(page.locator("#nobody")).to_be_visible()
        await shows(page, transport="webrtc")
        today = running.parts.attendance.today().isoformat()
        row = AttendanceMarked(7, 3, MARKUP, "R-1", "1", f"{today}T08:05:00+00:00", 0.3)
        running.parts.events.publish(row)
        running.parts.events.publish(row)
        await expect(page.locator("#attendance tbody tr")).to_have_count(1)
        await expect(page.locator("#attendance td")).to_have_text([MARKUP, "R-1", "08:05", "Camera 1"])
        await expect(page.locator("#summary")).to_have_text("1 person present")
        await expect(page.locator("#nobody")).to_be_hidden()


async def test_next_day_begins_a_new_list(browsing: Browsing) -> None:
    async with browsing() as (running, page):
        await page.goto("/")
        await shows(page, transport="webrtc")
        today = running.parts.attendance.today().isoformat()
        running.parts.events.publish(AttendanceMarked(1, 3, "Ada", None, "1", f"{today}T23:59:00+00:00", 0.3))
        running.parts.events.publish(AttendanceMarked(2, 3, "Ada", None, "1", "2999-01-01T00:01:00+00:00", 0.3))
        await expect(page.locator("#attendance time")).to_have_text(["00:01"])


async def test_attendance_page_changes_the_day(browsing: Browsing) -> None:
    async with browsing() as (_, page):
        await page.goto("/attendance")
        await page.get_by_label("Day", exact=True).fill("2026-03-02")
        await page.wait_for_url("**/attendance?date=2026-03-02")
        await expect(page.get_by_role("link", name="Download CSV")).to_have_attribute(
            "href", "/api/attendance.csv?date=2026-03-02"
        )
        await expect(page.get_by_text("Nobody was marked on this day.")).to_be_visible()
