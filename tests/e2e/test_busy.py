"""A server that is asked for too much says so on the page, and when it is over."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from ..wait import until_sync
from .stack import Program, Stack
from .viewing import wait_live

AT_EASE: dict[str, float] = {}
LATE = {"picture_age_s": 0.3}
STARVED = {"recognition_busy": 1.0}


class BusyStack(Stack):
    """A product whose server reads how busy it is from a file."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.readings = folder / "readings.json"
        self.read(AT_EASE)
        self.server = Program(
            "server", folder, "tests.e2e.busy_server", str(self.port), str(folder / "data"), str(self.readings)
        )

    def read(self, reading: dict[str, float]) -> None:
        """From now on the server reads this; never half of it."""
        whole = self.readings.with_suffix(".new")
        whole.write_text(json.dumps(reading))
        whole.replace(self.readings)


@pytest.fixture
def busy(tmp_path: Path) -> Iterator[BusyStack]:
    stack = BusyStack(tmp_path)
    try:
        stack.start()
        yield stack
    finally:
        stack.close()


def take_pictures(page: Page, name: str) -> None:
    """For people to look at, where SCREENSHOTS names a folder."""
    folder = os.environ.get("SCREENSHOTS")
    if not folder:
        return
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        for width in (1280, 390):
            page.set_viewport_size({"width": width, "height": 800})
            page.screenshot(path=Path(folder) / f"{name}-{scheme}-{width}.png")


def test_the_page_says_that_the_server_is_busy_and_that_it_is_over(busy: BusyStack, page: Page) -> None:
    banner = page.locator("#notices")
    page.goto(busy.url)
    wait_live(page)
    expect(banner).to_be_hidden()
    busy.read(STARVED)
    expect(banner).to_have_text("The server is busy: names appear more slowly.", timeout=10_000)
    take_pictures(page, "names")
    busy.read(LATE)
    expect(banner).to_contain_text("pictures are shown at a third of the rate", timeout=20_000)
    take_pictures(page, "third")
    until_sync(lambda: busy.camera()["frame_divisor"] == 3, 10)
    wait_live(page)
    busy.read(AT_EASE)
    expect(banner).to_have_text(
        "The server is no longer busy: names and pictures come at their full rate.", timeout=20_000
    )
    take_pictures(page, "over")
    until_sync(lambda: busy.camera()["recognition_every"] in (5, 15), 10)
    expect(banner).to_be_hidden(timeout=20_000)
    wait_live(page)
