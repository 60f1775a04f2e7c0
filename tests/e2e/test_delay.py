"""The delay that the page tells is the one a clock in the pixels shows."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Browser

from server.bench.browser import measure
from server.sample import CLIP

from ..wait import until_sync
from .stack import Program, Stack

MEASURED_S = 3.0
# A page that left out the camera's leg, or half of it, would be further off; a busy machine's delay is not steady.
TOLERANCE_MS = 25.0
TOLERANCE_SHARE = 0.15


def test_the_page_tells_the_delay_from_glass_to_glass(tmp_path: Path, browser: Browser) -> None:
    stack = Stack(tmp_path, SURVEILLX_RECOGNITION_EVERY="0")
    stack.publisher = Program("camera", tmp_path, "server.bench.camera", stack.url, str(CLIP))

    def agrees() -> bool:
        seen = measure(browser, stack.url, MEASURED_S)
        true_ms = seen.sample.median_ms
        return seen.told_ms is not None and abs(seen.told_ms - true_ms) < TOLERANCE_MS + TOLERANCE_SHARE * true_ms

    try:
        stack.start(recognition=False)
        until_sync(agrees, 90, "the page's figure and the clock in the pixels agree")
    finally:
        stack.close()
