"""Fixtures of the end-to-end tests. A failing test leaves a screenshot, the console and the logs in `artifacts/`."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from .stack import REPOSITORY, Stack

ARTIFACTS = REPOSITORY / "artifacts"
# Headless in a container: no sandbox, no GPU, and none of the calls home. Loopback is the only network of a test.
CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--allow-loopback-in-peer-connection",
    # Pages that publish get a moving test picture, without being asked whether they may.
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
]


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Debian's Chromium where there is one, else the one that `playwright install chromium` fetched.

    Not longer than this package: the driver's event loop would be in the way of every asyncio test after it.
    """
    installed = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=installed, args=CHROMIUM_ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext, request: pytest.FixtureRequest) -> Iterator[Page]:
    page = context.new_page()
    console: list[str] = []
    started = time.time()
    page.on("console", lambda message: console.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: console.append(f"uncaught: {error}"))
    yield page
    if request.node.stash.get(FAILED, False):
        folder = ARTIFACTS / re.sub(r"\W+", "-", request.node.name)
        folder.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=folder / "page.png")
        (folder / "console.txt").write_text("\n".join(console))
        for log in Path(request.getfixturevalue("tmp_path_factory").getbasetemp()).rglob("*.log"):
            if log.stat().st_mtime > started:
                shutil.copy(log, folder / log.name)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One running product for the tests of a module that leave it as they found it."""
    stack = Stack(tmp_path_factory.mktemp("stack"))
    try:
        stack.take_person()
        stack.start()
        yield stack
    finally:
        stack.close()


@pytest.fixture(scope="module")
def video_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The same without recognition, for tests about the video."""
    stack = Stack(tmp_path_factory.mktemp("stack"), SURVEILLX_RECOGNITION_EVERY="0")
    try:
        stack.start(recognition=False)
        yield stack
    finally:
        stack.close()


FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.when == "call":
        item.stash[FAILED] = report.failed
    return report
