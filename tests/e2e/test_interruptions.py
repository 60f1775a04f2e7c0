"""What interrupts a picture, or only seems to: each time the page says so, goes on and is live again by itself."""

from __future__ import annotations

import os
import signal

import psutil
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from ..wait import until_sync
from .stack import Stack
from .viewing import COUNT_FRAMES, player, shown_frames, wait_for, wait_live

# A first element as high as three windows: the wall of cameras is then far below what can be seen.
PUSH_DOWN = """() => {
  const space = document.createElement("div");
  space.id = "space";
  space.style.height = "300vh";
  document.body.prepend(space);
  scrollTo(0, 0);
}"""
PULL_UP = "() => document.getElementById('space').remove()"
NOTE_GAPS = """() => {
  const video = document.querySelector("surveillx-viewer").shadowRoot.querySelector("video.shown");
  window.longestGap = 0;
  let before = performance.now();
  const note = (now) => { window.longestGap = Math.max(window.longestGap, now - before); before = now;
    video.requestVideoFrameCallback(note); };
  video.requestVideoFrameCallback(note);
}"""


def kill_recognition(stack: Stack) -> None:
    """The recognition process is the server's child that holds dlib: the largest."""
    assert stack.server.process is not None
    children = psutil.Process(stack.server.process.pid).children(recursive=True)
    os.kill(max(children, key=lambda each: each.memory_info().rss).pid, signal.SIGKILL)


def test_killed_recognition_is_told_and_the_picture_goes_on(stack: Stack, page: Page) -> None:
    page.goto(stack.url)
    wait_live(page)
    page.evaluate(NOTE_GAPS)
    kill_recognition(stack)
    notices, words = page.locator("#notices"), "names and attendance come back by themselves"
    expect(notices).to_contain_text(words, timeout=10_000)
    assert player(page)["state"] == "live"
    until_sync(lambda: stack.recognition() == "running", 60, "recognition runs again")
    expect(notices).not_to_contain_text(words, timeout=20_000)
    wait_live(page)
    assert page.evaluate("() => window.longestGap") < 1_500, "the watchdog would have been due"


def test_a_picture_that_nobody_can_see_costs_nothing_until_it_is_seen_again(stack: Stack, page: Page) -> None:
    page.goto(stack.url)
    wait_live(page)
    page.evaluate(PUSH_DOWN)
    wait_for(page, state="paused", transport="none")
    until_sync(lambda: stack.camera()["viewers"] == 0, 10, "the server sends it nothing")
    page.evaluate(PULL_UP)
    wait_live(page)


@pytest.mark.parametrize("while_offline", ["nothing happens", "the camera is chosen anew"])
def test_a_browser_without_network_is_live_when_it_has_one(
    stack: Stack, context: BrowserContext, page: Page, while_offline: str
) -> None:
    page.goto(stack.url)
    wait_live(page)
    page.evaluate(COUNT_FRAMES)
    context.set_offline(True)
    seen = shown_frames(page)
    # The browser takes HTTP and WebSockets away, but not the connection that carries the picture.
    until_sync(lambda: shown_frames(page) > seen + 30, 10, "the picture goes on without the events")
    if while_offline != "nothing happens":
        page.evaluate("() => document.querySelector('surveillx-viewer').setAttribute('camera', '2')")
        page.evaluate("() => document.querySelector('surveillx-viewer').setAttribute('camera', '1')")
        until_sync(lambda: player(page)["state"] != "live", 10, "a new connection cannot be made")
    context.set_offline(False)
    wait_live(page, 15)
