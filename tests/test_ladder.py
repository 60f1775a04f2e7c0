"""The player's rungs in a real browser: what is shown first, what faults lead to, and nothing of another camera."""

from __future__ import annotations

import asyncio
import re
from contextlib import AbstractAsyncContextManager
from typing import Any

import numpy as np
import pytest
from playwright.async_api import Page, Request, Route, expect

from server.camera import Camera

from .test_viewer import HIDE, PLAYER, Browsing, browser, browsing, filming, shows
from .wait import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

__all__ = ["browser", "browsing"]  # fixtures

RED, BLUE = (230, 20, 20), (20, 20, 230)
# What the player says of itself for what it knows; each case changes some of the facts.
DESCRIBE = """async (cases) => {
  const { describe } = await import("/static/ladder.js");
  const facts = {
    name: "Camera 1", cameraId: "1", denied: false, missing: "", webrtc: "connecting", untold: false, delayMs: null,
    failure: "",
    rendition: "720p", slow: "", retryInS: null, jpeg: "connecting", camera: null, serverGone: false,
  };
  return cases.map((changes) => {
    const { transport, state } = describe({ ...facts, ...changes });
    return `${transport} ${state}`;
  });
}"""
ONLINE = {"state": "online", "since": "2026-01-05T08:00:00+00:00"}
OFFLINE = {"state": "offline", "since": "2026-01-05T08:00:00+00:00"}
CASES: list[tuple[dict[str, Any], str]] = [
    ({}, "none connecting"),
    ({"jpeg": "showing"}, "jpeg connecting"),
    ({"jpeg": "showing", "webrtc": "late"}, "jpeg live"),
    ({"jpeg": "showing", "webrtc": "playing"}, "webrtc live"),
    ({"webrtc": "playing", "untold": True}, "webrtc connecting"),
    ({"webrtc": "playing", "untold": True, "camera": OFFLINE}, "webrtc offline"),
    ({"jpeg": "closed", "webrtc": "stalled", "camera": ONLINE}, "webrtc stalled"),
    ({"jpeg": "closed", "webrtc": "stalled", "untold": True}, "webrtc stalled"),
    ({"jpeg": "showing", "webrtc": "stalled", "camera": ONLINE}, "jpeg live"),
    ({"jpeg": "stalled", "webrtc": "closed", "failure": "no"}, "jpeg stalled"),
    ({"webrtc": "closed", "failure": "no", "retryInS": 20}, "none connecting"),
    ({"jpeg": "showing", "webrtc": "closed", "camera": OFFLINE}, "jpeg offline"),
    ({"jpeg": "showing", "webrtc": "playing", "missing": "no such camera"}, "webrtc offline"),
    ({"jpeg": "showing", "webrtc": "playing", "denied": True}, "none denied"),
]
ONLY_A_PLAYER = """async () => {
  await import("/static/viewer.js");
  document.body.replaceChildren(document.createElement("surveillx-viewer"));
}"""
# At every repaint: the colours in the middle of what is to be seen, and how often nothing was.
WATCH_COLOURS = """() => {
  const viewer = document.querySelector("surveillx-viewer");
  const small = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  window.seen = new Set();
  window.dark = 0;
  const look = () => {
    const pictures = [...viewer.shadowRoot.querySelectorAll(".stage video, .stage canvas")].filter(
      (each) => getComputedStyle(each).opacity === "1" && (each.videoWidth ?? each.width) > 0);
    for (const picture of pictures) {
      small.drawImage(picture, 0, 0, 1, 1);
      const [red, green, blue] = small.getImageData(0, 0, 1, 1).data;
      window.seen.add(red > blue + 60 ? "red" : blue > red + 60 ? "blue" : `${red},${green},${blue}`);
    }
    if (pictures.length === 0) window.dark += 1;
    requestAnimationFrame(look);
  };
  look();
}"""
# Frames no longer count from the moment `window.frozen` is set: the connection stands, the picture does not move.
FREEZABLE = """
const real = HTMLVideoElement.prototype.requestVideoFrameCallback;
HTMLVideoElement.prototype.requestVideoFrameCallback = function (callback) {
  return real.call(this, (...told) => window.frozen || callback(...told));
};
"""
NO_MEDIA = """
const Real = window.RTCPeerConnection;
window.RTCPeerConnection = class extends Real {
  setRemoteDescription({ type, sdp }) {
    return super.setRemoteDescription({ type, sdp: sdp.replace(/^a=candidate.*\\r\\n/gm, "") });
  }
};
"""


def filming_colour(camera: Camera, colour: tuple[int, int, int]) -> AbstractAsyncContextManager[None]:
    """The camera shows one colour inside the block."""
    return filming(camera, picture=np.full((360, 640, 3), colour, np.uint8))


async def open_player(page: Page) -> None:
    """A page with nothing but a player on it."""
    await page.goto("/healthz")
    await page.evaluate(ONLY_A_PLAYER)


