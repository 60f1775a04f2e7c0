"""The Attendance page of a real server: who is there and who is not, why, by hand, and taking back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from server.attendance import AttendanceStore
from server.config import Settings
from server.database import open_database
from server.metrics import Metrics
from server.tables import FacePhoto, Person

from ..faces import astronaut, jpeg
from ..sightings import face, sighting
from ..wait import until_sync
from .stack import Stack

MARKUP = "<b>Zoë</b> & \u0645\u062d\u0645\u062f"
SINCE = datetime(2026, 3, 2, tzinfo=UTC)
FACTS = [
    "3 looks at this face agreed.",
    "Distance 0.31, where 0 is the same picture and 0.50 the limit.",
    "0.22 nearer than the next person.",
]
PEOPLE = [("Ada Sample", "7", "5a"), (MARKUP, "8", "5b"), ("Ben Last", "9", "5b")]


async def fill(data: Path) -> None:
    """Three people with photos; the first two were seen just now, at two doors."""
    settings = Settings(data=data)
    database = open_database(settings)
    picture = jpeg(astronaut()[:220, 140:300])
    await database.run(
        lambda session: session.add_all(Person(name=name, roll_no=no, class_name=its) for name, no, its in PEOPLE)
    )
    await database.run(
        lambda session: session.add_all(
            FacePhoto(student_id=n, embedding=face(n), thumbnail=picture, created_at=SINCE) for n in (1, 2, 3)
        )
    )
    store = AttendanceStore(database, settings, Metrics())
    await store.mark(sighting(1, camera_id="gate", crop=picture))
    await store.mark(sighting(2, camera_id="hall", crop=picture))
    await database.aclose()


@pytest.fixture
def school(tmp_path: Path) -> Iterator[Stack]:
    with ThreadPoolExecutor(1) as another:  # this thread has the browser driver's event loop
        another.submit(asyncio.run, fill(tmp_path / "data")).result()
    stack = Stack(tmp_path, SURVEILLX_RECOGNITION_EVERY="0")
    try:
        stack.server.start()
        stack.wait_ready(recognition=False)
        yield stack
    finally:
        stack.close()


def names(page: Page, table: str) -> list[str]:
    return page.locator(f"#{table} td.name").all_text_contents()


def shows(page: Page, present: list[str], absent: list[str]) -> None:
    until_sync(lambda: (names(page, "present"), names(page, "absent")) == (present, absent), 10, f"{present} {absent}")


def test_a_wrong_mark_is_explained_and_taken_back(school: Stack, page: Page) -> None:
    page.goto(f"{school.url}/attendance")
    shows(page, ["Ada Sample", MARKUP], ["Ben Last"])
    expect(page.locator("#summary")).to_have_text("2 present, 1 absent")
    page.get_by_role("button", name="Why is Ada Sample").click()
    dialog = page.get_by_role("dialog", name="Ada Sample")
    expect(dialog).to_contain_text("Seen by camera gate")
    expect(dialog.locator("li")).to_have_text(FACTS)
    widths = "images => images.map(image => image.naturalWidth)"
    until_sync(lambda: dialog.locator("img").evaluate_all(widths) == [160, 160], 10, "both faces are shown")
    dialog.get_by_role("button", name="Wrong person").click()
    expect(dialog).to_contain_text("from now on this face is not taken for Ada Sample")
    dialog.get_by_role("button", name="Keep it").click()
    dialog.get_by_role("button", name="Wrong person").click()
    dialog.get_by_role("button", name="Remove the mark").click()
    expect(dialog).to_be_hidden()
    expect(page.get_by_role("alert").first).to_contain_text("This face is not taken for Ada Sample again")
    shows(page, [MARKUP], ["Ada Sample", "Ben Last"])
    page.locator("#history summary").click()
    expect(page.locator("#history li")).to_contain_text("Wrong person")


def test_a_mark_by_hand_appears_on_every_page_and_can_be_removed(school: Stack, page: Page) -> None:
    live = page.context.new_page()
    live.goto(school.url)
    expect(live.locator("#attendance tbody tr")).to_have_count(2)
    page.goto(f"{school.url}/attendance")
    page.get_by_role("button", name="Mark present: Ben Last").click()
    shows(page, ["Ada Sample", MARKUP, "Ben Last"], [])
    expect(page.locator("#present tr").last).to_contain_text("by hand")
    expect(live.locator("#summary")).to_have_text("3 people present")
    page.get_by_role("button", name="Why is Ben Last").click()
    page.get_by_role("button", name="Remove this mark").click()
    page.get_by_role("button", name="Remove the mark").click()
    shows(page, ["Ada Sample", MARKUP], ["Ben Last"])
    expect(live.locator("#summary")).to_have_text("2 people present")
    answer = school.http.post("/api/attendance", json={"person_id": 3})  # as another program does it
    assert answer.status_code == 201
    shows(page, ["Ada Sample", MARKUP, "Ben Last"], [])


def test_filters_search_and_days(school: Stack, page: Page) -> None:
    page.goto(f"{school.url}/attendance")
    shows(page, ["Ada Sample", MARKUP], ["Ben Last"])
    expect(page.get_by_label("Session")).to_be_hidden()
    page.get_by_label("Class").select_option("5b")
    shows(page, [MARKUP], ["Ben Last"])
    assert "class_name=5b" in (page.get_by_role("link", name="Download CSV").get_attribute("href") or "")
    page.reload()
    shows(page, [MARKUP], ["Ben Last"])
    page.get_by_label("Class").select_option("")
    page.get_by_label("Camera").select_option("gate")
    shows(page, ["Ada Sample"], ["Ben Last"])
    page.get_by_label("Camera").select_option("")
    page.get_by_label("Search").fill("ZOE")
    shows(page, [MARKUP], [])
    page.get_by_label("Search").fill("")
    page.get_by_role("button", name="The day before").click()
    shows(page, [], [MARKUP, "Ada Sample", "Ben Last"])
    page.get_by_role("button", name="Today").click()
    shows(page, ["Ada Sample", MARKUP], ["Ben Last"])
    expect(page.get_by_role("button", name="The day after")).to_be_disabled()


def test_it_fits_a_phone_and_says_what_fails(school: Stack, page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{school.url}/attendance")
    shows(page, ["Ada Sample", MARKUP], ["Ben Last"])
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    page.get_by_role("button", name="Why is Ada Sample").click()
    expect(page.get_by_role("dialog")).to_contain_text("looks at this face")
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    page.keyboard.press("Escape")
    school.server.stop()
    page.get_by_role("button", name="The day before").click()
    expect(page.get_by_role("alert").first).to_have_text("The server cannot be reached")
    shows(page, [], [])
