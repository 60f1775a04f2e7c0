"""Takes every page as people see it, for a look: `python -m tools.screenshots FOLDER`.

The server, the sample camera with recognition, and a small school run for it as in the end-to-end tests. Each page is
taken in light and dark, on a phone, a laptop and a wall screen.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from tests.e2e import school
from tests.e2e.conftest import CHROMIUM_ARGUMENTS
from tests.e2e.stack import Stack
from tests.e2e.viewing import wait_live
from tests.wait import until_sync

SCREENS = {"phone": (390, 844), "desktop": (1440, 900), "4k": (3840, 2160)}
TOKEN = "look"
FACES_ARE_SHOWN = """
() => [...document.images]
  .filter((each) => each.checkVisibility() && each.getBoundingClientRect().top < innerHeight)
  .every((each) => each.complete && each.naturalWidth > 0)
"""


def click(selector: str) -> Callable[[Page], None]:
    return lambda page: page.locator(selector).first.click()


def nothing(_page: Page) -> None:
    pass


# Name, path, what is there once it is complete, what to do then.
PAGES: tuple[tuple[str, str, str, Callable[[Page], None]], ...] = (
    ("live", "/", "#attendance tbody tr", wait_live),
    ("people", "/people", ".person", nothing),
    ("people-add", "/people", ".person", click("#open-add")),
    ("people-edit", "/people", ".person", click(".person")),
    ("people-import", "/people", ".person", click("#open-import")),
    ("attendance", "/attendance", "#present tbody tr", nothing),
    ("attendance-why", "/attendance", "#present tbody tr", click("#present button")),
    ("visitors", "/visitors", ".visitor", nothing),
    ("system", "/system", "#cameras-table tbody tr", nothing),
    ("calibration", "/calibration", "#report .rows li", nothing),
)


@contextmanager
def running() -> Iterator[Stack]:
    """The product with the sample camera; camera 2 never connects, so that the System page has something to say."""
    folder = Path(tempfile.mkdtemp(prefix="surveillx-look-"))
    school.fill(folder / "data")
    stack = Stack(folder, SURVEILLX_VIEW_TOKEN=TOKEN, SURVEILLX_CAMERAS="1,2")
    try:
        stack.enroll()
        stack.start()
        yield stack
    finally:
        stack.close()
        shutil.rmtree(folder)


def take_all(browser: Browser, stack: Stack, folder: Path) -> None:
    for screen, (width, height) in SCREENS.items():
        context = browser.new_context(viewport={"width": width, "height": height})
        page = context.new_page()
        page.goto(f"{stack.url}/login")
        take(page, folder, "login", screen)
        page.locator("#token").fill(TOKEN)
        page.keyboard.press("Enter")
        page.locator("nav").wait_for()
        for name, path, complete, then in PAGES:
            page.goto(stack.url + path)
            page.locator(complete).first.wait_for()
            then(page)
            wait_for_faces(page)
            take(page, folder, name, screen)
        context.close()


def wait_for_faces(page: Page) -> None:
    until_sync(lambda: page.evaluate(FACES_ARE_SHOWN), 10, "the pictures in sight are there")


def take(page: Page, folder: Path, name: str, screen: str) -> None:
    page.emulate_media(color_scheme="light")
    page.screenshot(path=folder / f"{name}-{screen}-light.png")
    page.emulate_media(color_scheme="dark")
    page.screenshot(path=folder / f"{name}-{screen}-dark.png")
    print(f"{name}-{screen}", flush=True)


def main() -> None:
    """Take them."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.screenshots", description="Take every page as people see it."
    )
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    installed = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with running() as stack, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=installed, args=CHROMIUM_ARGUMENTS)
        take_all(browser, stack, folder)
        browser.close()


if __name__ == "__main__":
    main()
