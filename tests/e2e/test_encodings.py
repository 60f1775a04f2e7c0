"""Who gets which picture, in a real browser: H.264 where that is all it offers, 360p where the line carries no more."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Page

from ..wait import until_sync
from .stack import REPOSITORY, Stack
from .viewing import COUNT_FRAMES, player, wait_for, wait_live

ONLY_H264 = """
const real = RTCPeerConnection.prototype.addTransceiver;
RTCPeerConnection.prototype.addTransceiver = function (...options) {
  const transceiver = real.apply(this, options);
  const { codecs } = RTCRtpReceiver.getCapabilities("video");
  transceiver.setCodecPreferences(codecs.filter(({ mimeType }) => /H264|rtx/.test(mimeType)));
  return transceiver;
};
"""
WIDTH = "() => document.querySelector('surveillx-viewer').shadowRoot.querySelector('video.shown').videoWidth"


@contextmanager
def slow_line(url: str, rate_bps: int) -> Iterator[str]:
    """An address of the server behind a line of so many bits a second, with room for 0.3 s of them."""
    command = [sys.executable, "-m", "server.bench.link", url]
    with subprocess.Popen(command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        address = process.stdout.readline().split()[-1]
        down = {"rate_bps": rate_bps, "queue_bytes": rate_bps * 3 // 80}
        process.stdin.write(json.dumps({"down": down}) + "\n")
        process.stdin.flush()
        process.stdout.readline()
        try:
            yield address
        finally:
            process.stdin.close()


def wait_for_frames(page: Page, count: int) -> None:
    page.evaluate(COUNT_FRAMES)
    until_sync(lambda: page.evaluate("() => window.shownFrames") >= count, 20, f"{count} frames")


def test_a_browser_that_offers_only_h264_gets_it(video_stack: Stack, page: Page) -> None:
    page.add_init_script(ONLY_H264)
    page.goto(video_stack.url)
    wait_live(page)
    wait_for_frames(page, 30)
    assert page.evaluate(WIDTH) == 1280
    metrics = video_stack.http.get("/metrics").text
    assert 'surveillx_encodes_active{camera="1",codec="H264",picture="annotated",rendition="720p"} 1.0' in metrics


def test_a_slow_line_gets_360p_and_the_page_says_why(video_stack: Stack, page: Page) -> None:
    with slow_line(video_stack.url, 400_000) as url:
        page.goto(url)
        wait_for(page, rendition="360p", transport="webrtc", state="live")
        until_sync(lambda: page.evaluate(WIDTH) == 640, 20, "the small picture")
        wait_for_frames(page, 30)
        assert "360p, because the line" in player(page)["reason"]
        assert page.locator(".badge").inner_text().endswith(", 360p: slow line")
        assert video_stack.camera()["renditions"]["360p"] == 1
