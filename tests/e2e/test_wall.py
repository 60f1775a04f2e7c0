"""The wall of cameras: three sample cameras, one window; what staff do with it, and what a wall screen shows."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page

from server.sample import CLIP, PERSON_NAME

from ..wait import until_sync
from .stack import Program, Stack
from .viewing import LIVE_S

CAMERAS = ["1", "2", "3"]
# What stands where: the tiles that are laid out, with their players' data and whether they have to pause.
TILES = """
() => [...document.querySelectorAll(".tile")].filter((tile) => tile.offsetWidth).map((tile) => {
  const player = tile.querySelector("surveillx-viewer");
  const { left, top, right, bottom } = tile.getBoundingClientRect();
  return { ...player.dataset, paused: player.hasAttribute("paused"), wanted: player.getAttribute("rendition"),
    inSight: left >= 0 && top >= 0 && right <= innerWidth && bottom <= innerHeight };
})
"""
ALONE = "() => document.querySelector('.tile:not([hidden], .prepared) [camera]')?.getAttribute('camera')"
PAUSED = (
    "() => [...document.querySelectorAll('surveillx-viewer[paused]')].map((each) => each.getAttribute('camera')).sort()"
)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Cameras 2 and 3 are on from the start, camera 1 when a test starts its publisher."""
    folder = tmp_path_factory.mktemp("wall")
    stack = Stack(folder, SURVEILLX_CAMERAS=",".join(CAMERAS))
    others = [_publisher(stack, folder, camera_id) for camera_id in CAMERAS[1:]]
    try:
        stack.take_person()
        stack.server.start()
        stack.wait_ready(recognition=True)
        for each in others:
            each.start()
        until_sync(lambda: stack.camera("2")["online"] and stack.camera("3")["online"], 60, "two cameras are online")
        yield stack
    finally:
        for each in others:
            each.end()
        stack.close()


def _publisher(stack: Stack, folder: Path, camera_id: str) -> Program:
    small = ("--size", "320x180", "--fps", "10")
    where = ("--server", stack.url, "--camera", camera_id, "--source", str(CLIP))
    loopback = {"SURVEILLX_INTERFACES": "127.0.0.1"}
    return Program(f"publisher-{camera_id}", folder, "server.cli", "publish", *where, *small, **loopback)


def tiles(page: Page) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = page.evaluate(TILES)
    return found


def shown(page: Page) -> list[str]:
    return [tile["camera"] for tile in tiles(page)]


def test_a_new_mark_is_told_and_the_person_stands_on_the_timeline(stack: Stack, page: Page) -> None:
    page.goto(stack.url)
    badge = page.locator("surveillx-viewer[camera='1'] .badge")
    until_sync(lambda: (badge.text_content() or "").startswith("Offline since "), LIVE_S, "camera 1 is offline")
    stack.publisher.start()
    toast = page.locator(".toast", has_text=f"{PERSON_NAME} was marked present at ")
    toast.wait_for(timeout=60_000)
    assert page.locator("#toasts").get_attribute("role") == "status"
    toast.get_by_role("button", name="Dismiss").click()
    assert toast.count() == 0
    page.get_by_role("link", name=re.compile(f"{PERSON_NAME}.*Camera 1")).wait_for()
    until_sync(lambda: tiles(page)[0].get("state") == "live", LIVE_S, "camera 1 is live by itself")


