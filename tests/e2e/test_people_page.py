"""The People page of a real server with real recognition: adding, asking, refusing, changing, importing, deleting."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from ..faces import astronaut, one_of_six, saved, six_people
from .stack import Stack

NAME = "Zoë <b>Ångström</b> محمد"
PHOTO_MS = 30_000


@pytest.fixture(scope="module")
def school(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    stack = Stack(tmp_path_factory.mktemp("people"))
    try:
        stack.server.start()
        stack.wait_ready(recognition=True)
        yield stack
    finally:
        stack.close()


def test_a_persons_life_on_the_page(school: Stack, page: Page, tmp_path: Path) -> None:
    ada, group = saved(tmp_path / "ada.jpg", astronaut()), saved(tmp_path / "group.jpg", six_people())
    page.goto(f"{school.url}/people")
    expect(page.locator("#nobody")).to_be_visible()

    page.get_by_role("button", name="Add a person").click()
    adding = page.locator("#add")
    adding.get_by_label("Name").fill(NAME)
    adding.get_by_label("Class").fill("8A")
    adding.locator("input[type=file]").set_input_files([ada, group])
    adding.get_by_role("button", name="Add person").click()
    refused = adding.locator("[data-state=refused]")
    expect(refused).to_contain_text("6 faces", timeout=PHOTO_MS)
    expect(adding.locator("[data-state=done]")).to_have_count(1)
    refused.get_by_role("button", name="Leave out").click()
    expect(adding).not_to_be_visible()
    card = page.get_by_role("button", name=f"Edit {NAME}")
    expect(card).to_contain_text("Class 8A · 1 photo")

    page.get_by_role("button", name="Add a person").click()
    adding.get_by_label("Name").fill("Eve")
    adding.locator("input[type=file]").set_input_files([ada])
    adding.get_by_role("button", name="Add person").click()
    expect(adding.locator("[data-state=refused]")).to_contain_text(f"resembles {NAME}", timeout=PHOTO_MS)
    expect(adding.get_by_role("img", name=NAME)).to_be_visible()
    adding.get_by_role("button", name="Add anyway").click()
    expect(adding).not_to_be_visible(timeout=PHOTO_MS)
    expect(page.locator("#count")).to_have_text("2 enrolled")

    page.get_by_label("Search").fill("eve")
    expect(page.locator("#count")).to_have_text("1 of 2")
    expect(card).not_to_be_visible()
    page.get_by_label("Search").fill("")

    card.click()
    editing = page.locator("#edit")
    editing.get_by_label("Name").fill("Zoë")
    editing.get_by_label("Consent given").uncheck()
    editing.get_by_role("button", name="Save").click()
    expect(page.get_by_role("button", name="Edit Zoë")).to_contain_text("No consent")
    assert [each["consent"] for each in school.http.get("/api/people").json()] == [True, False]

    page.get_by_role("button", name="Edit Zoë").click()
    editing.get_by_role("button", name="Delete person").click()
    page.get_by_role("button", name="Delete for good").click()
    expect(page.locator(".receipt")).to_contain_text("Pictures of the face1")
    page.get_by_role("button", name="Done").click()
    expect(page.locator("#count")).to_have_text("1 enrolled")


def test_a_class_from_a_folder_twice(school: Stack, page: Page, tmp_path: Path) -> None:
    saved(tmp_path / "school" / "8B" / "30_Fatima" / "a.jpg", one_of_six(0))
    saved(tmp_path / "school" / "8B" / "31_Gus" / "a.jpg", one_of_six(1))
    (tmp_path / "school" / "8B" / "31_Gus" / "b.jpg").write_text("no photo")
    saved(tmp_path / "school" / "IMG_0001.jpg", one_of_six(2))
    page.goto(f"{school.url}/people")
    importing = page.locator("#import")
    for words in ("2 people added, 0 further photos, 0 stored", "0 people added, 0 further photos, 2 stored"):
        page.get_by_role("button", name="Import a class").click()
        importing.locator(".folder").set_input_files(tmp_path / "school")
        expect(importing.locator(".note")).to_contain_text("2 people with 3 photos; 1 cannot be used")
        importing.get_by_role("button", name="Import", exact=True).click()
        expect(importing.locator(".note")).to_contain_text(f"{words} already, 2 refused", timeout=PHOTO_MS)
        expect(importing.locator("li[data-outcome=refused]")).to_have_count(2)
        with page.expect_download() as download:
            importing.get_by_role("link", name="Download the report").click()
        report = Path(download.value.path()).read_text(encoding="utf-8-sig")
        assert re.search(r'"IMG_0001.jpg","","refused","The file\'s name does not say who this is', report)
        importing.get_by_role("button", name="Close").click()
    page.get_by_label("Class", exact=True).select_option("8B")
    expect(page.locator(".person:visible")).to_have_count(2)


def test_on_a_phone_nothing_is_cut_off_and_keys_are_enough(school: Stack, page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{school.url}/people")
    page.locator(".person").first.wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.get_by_role("button", name="Add a person").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#add").get_by_label("Name")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("#add")).not_to_be_visible()
