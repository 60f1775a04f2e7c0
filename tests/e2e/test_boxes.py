"""Boxes in a real browser: burned in, drawn over the clean picture, or none; and what a click on a face does."""

from __future__ import annotations

import re
from typing import Any

from playwright.sync_api import Page, expect

from server.sample import PERSON_NAME

from ..wait import until_sync
from .stack import Stack
from .viewing import wait_live

# Everything about one moment: where the green of the picture is and where the buttons are, in shares of the picture.
LOOK = """
() => {
  const viewer = document.querySelector("surveillx-viewer");
  const root = viewer.shadowRoot;
  const video = root.querySelector("video");
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(video, 0, 0);
  const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
  let [left, bottom] = [Infinity, -1];
  for (let i = 0; i < data.length; i += 4) {
    if (data[i] < 70 && data[i + 1] > 190 && data[i + 2] < 70) {
      left = Math.min(left, (i / 4) % canvas.width);
      bottom = Math.max(bottom, Math.floor(i / 4 / canvas.width) + 1);
    }
  }
  const place = video.getBoundingClientRect();
  const scale = Math.min(place.width / canvas.width, place.height / canvas.height);
  const [width, height] = [scale * canvas.width, scale * canvas.height];
  const [x, y] = [place.left + (place.width - width) / 2, place.top + (place.height - height) / 2];
  const buttons = [...root.querySelectorAll("[part=box]")].filter((each) => each.offsetParent !== null);
  return {
    green: bottom < 0 ? null : { left: left / canvas.width, bottom: bottom / canvas.height },
    buttons: buttons.map((button) => {
      const box = button.getBoundingClientRect();
      const { borderTopColor } = getComputedStyle(button);
      return {
        words: button.ariaLabel, colour: borderTopColor,
        left: (box.left - x) / width, top: (box.top - y) / height,
        right: (box.right - x) / width, bottom: (box.bottom - y) / height,
      };
    }),
    result: window.result,
    longestGap: window.longestGap,
  };
}
"""
# Keeps the newest result and the longest time without a new picture.
FOLLOW = """
() => {
  const viewer = document.querySelector("surveillx-viewer");
  viewer.addEventListener("detections", ({ detail }) => { window.result = detail; });
  const video = viewer.shadowRoot.querySelector("video");
  let last = performance.now();
  window.longestGap = 0;
  const count = () => {
    window.longestGap = Math.max(window.longestGap, performance.now() - last);
    last = performance.now();
    video.requestVideoFrameCallback(count);
  };
  video.requestVideoFrameCallback(count);
}
"""
SET = "([name, value]) => document.querySelector('surveillx-viewer').setAttribute(name, value)"
SHAPE = "(shape) => { document.querySelector('surveillx-viewer').style.aspectRatio = shape; }"
KNOWN = f"{PERSON_NAME}: open this person"
UNKNOWN = "Unknown face: open the unknown visitors"
# Recognition gives way to the video: on a machine that is busy, faces and names come late.
PATIENCE_S = 90
TRANSPARENT = "rgba(0, 0, 0, 0)"


def look(page: Page) -> dict[str, Any]:
    seen: dict[str, Any] = page.evaluate(LOOK)
    return seen


def button(seen: dict[str, Any], words: str) -> dict[str, Any] | None:
    return next((each for each in seen["buttons"] if each["words"] == words), None)


def lies_on_the_burned_box(page: Page) -> bool:
    """Whether the known face's button is where the server drew its box into the very same picture."""
    seen = look(page)
    green, known = seen["green"], button(seen, KNOWN)
    if green is None or known is None:
        return False
    return bool(abs(green["left"] - known["left"]) < 0.015 and abs(green["bottom"] - known["bottom"]) < 0.02)


