"""What goes wrong in a school, in a real browser: the page says so and comes back by itself, without a reload."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from ..wait import until_sync
from .stack import Program, Stack, free_port
from .viewing import player, wait_for, wait_live

VIEW_TOKEN = "a-view-token-for-the-tests"
PUBLISH_TOKEN = "a-publish-token-for-the-tests"

JPEG = re.compile("^data:image/jpeg;base64,")

# A browser that cannot get through over WebRTC, as behind a firewall: real connections, which may use only relays, and
# there is none. `window.blocked` says whether the firewall is up.
FIREWALL = """
window.blocked = true;
const Real = RTCPeerConnection;
window.RTCPeerConnection = class extends Real {
  constructor(configuration) {
    super(window.blocked ? { ...configuration, iceTransportPolicy: "relay", iceServers: [] } : configuration);
  }
};
"""


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Stack]:
    """A product of the test's own, to be broken. Recognition is off: these tests are about the video."""
    stack = Stack(tmp_path, SURVEILLX_RECOGNITION_EVERY="0")
    try:
        stack.start(recognition=False)
        yield stack
    finally:
        stack.close()


def same_page(page: Page) -> None:
    page.evaluate("() => { window.neverReloaded = true; }")


def is_same_page(page: Page) -> bool:
    return bool(page.evaluate("() => window.neverReloaded === true"))


def test_a_killed_publisher_shows_the_slate_and_comes_back_on_the_same_page(own: Stack, page: Page) -> None:
    page.goto(own.url)
    wait_live(page)
    same_page(page)
    own.publisher.stop(signal.SIGKILL)
    wait_for(page, state="offline", transport="webrtc")
    assert "since" in player(page)["reason"]
    own.publisher.start()
    wait_live(page)
    assert is_same_page(page)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_restarted_server_is_found_again_by_page_and_publisher(own: Stack, page: Page, how: signal.Signals) -> None:
    page.goto(own.url)
    wait_live(page)
    same_page(page)
    status = own.server.stop(how)
    assert how == signal.SIGKILL or status == 0
    until_sync(lambda: player(page)["state"] != "live", 20, "the page notices")
    own.server.start()
    until_sync(lambda: own.recognition() == "off" and own.camera()["online"], 60, "the publisher is back")
    wait_live(page, 60)
    assert is_same_page(page)


# Events arrive so late as the test says, in milliseconds, and what the player has told is noted.
LATE_EVENTS = """
window.lateMs = 0;
window.told = [];
window.WebSocket = class extends WebSocket {
  set onmessage(receive) { super.onmessage = (event) => setTimeout(() => receive(event), window.lateMs); }
};
const note = () => {
  const { state } = document.querySelector("surveillx-viewer")?.dataset ?? {};
  if (state !== window.told.at(-1)) window.told.push(state);
  requestAnimationFrame(note);
};
note();
"""


def test_the_slate_of_a_restarted_server_is_never_taken_for_the_camera(own: Stack, page: Page) -> None:
    page.add_init_script(LATE_EVENTS)
    page.goto(own.url)
    wait_live(page)
    own.publisher.stop(signal.SIGKILL)
    own.server.stop(signal.SIGKILL)
    until_sync(lambda: player(page)["state"] != "live", 20, "the page notices")
    page.evaluate("() => { window.told = []; window.lateMs = 1500; }")
    own.server.start()
    wait_for(page, state="offline", transport="webrtc")
    assert "live" not in page.evaluate("() => window.told")
    # Where events do not come at all, the picture counts after a while.
    own.server.stop(signal.SIGKILL)
    until_sync(lambda: player(page)["state"] != "offline", 20, "the page notices")
    page.evaluate("() => { window.lateMs = 1e6; }")
    own.server.start()
    wait_live(page, 60)


def test_without_webrtc_the_page_falls_back_to_jpeg_and_climbs_back(own: Stack, page: Page) -> None:
    page.add_init_script(FIREWALL)
    page.goto(own.url)
    wait_for(page, transport="jpeg", state="live")
    assert player(page)["reason"]
    frames = own.metric("jpeg_frames_total")
    until_sync(lambda: own.metric("jpeg_frames_total") > frames + 5, 20, "JPEG pictures keep coming")
    same_page(page)
    page.evaluate("() => { window.blocked = false; }")
    wait_live(page, 60)
    assert is_same_page(page)
    until_sync(lambda: own.camera()["viewers"] == 1, 10)
    frames = until_still(own)
    assert own.metric("jpeg_frames_total") == frames, "nothing is encoded for the JPEG path that nobody takes"


def until_still(own: Stack) -> float:
    """The number of JPEG pictures, once it no longer grows while the camera goes on."""
    last = [-1.0]

    def is_still() -> bool:
        received, frames = own.metric("frames_received_total"), own.metric("jpeg_frames_total")
        until_sync(lambda: own.metric("frames_received_total") > received + 20)
        still, last[0] = own.metric("jpeg_frames_total") == frames, frames
        return still

    until_sync(is_still, 20, "the JPEG path falls silent")
    return last[0]


def test_the_schools_flask_page_shows_the_video_whoever_starts_first(tmp_path: Path, page: Page) -> None:
    port = free_port()
    flask_app = Program("flask", tmp_path, "tests.legacy_app", str(port))
    stack = Stack(tmp_path, SURVEILLX_RECOGNITION_EVERY="0", SURVEILLX_LEGACY_URL=f"http://127.0.0.1:{port}")
    try:
        stack.start(recognition=False)
        for _ in range(2):
            flask_app.start()
            until_sync(flask_app.is_listening(port), 30, "the Flask app is up")
            page.goto(f"http://127.0.0.1:{port}/")
            assert_video(page)
            flask_app.stop(signal.SIGKILL)
    finally:
        flask_app.end()
        stack.close()


def assert_video(page: Page) -> None:
    """The legacy page's picture is a JPEG of the camera's size, and it changes."""
    picture = page.locator("img").first
    expect(picture).to_have_attribute("src", JPEG, timeout=15_000)
    first = picture.get_attribute("src")
    until_sync(lambda: picture.get_attribute("src") != first, 15, "the picture moves")
    assert picture.evaluate("image => image.naturalWidth") == 1280


def test_the_page_asks_for_the_token_once(tmp_path: Path, page: Page) -> None:
    stack = Stack(
        tmp_path,
        SURVEILLX_RECOGNITION_EVERY="0",
        SURVEILLX_VIEW_TOKEN=VIEW_TOKEN,
        SURVEILLX_PUBLISH_TOKEN=PUBLISH_TOKEN,
    )
    try:
        stack.start(recognition=False)
        page.goto(stack.url)
        field = page.locator("input[type=password]")
        field.fill("not the token")
        field.press("Enter")
        page.get_by_role("alert").wait_for()
        field.fill(VIEW_TOKEN)
        field.press("Enter")
        page.locator("surveillx-viewer").wait_for()
        wait_live(page)
        cookies = {cookie["name"]: cookie for cookie in page.context.cookies()}
        assert cookies["surveillx_view"]["httpOnly"]
        assert VIEW_TOKEN not in str(cookies)
        page.reload()
        wait_live(page)
    finally:
        stack.close()
