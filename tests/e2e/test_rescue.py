"""A picture that stands still is replaced by another connection's, without a dark moment between them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page

from ..wait import until_sync
from .stack import REPOSITORY, Stack
from .viewing import wait_live

# Notes each moment at which no video with a picture was to be seen, and whose picture it was.
WATCH_SCREEN = """() => {
  const root = document.querySelector("surveillx-viewer").shadowRoot;
  window.dark = 0;
  window.videos = new Set();
  const look = () => {
    const shown = [...root.querySelectorAll("video.shown")].filter((video) => video.readyState >= 2);
    if (shown.length === 0) window.dark += 1;
    shown.forEach((video) => window.videos.add(video));
    requestAnimationFrame(look);
  };
  look();
}"""
FALL_ASLEEP = "() => { const now = Date.now; Date.now = () => now() + 3_600_000; }"


@pytest.fixture
def line(video_stack: Stack) -> Iterator[subprocess.Popen[str]]:
    """The UDP proxy of the benches before the server; it obeys lines of JSON."""
    command = [sys.executable, "-m", "server.bench.link", video_stack.url]
    process = subprocess.Popen(command, cwd=REPOSITORY, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=10)


def screen(page: Page) -> dict[str, Any]:
    seen: dict[str, Any] = page.evaluate("() => ({dark: window.dark, videos: window.videos.size})")
    return seen


def test_after_a_sleep_a_new_connection_takes_over_without_a_dark_moment(video_stack: Stack, page: Page) -> None:
    page.goto(video_stack.url)
    wait_live(page)
    page.evaluate(WATCH_SCREEN)
    page.evaluate(FALL_ASLEEP)
    until_sync(lambda: screen(page)["videos"] == 2, 20, "the second connection shows the picture")
    wait_live(page)
    until_sync(lambda: video_stack.camera()["viewers"] == 1, 20, "the first one has ended")
    assert screen(page)["dark"] == 0


def test_a_connection_that_leads_nowhere_is_replaced(
    video_stack: Stack, line: subprocess.Popen[str], page: Page
) -> None:
    assert line.stdout is not None
    assert line.stdin is not None
    address = line.stdout.readline().removeprefix("Listening on ").strip()
    page.goto(address)
    wait_live(page)
    page.evaluate(WATCH_SCREEN)
    print('{"cut": true}', file=line.stdin, flush=True)
    until_sync(lambda: screen(page)["videos"] == 2, 30, "the second connection shows the picture")
    wait_live(page)
