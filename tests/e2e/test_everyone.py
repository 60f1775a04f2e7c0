"""The pages are for everyone: axe-core has no objection, keys are enough, nothing is cut off on any screen."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from . import school
from .stack import REPOSITORY, Stack

AXE = REPOSITORY / "node_modules" / "axe-core" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
TOKEN = "view"

OBJECTIONS = """
async (values) => {
  const { violations } = await axe.run(document, { runOnly: { type: "tag", values }, resultTypes: ["violations"] });
  const told = (id, { target, failureSummary }) => `${id}: ${target.join(" ")}: ${failureSummary}`;
  return violations.flatMap(({ id, nodes }) => nodes.map((node) => told(id, node)));
}
"""
# Everything that the Tab key should reach: in the page and in the players' own trees.
FOCUSABLE = """
() => {
  const wanted = "a[href], button, input, select, textarea, summary, [tabindex]";
  const found = [];
  const look = (root) => {
    for (const each of root.querySelectorAll("*")) {
      if (each.shadowRoot) look(each.shadowRoot);
      const isShown = each.checkVisibility({ visibilityProperty: true });
      if (each.matches(wanted) && each.tabIndex >= 0 && !each.disabled && isShown) found.push(each);
    }
  };
  look(document);
  window.toReach = new Set(found);
  return found.length;
}
"""
REACHED = """
() => {
  let active = document.activeElement;
  while (active?.shadowRoot?.activeElement) active = active.shadowRoot.activeElement;
  window.toReach.delete(active);
  return window.toReach.size;
}
"""
LEFT = "() => [...window.toReach].map((each) => each.outerHTML.slice(0, 120))"
SMALL = """
() => [...document.querySelectorAll("a[href], button, input, select, summary")]
  .filter((each) => each.checkVisibility({ visibilityProperty: true }) && !each.closest(".visually-hidden, p, li span"))
  .filter((each) => !each.matches(".visually-hidden, .skip"))
  .filter((each) => { const { width, height } = each.getBoundingClientRect(); return width < 24 || height < 24; })
  .filter((each) => each.type !== "checkbox" || each.closest("label") === null)
  .map((each) => each.outerHTML.slice(0, 120))
