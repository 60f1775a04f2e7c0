"""The player in a page of another origin: with a token where the server allows that origin, and not otherwise."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Page

from ..wait import until_sync
from .stack import Stack, free_port
from .viewing import player, wait_for, wait_live

TOKEN = "view/token+with?odd=characters"
PAGE = """<!doctype html><title>Another program</title>
<script type="module" src="{url}/static/viewer.js"></script>
<surveillx-viewer camera="1"></surveillx-viewer>
<script type="module">
  window.events = [];
  for (const type of ["statechange", "stats", "error"])
    document.addEventListener(type, ({{ detail }}) => window.events.push({{ type, ...detail }}));
</script>
"""
TWICE_AT_ONCE = """async () => {
  const viewer = document.querySelector("surveillx-viewer");
  const both = [await viewer.stats(), await viewer.stats()];
  return both.map(({ fps, bitrate_bps }) => [fps, bitrate_bps]);
}"""
SNAPSHOT = """async () => {
  const bitmap = await createImageBitmap(await document.querySelector("surveillx-viewer").snapshot());
  return [bitmap.width, bitmap.height];
}"""


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in the standard library
        """Say nothing."""


@contextmanager
def another_program(folder: Path) -> Iterator[str]:
    """A web server of its own that serves `folder`; its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stack, str, str]]:
    """A server behind a token, a page that may embed its player, and one that may not."""
    folder = tmp_path_factory.mktemp("pages")
    with another_program(folder) as allowed, another_program(folder) as other:
        # The publisher needs no token: the server listens on loopback only.
        environment = {
            "SURVEILLX_VIEW_TOKEN": TOKEN,
            "SURVEILLX_ALLOWED_ORIGINS": f"{allowed},http://127.0.0.1:{free_port()}",
            "SURVEILLX_RECOGNITION_EVERY": "0",
        }
        stack = Stack(tmp_path_factory.mktemp("stack"), **environment)
        try:
            stack.start(recognition=False)
            (folder / "index.html").write_text(PAGE.format(url=stack.url))
            yield stack, allowed, other
        finally:
            stack.close()


def test_a_token_shows_the_picture_on_an_allowed_origin(pages: tuple[Stack, str, str], page: Page) -> None:
    _, allowed, _ = pages
    page.goto(allowed)
    wait_for(page, state="denied")
    page.evaluate("(token) => { document.querySelector('surveillx-viewer').token = token; }", TOKEN)
    wait_live(page)
    until_sync(lambda: "delay" in player(page), 20, "the events come too: they tell the delay")
    assert page.evaluate(SNAPSHOT) == [1280, 720]
    until_sync(lambda: page.evaluate("() => window.events.some(({fps}) => fps > 5)"), 20, "figures each second")
    for fps, bitrate_bps in page.evaluate(TWICE_AT_ONCE):
        assert 1 < fps < 100, "also where two ask at once"
        assert 10_000 < bitrate_bps < 10_000_000
    kinds = page.evaluate("() => [...new Set(window.events.map(({type}) => type))].sort()")
    assert kinds == ["error", "statechange", "stats"]
    assert TOKEN not in page.content(), "the token is not in the document"
    # JPEG over Socket.IO as well.
    page.evaluate("() => document.querySelector('surveillx-viewer').setAttribute('transport', 'jpeg')")
    wait_for(page, transport="jpeg", state="live")
    page.evaluate("() => document.querySelector('surveillx-viewer').pause()")
    wait_for(page, state="paused", transport="none")


def test_any_other_origin_gets_nothing(pages: tuple[Stack, str, str], page: Page) -> None:
    stack, _, other = pages
    with page.expect_console_message(lambda message: "CORS" in message.text):
        page.goto(other)
    assert player(page).get("state") is None, "not even the module"
    preflight = {"Origin": other, "Access-Control-Request-Method": "POST"}
    assert "access-control-allow-origin" not in stack.http.options("/webrtc/viewer", headers=preflight).headers