async def refuse(route: Route) -> None:
    """As a full server does."""
    problem = '{"status": 503, "detail": "All places are taken."}'
    headers = {"Retry-After": "30"}
    await route.fulfill(status=503, content_type="application/problem+json", headers=headers, body=problem)


async def test_what_the_player_says_of_what_it_knows(browsing: Browsing) -> None:
    async with browsing() as (_, page):
        await open_player(page)
        said = await page.evaluate(DESCRIBE, [changes for changes, _ in CASES])
    assert said == [expected for _, expected in CASES]


async def test_a_poster_first_then_webrtc_and_never_dark_or_of_another_camera(browsing: Browsing) -> None:
    async with browsing(cameras=("1", "2")) as (running, page):
        cameras, asked, answer = running.parts.cameras, [], asyncio.Event()

        async def hold(route: Route) -> None:
            await answer.wait()
            await route.continue_()

        def note(request: Request) -> None:
            asked.append(request.url.rpartition("/")[2])

        page.on("request", note)
        await page.route("**/webrtc/viewer", hold)
        async with filming_colour(cameras.get("1"), RED), filming_colour(cameras.get("2"), BLUE):
            await open_player(page)
            await shows(page, transport="jpeg")
            # The library of the fallback is not waited for; it comes only where WebRTC is late.
            assert asked.index("snapshot.jpg") < [*asked, "socket.io.js"].index("socket.io.js")
            await page.evaluate(WATCH_COLOURS)
            answer.set()
            await shows(page, transport="webrtc", state="live")
            await until(lambda: seen_more(page, 30))
            assert await page.evaluate("() => [window.dark, ...window.seen]") == [0, "red"]
            change = (
                "() => { document.querySelector('surveillx-viewer').setAttribute('camera', '2'); window.seen.clear(); }"
            )
            await page.evaluate(change)
            await shows(page, camera="2", transport="webrtc", state="live")
            assert await page.evaluate("() => [...window.seen]") == ["blue"]


async def seen_more(page: Page, frames: int) -> bool:
    video = "() => document.querySelector('surveillx-viewer').shadowRoot.querySelector('video.shown')"
    return bool(await page.evaluate(f"{video}.getVideoPlaybackQuality().totalVideoFrames > {frames}"))


async def test_where_udp_is_blocked_jpeg_goes_on_and_says_so(browsing: Browsing) -> None:
    async with browsing(NO_MEDIA) as (running, page), filming_colour(running.parts.cameras.get("1"), RED):
        await open_player(page)
        await shows(page, transport="jpeg", state="live")
        words = re.compile("^JPEG fallback: WebRTC could not connect; UDP may be blocked, ")
        await expect(page.locator(".badge").first).to_have_text(words, timeout=20_000)


@pytest.mark.parametrize("script", ["", NO_MEDIA])
async def test_the_connection_page_names_the_step_that_fails(browsing: Browsing, script: str) -> None:
    async with browsing(script) as (running, page), filming_colour(running.parts.cameras.get("1"), RED):
        await page.goto("/connection")
        await page.get_by_role("button", name="Start").press("Enter")
        failed = page.locator("#steps li[data-outcome=failed]")
        verdict = "Something failed: see what to do above." if script else "Everything works."
        await expect(page.locator("#verdict")).to_have_text(verdict, timeout=30_000)
        assert await failed.locator("h3").all_inner_texts() == (["Media"] if script else [])
        if script:
            await expect(failed.locator(".todo")).to_contain_text(re.compile("Open UDP [0-9]+ of the server"))
        await until(lambda: running.parts.sessions.counts()["viewer"] == 0, 10, "the page's own sessions are gone")


async def test_a_second_connection_waits_as_long_as_the_server_asks(browsing: Browsing) -> None:
    async with browsing(FREEZABLE) as (running, page), filming_colour(running.parts.cameras.get("1"), RED):
        await open_player(page)
        await shows(page, transport="webrtc", state="live")
        asked = []
        page.on("request", lambda request: asked.append(request.url.endswith("/webrtc/viewer")))
        await page.route("**/webrtc/viewer", refuse)
        await page.evaluate("() => { window.frozen = true; }")
        await shows(page, transport="jpeg", state="live", reason="The WebRTC picture stood still")
        assert sum(asked) == 1


async def test_signing_in_elsewhere_revives_a_player_that_was_refused(browsing: Browsing) -> None:
    async with browsing(view_token="view") as (_, page):
        await sign_in(page)
        await shows(page, transport="webrtc")
        await page.context.clear_cookies()
        await page.evaluate(HIDE, ["hidden"])
        await page.evaluate(HIDE, ["visible"])
        await shows(page, transport="none", state="denied")
        other = await page.context.new_page()
        await sign_in(other)
        await other.close()
        await shows(page, transport="webrtc")


async def sign_in(page: Page) -> None:
    await page.goto("/")
    await page.get_by_label("View token").fill("view")
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.locator(PLAYER).first).to_be_visible()
