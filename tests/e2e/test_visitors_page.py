"""Visitors and "Will it work?" in a real browser, against a real server process."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from server.config import Settings
from server.database import open_database
from server.recognition.people import PeopleStore
from server.recognition.photos import ExaminedPhoto
from server.visitors import VisitorStore

from ..faces import jpeg, portraits
from ..test_visitors import face, sighting
from ..wait import until_sync
from .stack import Stack

MARKUP = '<img src=x onerror="document.title=1">'


async def fill(data: Path) -> None:
    """Three people, one with one photo, two alike; three visitors, one of whom resembles a person."""
    database = open_database(Settings(data=data))
    pictures = [jpeg(picture) for picture in portraits()]
    people = PeopleStore(database)
    for person, name, distances in ((1, "Ada Sample", (0.0, 0.3)), (2, MARKUP, (0.0,)), (3, "Zoë 学生", (0.0, 0.2))):
        photos = [ExaminedPhoto(face(person, distance), pictures[person]) for distance in distances]
        await people.add(name, str(person), photos)
    twin = ExaminedPhoto(face(1, -0.48), pictures[4])
    await people.add("Ida Sample", None, [twin])
    visitors = VisitorStore(database, Settings())
    now = datetime.now(UTC)
    for track, (person, apart, hours) in enumerate([(5, 0, 50), (5, 0.1, 26), (5, 0.2, 0.1), (3, 0.45, 1), (6, 0, 2)]):
        seen = sighting(face(person, apart), track, quality=0.9 - track / 10, crop=pictures[person])
        await visitors.take(seen, now - timedelta(hours=hours))
    database.close()


@pytest.fixture
def school(tmp_path: Path) -> Iterator[Stack]:
    stack = Stack(tmp_path, SURVEILLX_RECOGNITION_EVERY="0")
    with ThreadPoolExecutor(1) as beside:  # the browser's driver has this thread's event loop
        beside.submit(lambda: asyncio.run(fill(tmp_path / "data"))).result()
    try:
        stack.server.start()
        stack.wait_ready(recognition=False)
        yield stack
    finally:
        stack.close()


def test_visitors_are_enrolled_added_ignored_and_deleted(school: Stack, page: Page) -> None:
    page.on("dialog", lambda dialog: dialog.accept())
    page.goto(f"{school.url}/visitors")
    cards = page.locator(".visitor")
    expect(cards).to_have_count(3)
    expect(cards.nth(0)).to_contain_text(re.compile(r"Seen 3 times, first \S+ [\d:]+, last \S+ [\d:]+ at camera 1"))

    frequent = cards.nth(0)
    frequent.get_by_role("button", name="Enrol").click()
    expect(frequent.get_by_label("Name")).to_be_focused()
    page.keyboard.type(MARKUP.replace("1", "2"))
    frequent.get_by_label("Class").fill("5b")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").filter(has_text="was added")).to_be_visible()
    expect(cards).to_have_count(2)
    added = school.http.get("/api/people").json()
    assert ("5b", 3) in [(person["class_name"], person["photos"]) for person in added]

    alike = cards.filter(has_text="May be Zoë 学生?")
    alike.get_by_role("button", name="Enrol").click()
    alike.get_by_label("Name").fill("Somebody else")
    alike.get_by_role("button", name="Save").click()
    expect(alike.get_by_role("button", name="Enrol anyway")).to_be_visible()
    alike.get_by_role("button", name="Cancel").click()
    alike.get_by_role("button", name="Yes, add as a photo of Zoë 学生").click()
    expect(cards).to_have_count(1)

    cards.get_by_role("button", name="Ignore").click()
    expect(page.get_by_text("No unknown visitors")).to_be_visible()
    page.get_by_label("Show ignored visitors").check()
    cards.get_by_role("button", name="Bring back").click()
    page.get_by_label("Show ignored visitors").uncheck()
    cards.get_by_role("button", name="Delete").click()
    expect(page.get_by_text("No unknown visitors")).to_be_visible()
    assert school.http.get("/api/visitors?ignored=1").json() == []
    assert page.title() == "Unknown visitors · SurveillX"


def test_a_visitor_who_is_gone_is_told_and_a_new_one_appears_by_itself(school: Stack, page: Page) -> None:
    page.on("dialog", lambda dialog: dialog.accept())
    page.goto(f"{school.url}/visitors")
    expect(page.locator(".visitor")).to_have_count(3)
    for visitor in school.http.get("/api/visitors").json()[:2]:
        school.http.delete(f"/api/visitors/{visitor['id']}")
    page.locator(".visitor").nth(0).get_by_role("button", name="Ignore").click()
    expect(page.get_by_role("status").filter(has_text="This visitor is gone")).to_be_visible()
    expect(page.locator(".visitor")).to_have_count(1)


def test_will_it_work_says_who_what_and_which_threshold(school: Stack, page: Page) -> None:
    page.goto(f"{school.url}/calibration")
    expect(page.locator("#verdict")).to_have_text("Ready: 2 of 4 people.")
    risks = page.locator("#at-risk")
    expect(risks).to_contain_text(MARKUP)
    expect(risks).to_contain_text("Only one photo, so it cannot be checked.")
    expect(page.locator("#alike")).to_contain_text("Ada Sample and Ida Sample")
    plot = page.locator("#plot")
    until_sync(lambda: plot.evaluate("image => image.complete && image.naturalWidth > 0"), what="the plot is drawn")
    page.get_by_role("slider", name="Threshold").fill("0.4")
    expect(page.locator("#setting")).to_have_text("SURVEILLX_RECOGNITION_DISTANCE=0.40")
    expect(page.locator("#consequence")).to_contain_text("False marks: ")
    page.get_by_label("Strangers in the picture a day").fill("500")
    expect(page.locator("#words")).to_contain_text("with 500 strangers a day")
    assert page.title() == "Will it work? · SurveillX"


@pytest.mark.parametrize("path", ["/visitors", "/calibration"])
def test_on_a_phone_nothing_is_wider_than_the_screen(school: Stack, page: Page, path: str) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(school.url + path)
    expect(page.locator(".visitor, #report .rows li").first).to_be_visible()
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