"""
WIDER = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"

# Each page, with what is there once it shows what it has.
PAGES = {
    "/": "#attendance tbody tr",
    "/people": ".person",
    "/attendance": "#present tbody tr",
    "/visitors": ".visitor",
    "/system": "#problems li",
    "/calibration": "#report .rows li",
}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("everyone")
    school.fill(folder / "data")
    stack = Stack(folder, SURVEILLX_RECOGNITION_EVERY="0", SURVEILLX_VIEW_TOKEN=TOKEN)
    try:
        stack.server.start()
        stack.wait_ready(recognition=False)
        yield stack
    finally:
        stack.close()


def sign_in(page: Page, stack: Stack) -> None:
    page.goto(f"{stack.url}/login")
    page.get_by_label("View token").fill(TOKEN)
    page.keyboard.press("Enter")
    page.locator("nav").wait_for()


def show(page: Page, stack: Stack, path: str) -> None:
    page.goto(stack.url + path)
    page.locator(PAGES[path]).first.wait_for()


def objections(page: Page) -> list[str]:
    """What axe-core objects to, in light and in dark."""
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(AXE.read_text(encoding="utf-8"))
    found: list[str] = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        found += [f"{scheme}: {each}" for each in page.evaluate(OBJECTIONS, RULES)]
    return found


def test_nobody_is_kept_out(running: Stack, page: Page) -> None:
    page.goto(f"{running.url}/login")
    assert objections(page) == []
    sign_in(page, running)
    found = {}
    for path in PAGES:
        show(page, running, path)
        found[path] = objections(page)
    assert {path: each for path, each in found.items() if each} == {}


def test_dialogs_are_named_and_labelled(running: Stack, page: Page) -> None:
    sign_in(page, running)
    show(page, running, "/people")
    found = []
    for opener in ("#open-add", "#open-import", ".person"):
        page.locator(opener).first.click()
        found += objections(page)
        page.keyboard.press("Escape")
    show(page, running, "/attendance")
    page.locator("#present button").first.click()
    expect(page.locator("#proof-facts li").first).to_be_visible()
    assert found + objections(page) == []


def test_keys_reach_everything_and_a_closed_dialog_gives_the_focus_back(running: Stack, page: Page) -> None:
    sign_in(page, running)
    show(page, running, "/attendance")
    count = page.evaluate(FOCUSABLE)
    assert count > 15
    for _ in range(count + 10):  # a date is several stops
        page.keyboard.press("Tab")
        if page.evaluate(REACHED) == 0:
            break
    assert page.evaluate(LEFT) == []

    page.goto(f"{running.url}/attendance")
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to content")).to_be_focused()
    opens_and_closes(page, page.locator("#present button").first)
    show(page, running, "/people")
    for name in ("Add a person", "Import a class", "Edit Noor"):
        opens_and_closes(page, page.get_by_role("button", name=name))


def opens_and_closes(page: Page, opener: Locator) -> None:
    """Enter opens a dialog, Esc closes it, and the focus is where it was."""
    opener.focus()
    page.keyboard.press("Enter")
    expect(page.locator("dialog:modal")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("dialog:modal")).to_have_count(0)
    expect(opener).to_be_focused()


def test_every_screen_from_phone_to_wall(running: Stack, page: Page) -> None:
    sign_in(page, running)
    small: list[str] = []
    for path in PAGES:
        page.set_viewport_size({"width": 390, "height": 844})
        show(page, running, path)
        assert page.evaluate(WIDER) <= 0, f"{path} is wider than a phone"
        small += page.evaluate(SMALL)
        page.set_viewport_size({"width": 3840, "height": 2160})
        box = page.locator("main").bounding_box()
        assert box is not None
        assert box["width"] > 0.8 * 3840, f"{path} is a strip on a wall screen"
    assert small == [], "targets too small to hit"


def test_the_chosen_colours_stay(running: Stack, page: Page) -> None:
    sign_in(page, running)
    ground = "() => getComputedStyle(document.body).backgroundColor"
    page.emulate_media(color_scheme="light")
    light = page.evaluate(ground)
    page.get_by_label("Colours").select_option("dark")
    dark = page.evaluate(ground)
    assert light != dark
    page.goto(f"{running.url}/people")
    expect(page.get_by_label("Colours")).to_have_value("dark")
    assert page.evaluate(ground) == dark
    page.get_by_label("Colours").select_option("Automatic")
    assert page.evaluate(ground) == light
    page.emulate_media(color_scheme="dark")
    assert page.evaluate(ground) == dark


def test_the_system_page_says_what_is_wrong_and_what_to_do(running: Stack, page: Page) -> None:
    sign_in(page, running)
    show(page, running, "/system")
    about_the_camera = page.locator("#problems li", has_text="Camera 1")  # a busy machine has another problem
    expect(page.locator("#status")).to_have_text(re.compile(r"^\d+ problems?$"))
    expect(about_the_camera).to_contain_text("Camera 1 has not connected since the server started.")
    expect(about_the_camera).to_contain_text("surveillx publish --camera 1")
    expect(page.locator("#database")).to_have_text("SQLite answers")
    expect(page.locator("#recognition")).to_have_text("Switched off in the settings")
    expect(page.locator("#cameras-table tbody tr")).to_contain_text(["Camera 1"])
    running.publisher.start()
    expect(about_the_camera).to_have_count(0, timeout=30_000)
    expect(page.locator("#cameras-table tbody tr")).to_contain_text("1280 × 720")
    running.publisher.end()
    expect(about_the_camera).to_have_count(1, timeout=30_000)
