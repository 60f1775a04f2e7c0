"""The main paths in Mozilla's own Firefox: live over WebRTC, JPEG without it, a server that comes back, the pages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from server.rtc_compat import choose_addresses
from server.sample import PERSON_NAME

from ..wait import until_sync
from .firefox import Firefox, firefox, installed
from .stack import Stack

if installed() is None:
    pytest.skip("no Firefox on this machine; on Debian `make test` installs it", allow_module_level=True)

LIVE_S = 40.0
PLAYER = "() => ({...document.querySelector('surveillx-viewer')?.dataset})"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Firefox gathers no loopback candidates, so media goes over another address of this machine, and not beyond it."""
    if choose_addresses((), use_ipv6=False) == ["127.0.0.1"]:
        pytest.skip("this machine has no address but loopback, over which Firefox sends no media")
    stack = Stack(tmp_path_factory.mktemp("firefox"), SURVEILLX_INTERFACES="")
    try:
        stack.take_person()
        stack.start()
        yield stack
    finally:
        stack.close()


@pytest.fixture(scope="module")
def browser_window() -> Iterator[Firefox]:
    with firefox() as window:
        yield window


def wait_for(window: Firefox, **wanted: str) -> dict[str, Any]:
    """Wait until the player's data-* attributes are as wanted."""

    def as_wanted() -> dict[str, Any] | None:
        found: dict[str, Any] = window.evaluate(PLAYER)
        return found if wanted.items() <= found.items() else None

    found = until_sync(as_wanted, LIVE_S, f"Firefox shows {wanted}; it shows {window.evaluate(PLAYER)}")
    assert found is not None
    return found


def test_live_over_webrtc_with_its_delay(stack: Stack, browser_window: Firefox) -> None:
    browser_window.goto(stack.url)
    wait_for(browser_window, transport="webrtc", state="live", camera="1")
    until_sync(lambda: "delay" in browser_window.evaluate(PLAYER), 20, "the badge tells the delay")
    text = "() => document.querySelector('surveillx-viewer').shadowRoot.querySelector('[part=badge]').textContent"
    assert "WebRTC" in browser_window.evaluate(text)
    assert stack.metric("encodes_active") == 1


def test_a_server_that_was_killed_comes_back_by_itself(stack: Stack, browser_window: Firefox, tmp_path: Path) -> None:
    browser_window.goto(stack.url)
    wait_for(browser_window, transport="webrtc", state="live")
    stack.server.stop(9)
    until_sync(lambda: browser_window.evaluate(PLAYER)["state"] != "live", LIVE_S, "the page says that it is gone")
    assert browser_window.evaluate(PLAYER)["reason"]
    stack.server.start()
    stack.wait_ready(recognition=True)
    wait_for(browser_window, transport="webrtc", state="live")


def test_the_pages_show_who_is_there(stack: Stack, browser_window: Firefox) -> None:
    until_sync(stack.attendance, LIVE_S, "an attendance row")
    for path in ("/people", "/attendance"):
        browser_window.goto(stack.url + path)
        until_sync(
            lambda: PERSON_NAME in browser_window.evaluate("() => document.querySelector('main').innerText"),
            LIVE_S,
            f"{path} names the person",
        )


def test_without_webrtc_there_is_jpeg_and_words(stack: Stack) -> None:
    with firefox({"media.peerconnection.enabled": False}) as window:
        window.goto(stack.url)
        found = wait_for(window, transport="jpeg", state="live")
        assert "JPEG" in found["reason"] or "WebRTC" in found["reason"]
