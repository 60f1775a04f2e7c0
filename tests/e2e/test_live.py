"""The main job in a real browser: live over WebRTC, boxes on the faces, names, one attendance row, one encode."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, Page

from server.sample import PERSON_NAME

from ..wait import until_sync
from .stack import REPOSITORY, Stack
from .viewing import COUNT_FRAMES, LISTEN, green_box, player, shown_frames, wait_live

# The example in docs/testing.md, which works as it stands there.
EXAMPLE = re.compile(r"```python\n(.*?)```", re.DOTALL)


POSTERS = "() => [...document.querySelectorAll('[slot=poster]')].map((img) => img.complete && img.naturalWidth)"


def test_the_first_picture_needs_no_script(stack: Stack, browser: Browser) -> None:
    context = browser.new_context(java_script_enabled=False)
    try:
        page = context.new_page()
        page.goto(stack.url)
        until_sync(lambda: page.evaluate(POSTERS) == [1280], 10, "the poster of camera 1")
    finally:
        context.close()


def test_the_page_goes_live_over_webrtc_and_keeps_its_rate(stack: Stack, page: Page) -> None:
    page.goto(stack.url)
    wait_live(page)
    assert page.evaluate(POSTERS) == [], "the video has taken its place"
    assert player(page)["camera"] == "1"
    assert player(page)["reason"]
    page.evaluate(COUNT_FRAMES)

    def rate() -> float:
        frames, started = shown_frames(page), time.monotonic()
        page.wait_for_timeout(5_000)
        return (shown_frames(page) - frames) / (time.monotonic() - started)

    until_sync(lambda: rate() >= 25, 90, "25 frames a second for five seconds")


def test_the_box_is_in_the_pixels_and_follows_the_face(stack: Stack, page: Page) -> None:
    page.goto(stack.url)
    wait_live(page)
    page.evaluate(LISTEN)

    def seen_on_face() -> float | None:
        """Where the box is, when it is where recognition says the known face is."""
        drawn = green_box(page)
        detections = page.evaluate("() => window.detections")
        if drawn is None or detections is None:
            return None
        assert (drawn["width"], drawn["height"]) == (1280, 720)
        for face in detections["faces"]:
            x, _, width, _ = face["box"]
            middle = (drawn["left"] + drawn["right"]) / 2
            if face["name"] == PERSON_NAME and abs(middle - (x + width / 2)) < width:
                return float(middle)
        return None

    first = until_sync(seen_on_face, 30, "a green box on the known face")
    assert first is not None

    def has_moved() -> bool:
        place = seen_on_face()
        return place is not None and abs(place - first) > 60

    until_sync(has_moved, 30, "the box follows the face to another place")


def test_the_enrolled_person_is_named_and_the_other_is_not(stack: Stack, page: Page) -> None:
    page.goto(stack.url)
    page.evaluate(LISTEN)
    until_sync(
        lambda: page.evaluate("() => window.detections?.faces.length === 2 && [...window.names]"), 30, "two faces"
    )
    until_sync(lambda: PERSON_NAME in page.evaluate("() => [...window.names]"), 30, "the name")
    assert set(page.evaluate("() => [...window.names]")) == {PERSON_NAME, "Unknown"}


def test_there_is_exactly_one_attendance_row(stack: Stack, page: Page) -> None:
    page.goto(stack.url)
    row = until_sync(stack.attendance, 30, "an attendance row")[0]
    assert (row["name"], row["camera_id"]) == (PERSON_NAME, "1")
    page.get_by_text(PERSON_NAME).first.wait_for()
    recognised = stack.camera()["frames"]["recognised"]
    until_sync(lambda: stack.camera()["frames"]["recognised"] > recognised + 20, 30, "twenty more looks at the person")
    assert len(stack.attendance()) == 1


def test_a_running_server_learns_of_a_person_enrolled_meanwhile(tmp_path: Path, page: Page) -> None:
    own = Stack(tmp_path)
    try:
        own.start()
        page.goto(own.url)
        page.evaluate(LISTEN)
        until_sync(lambda: page.evaluate("() => window.detections?.faces.length === 2"), 30, "two faces")
        assert page.evaluate("() => [...window.names]") == ["Unknown"]
        own.enroll()
        until_sync(lambda: PERSON_NAME in page.evaluate("() => [...window.names]"), 20, "the name")
        assert until_sync(own.attendance, 10, "an attendance row")[0]["name"] == PERSON_NAME
    finally:
        own.close()


def test_two_pages_share_one_encode(stack: Stack, page: Page, context: BrowserContext) -> None:
    second = context.new_page()
    for each in (page, second):
        each.goto(stack.url)
        each.bring_to_front()
        wait_live(each)
    assert stack.camera()["viewers"] >= 1
    assert stack.metric("encodes_active") == 1
    encoded, received = stack.metric("frames_encoded_total"), stack.metric("frames_received_total")
    until_sync(lambda: stack.metric("frames_received_total") > received + 60, 20, "two seconds of video")
    share = (stack.metric("frames_encoded_total") - encoded) / (stack.metric("frames_received_total") - received)
    assert share < 1.2, "each picture is encoded once, not once a viewer"
    second.close()


def test_the_example_of_the_docs_passes(stack: Stack, tmp_path: Path) -> None:
    found = EXAMPLE.search((REPOSITORY / "docs" / "testing.md").read_text(encoding="utf-8"))
    assert found is not None
    file = tmp_path / "test_example.py"
    file.write_text(found[1], encoding="utf-8")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    environment = {**os.environ, "SURVEILLX_ADDRESS": stack.url, **({"CHROMIUM": chromium} if chromium else {})}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, str(file)]
    done = subprocess.run(
        command, check=False, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