def test_staff_arrange_enlarge_and_rename(stack: Stack, page: Page) -> None:
    page.goto(stack.url)
    until_sync(lambda: shown(page) == CAMERAS, LIVE_S, "three tiles")
    until_sync(
        lambda: all(tile.get("rendition") == "360p" for tile in tiles(page)), LIVE_S, "small tiles, small pictures"
    )
    assert all(tile["inSight"] and tile["wanted"] == "360p" for tile in tiles(page))

    page.get_by_role("button", name="Enlarge Camera 2").focus()
    page.keyboard.press("Enter")
    until_sync(lambda: shown(page) == ["2"] and tiles(page)[0]["inSight"], LIVE_S, "camera 2 alone, all of it in sight")
    until_sync(lambda: page.evaluate(PAUSED) == ["1", "3"], LIVE_S, "those behind it pause")
    until_sync(lambda: tiles(page)[0].get("rendition") == "720p", LIVE_S, "a large tile, the large picture")
    page.keyboard.press("Escape")
    until_sync(lambda: shown(page) == CAMERAS and page.evaluate(PAUSED) == [], LIVE_S, "all are back")

    page.get_by_role("button", name="Rename Camera 1").click()
    page.get_by_label("Name of the camera").fill("Library / 2nd floor")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Move Library / 2nd floor back").click()
    until_sync(lambda: shown(page) == ["2", "1", "3"], what="camera 1 has moved")
    page.locator(".tile", has=page.locator("[camera='3']")).drag_to(
        page.locator(".tile", has=page.locator("[camera='2']"))
    )
    until_sync(lambda: shown(page) == ["3", "2", "1"], what="camera 3 was dragged to the first place")
    page.get_by_text("All cameras").click()
    page.get_by_role("checkbox", name="Camera 2").uncheck()
    until_sync(lambda: shown(page) == ["3", "1"], what="camera 2 is left out")

    page.reload()
    until_sync(lambda: shown(page) == ["3", "1"], LIVE_S, "order and choice are remembered")
    assert stack.camera()["name"] == "Library / 2nd floor"
    page.get_by_role("cell", name="Library / 2nd floor").wait_for()


def test_figures_and_a_picture_to_keep(stack: Stack, page: Page) -> None:
    stack.http.put("/api/cameras/1", json={"name": "Library / 2nd floor"})
    page.goto(stack.url)
    until_sync(lambda: shown(page) == CAMERAS, LIVE_S, "three tiles")
    page.locator(".tile").first.hover()
    page.keyboard.press("s")
    panel = page.get_by_role("group", name="Figures of Library / 2nd floor")

    def figures() -> dict[str, str]:
        return dict(zip(panel.locator("dt").all_text_contents(), panel.locator("dd").all_text_contents(), strict=False))

    def are_plausible() -> bool:
        now = figures()
        rate = re.match(r"([\d.]+) a second", now.get("Pictures shown", ""))
        delay = re.match(r"([\d,]+) ms", now.get("Delay", ""))
        legs = re.findall(r"(\w+) (\d+)", now.get("of that", ""))
        return bool(
            now.get("Way", "").startswith("WebRTC, ")
            and re.fullmatch(r"\d+ × \d+", now["Picture"])
            and rate and 1 <= float(rate[1]) <= 60
            and delay and [leg for leg, _ in legs] == ["camera", "server", "network", "buffer", "display"]
            and re.search(r"^[\d.]+ pictures a second, one in \d+$", now["Recognition"])
        )  # fmt: skip

    until_sync(are_plausible, 60, "plausible figures")
    with page.expect_download() as download:
        page.get_by_role("button", name="Save a picture of Library / 2nd floor").click()
    name = download.value.suggested_filename
    assert re.fullmatch(r"Library - 2nd floor \d{4}-\d\d-\d\d \d\d\.\d\d\.\d\d\.png", name)
    picture = Image.open(io.BytesIO(download.value.path().read_bytes()))
    size = page.evaluate("() => { const v = document.querySelector('[camera=\"1\"]'); return v.stats(); }")
    assert (picture.format, picture.size) == ("PNG", (size["width"], size["height"]))
    page.keyboard.press("s")
    panel.wait_for(state="detached")


def test_a_wall_screen_shows_pictures_alone_one_after_the_other(stack: Stack, browser: Browser) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 720})
    page = context.new_page()
    try:
        page.goto(f"{stack.url}/?kiosk=1&camera=3,2&cycle=3")
        seen: list[str] = []

        def has_gone_round() -> bool:
            now = page.evaluate(ALONE)
            if now and (not seen or seen[-1] != now):
                seen.append(now)
            return len(seen) >= 3

        until_sync(has_gone_round, LIVE_S, "one camera after the other")
        assert seen in (["3", "2", "3"], ["2", "3", "2"])
        assert page.locator("button:visible:not([part~=box]), a:visible, nav:visible, #attendance:visible").count() == 0
        page.goto(f"{stack.url}/?kiosk=1")
        until_sync(
            lambda: shown(page) == CAMERAS and all(tile["inSight"] for tile in tiles(page)), LIVE_S, "all at once"
        )
    finally:
        context.close()