def is_drawn_over_the_face(page: Page) -> bool:
    """Whether the clean picture has an outline over the known face, about where the newest result says it is."""
    seen = look(page)
    known, result = button(seen, KNOWN), seen["result"]
    if seen["green"] is not None or known is None or result is None or known["colour"] == TRANSPARENT:
        return False
    boxes = [face["box"] for face in result["faces"] if face["name"] == PERSON_NAME]
    middle = (known["left"] + known["right"]) / 2
    return any(abs(middle - (x + w / 2) / 1280) < 0.5 * w / 1280 for x, _, w, _ in boxes)


def has_nothing(page: Page) -> bool:
    seen = look(page)
    return seen["green"] is None and seen["buttons"] == []


def click_on(page: Page, words: str) -> None:
    """As the hand does it: where the face is now."""
    box = until_sync(page.get_by_role("button", name=words).first.bounding_box, PATIENCE_S, words)
    assert box is not None
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)


def answered_offers(stack: Stack) -> float:
    lines = stack.http.get("/metrics").text.splitlines()
    wanted = 'surveillx_offers_total{kind="viewer",outcome="answered"}'
    return sum(float(line.split()[-1]) for line in lines if line.startswith(wanted))


def test_boxes_are_burned_in_drawn_or_left_out_on_the_running_page(stack: Stack, page: Page) -> None:
    page.goto(stack.url)
    wait_live(page, PATIENCE_S)
    page.evaluate(FOLLOW)
    until_sync(lambda: lies_on_the_burned_box(page), PATIENCE_S, "a button on the box in the picture")
    offers = answered_offers(stack)
    for shape in ("1 / 1", "3 / 1", "16 / 9"):
        page.evaluate(SHAPE, shape)
        until_sync(lambda: lies_on_the_burned_box(page), PATIENCE_S, f"the same in a player of {shape}")
    page.evaluate(SET, ["boxes", "drawn"])
    until_sync(lambda: is_drawn_over_the_face(page), PATIENCE_S, "an outline over the face of a clean picture")
    # The annotated picture is let go only once the clean one has begun: for a moment there are both.
    only_clean = {"annotated": 0, "clean": 1}
    until_sync(lambda: stack.camera()["pictures"] == only_clean, 10, "the clean picture only")
    page.evaluate(SET, ["boxes", "none"])
    until_sync(lambda: has_nothing(page), PATIENCE_S, "a clean picture and no buttons")
    page.evaluate(SET, ["boxes", "burned"])
    until_sync(lambda: lies_on_the_burned_box(page), PATIENCE_S, "the annotated picture is back")
    until_sync(lambda: stack.metric("encodes_active") == 1, 10, "one encode, as before")
    assert answered_offers(stack) == offers, "all on one connection"
    assert look(page)["longestGap"] < 2_000


def test_a_click_on_a_face_opens_who_it_is(stack: Stack, page: Page) -> None:
    page.goto(stack.url)
    wait_live(page, PATIENCE_S)
    page.evaluate(FOLLOW)
    stop = (
        "() => addEventListener('faceclick', (event) => { window.face = event.detail.face; event.preventDefault(); })"
    )
    page.evaluate(stop)

    def was_told() -> bool:
        click_on(page, KNOWN)
        return bool(page.evaluate("() => window.face?.name") == PERSON_NAME)

    until_sync(was_told, PATIENCE_S, "the click is told")
    assert page.url.rstrip("/") == stack.url, "and cancelled"
    page.reload()
    page.get_by_role("button", name=UNKNOWN).first.focus(timeout=PATIENCE_S * 1_000)
    page.keyboard.press("Enter")
    page.wait_for_url("**/visitors")
    page.goto(stack.url)
    page.get_by_role("button", name=KNOWN).first.focus(timeout=PATIENCE_S * 1_000)
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/people\?person=\d+$"))
    expect(page.get_by_role("dialog").get_by_role("heading", name=PERSON_NAME)).to_be_visible()
    page.goto(f"{stack.url}/people?person=987654")
    expect(page.get_by_role("status").filter(has_text="is not enrolled any more")).to_be_visible()
    expect(page.get_by_role("dialog")).to_have_count(0)
