"""A school's day in a real browser, with a real camera: enrolled, seen, marked, questioned, taken back, deleted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from server.sample import PERSON_NAME, PHOTO

from ..wait import until_sync
from .stack import Stack
from .viewing import LISTEN, wait_live

PHOTO_MS = 30_000
# How uneven the picture is inside a box: the mean difference of neighbouring pixels.
UNEVENNESS = """
([x, y, width, height]) => {
  const video = document.querySelector("surveillx-viewer").shadowRoot.querySelector("video.shown");
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(video, 0, 0);
  const { data } = context.getImageData(x, y, width, height);
  let sum = 0;
  for (let i = 4; i < data.length; i += 4) sum += Math.abs(data[i] - data[i - 4]);
  return sum / (data.length / 4);
}
"""


@pytest.fixture
def school(tmp_path: Path) -> Iterator[Stack]:
    """A server with its camera, and nobody enrolled."""
    stack = Stack(tmp_path)
    try:
        stack.start()
        yield stack
    finally:
        stack.close()


def listening(school: Stack, context: BrowserContext) -> Page:
    """A Live page that keeps what is detected."""
    live = context.new_page()
    live.goto(school.url)
    wait_live(live)
    live.evaluate(LISTEN)
    return live


def names(live: Page) -> list[str]:
    """The names of the newest result."""
    return sorted(live.evaluate("() => (window.detections?.faces ?? []).map((face) => face.name)"))


def more_results(school: Stack, count: int) -> None:
    recognised = school.camera()["frames"]["recognised"]
    until_sync(
        lambda: school.camera()["frames"]["recognised"] >= recognised + count, 60, f"{count} more recognised frames"
    )


def enrol(school: Stack, page: Page) -> None:
    page.goto(f"{school.url}/people")
    page.get_by_role("button", name="Add a person").click()
    adding = page.locator("#add")
    adding.get_by_label("Name").fill(PERSON_NAME)
    adding.locator("input[type=file]").set_input_files([PHOTO])
    adding.get_by_role("button", name="Add person").click()
    expect(page.get_by_role("button", name=f"Edit {PERSON_NAME}")).to_be_visible(timeout=PHOTO_MS)


def test_from_enrolment_to_deletion(school: Stack, page: Page, context: BrowserContext) -> None:
    live = listening(school, context)
    enrol(school, page)
    until_sync(lambda: PERSON_NAME in names(live), 30, "the name in the picture")
    expect(live.locator("#attendance")).to_contain_text(PERSON_NAME, timeout=10_000)
    more_results(school, 35)  # past the next look, which confirms the name
    (row,) = school.attendance()
    assert (row["name"], row["source"], row["camera_id"]) == (PERSON_NAME, "recognised", "1")

    page.goto(f"{school.url}/attendance")
    page.get_by_role("button", name=f"Why is {PERSON_NAME}").click()
    dialog = page.get_by_role("dialog", name=PERSON_NAME)
    expect(dialog).to_contain_text("looks at this face agreed")
    expect(dialog).to_contain_text("0.50 the limit")
    widths = "images => images.map(image => image.naturalWidth)"
    until_sync(lambda: dialog.locator("img").evaluate_all(widths) == [160, 160], 10, "the face and the photo")

    dialog.get_by_role("button", name="Wrong person").click()
    dialog.get_by_role("button", name="Remove the mark").click()
    expect(dialog).to_be_hidden()
    until_sync(lambda: names(live) == ["Unknown", "Unknown"], 10, "the face has lost the name")
    more_results(school, 35)
    assert school.attendance() == [], "the same face is not marked again"
    assert names(live) == ["Unknown", "Unknown"]
    expect(live.locator("#attendance tbody tr")).to_have_count(0)
    (line,) = [each for each in school.http.get("/api/audit").json() if each["action"] == "attendance_removed"]
    assert PERSON_NAME not in line["words"]

    page.goto(f"{school.url}/people")
    page.get_by_role("button", name=f"Edit {PERSON_NAME}").click()
    page.get_by_role("button", name="Delete person").click()
    page.get_by_role("button", name="Delete for good").click()
    expect(page.locator(".receipt")).to_be_visible()
    assert school.http.get("/api/people").json() == []
    assert school.attendance() == []
    files = (school.folder / "data").glob("surveillx.db*")
    assert not [file.name for file in files if PERSON_NAME.encode() in file.read_bytes()], "gone from the disk too"


def test_a_face_picked_from_the_live_picture_is_known_and_without_consent_pixelated(
    school: Stack, page: Page, context: BrowserContext
) -> None:
    live = listening(school, context)
    page.goto(f"{school.url}/people")
    page.get_by_role("button", name="From the live picture").click()
    picking = page.locator("#pick")
    # With the keyboard, as the picture does not hold still: the face on the left is the sample person's.
    faces = picking.locator(".picker button.face")
    expect(faces).to_have_count(2, timeout=20_000)
    faces.first.focus()
    page.keyboard.press("Enter")
    picking.get_by_label("Name", exact=True).fill("Picked")
    picking.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_role("button", name="Edit Picked")).to_be_visible(timeout=PHOTO_MS)
    until_sync(lambda: names(live) == ["Picked", "Unknown"], 30, "the picked face has its name")
    until_sync(lambda: [row["name"] for row in school.attendance()] == ["Picked"], 10, "and is marked")

    (person,) = school.http.get("/api/people").json()
    sharp = until_sync(lambda: unevenness(live, "Picked"), 10, "the face in the picture")
    assert school.http.patch(f"/api/people/{person['id']}", json={"consent": False}).status_code == 200
    until_sync(lambda: hidden_box(live) is not None, 10, "the face is hidden")
    assert names(live) == ["Unknown", "Unknown"]
    until_sync(lambda: smoothed(live, sharp), 10, "the face is pixelated in the picture")


def hidden_box(live: Page) -> list[float] | None:
    box: list[float] | None = live.evaluate("() => window.detections.faces.find((face) => face.hidden)?.box ?? null")
    return box


def smoothed(live: Page, before: float | None) -> bool:
    now = unevenness(live, None)
    return now is not None and before is not None and now < 0.5 * before


def unevenness(live: Page, name: str | None) -> float | None:
    """Of the middle of the named face, or of the hidden one."""
    find = "(name) => window.detections.faces.find((face) => name ? face.name === name : face.hidden)?.box ?? null"
    box = live.evaluate(find, name)
    if box is None:
        return None
    x, y, width, height = box
    return float(live.evaluate(UNEVENNESS, [x + width / 4, y + height / 4, width / 2, height / 2]))
