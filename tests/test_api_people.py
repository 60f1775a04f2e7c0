"""Enrolment over HTTP, with the real recogniser and real faces."""

from __future__ import annotations

from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from server.api import people
from server.recognition.photos import MAX_BYTES
from tests.api_app import Served, serving
from tests.faces import astronaut, jpeg, six_people

Parts = list[tuple[str, tuple[str, bytes, str]]]


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    """Without recognition: what is refused before a photo is looked at."""
    async with serving([people.router], tmp_path) as served:
        yield served


@pytest.fixture
async def recognising(served: Served) -> Served:
    await served.parts.recognition.start()
    return served


def photos(*files: bytes) -> Parts:
    return [("photo", (f"../{place}.php", file, "image/jpeg")) for place, file in enumerate(files)]


def is_problem(response: httpx.Response, status: int, reason: str | None = None) -> None:
    assert (response.status_code, response.json().get("reason")) == (status, reason)
    assert response.headers["content-type"] == "application/problem+json"


async def test_from_photo_to_gallery_and_away_again(recognising: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    client = recognising.client
    turned = BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6  # as a phone held upright stores it: lying on its side
    Image.fromarray(np.rot90(astronaut())).save(turned, "JPEG", exif=exif, quality=92)

    response = await client.post(
        "/api/people", data={"name": "<b>Zoë</b>", "roll_no": "17"}, files=photos(jpeg(astronaut()), turned.getvalue())
    )
    assert response.status_code == 201
    person = response.json()
    assert (person["name"], person["roll_no"], person["photos"]) == ("<b>Zoë</b>", "17", 2)
    assert response.headers["location"] == f"/api/people/{person['id']}"
    assert (await client.get("/api/people")).json() == [person]
    assert len(recognising.parts.recognition._gallery) == 1, "known at once"

    thumbnail = await client.get(f"/api/people/{person['id']}/photo")
    assert thumbnail.headers["content-type"] == "image/jpeg"
    assert thumbnail.headers["cache-control"] == "no-store"
    assert max(Image.open(BytesIO(thumbnail.content)).size) <= 200

    again = await client.post("/api/people", data={"name": "Ann", "roll_no": "17"}, files=photos(jpeg(astronaut())))
    is_problem(again, 409, "roll_no_taken")

    assert (await client.delete(f"/api/people/{person['id']}")).status_code == 204
    assert (await client.get("/api/people")).json() == []
    assert len(recognising.parts.recognition._gallery) == 0
    is_problem(await client.delete(f"/api/people/{person['id']}"), 404)
    is_problem(await client.get(f"/api/people/{person['id']}/photo"), 404)


async def test_one_photo_that_cannot_serve_and_nothing_is_stored(recognising: Served) -> None:
    good = jpeg(astronaut())
    for bad, reason in [
        (jpeg(six_people()), "several_faces"),
        (jpeg(np.full((400, 400, 3), 90, np.uint8)), "no_face"),
        (b"GIF89a", "not_an_image"),
        (b"", "not_an_image"),
    ]:
        response = await recognising.client.post("/api/people", data={"name": "Ann"}, files=photos(good, bad))
        is_problem(response, 422, reason)
        assert response.json()["detail"].startswith("Photo 2: ")
        assert ".php" not in response.text
    assert (await recognising.client.get("/api/people")).json() == []


@pytest.mark.parametrize("name", ["", " ", "x" * 101, "a\x00b"])
async def test_a_name_is_needed_before_photos_are_looked_at(served: Served, name: str) -> None:
    response = await served.client.post("/api/people", data={"name": name}, files=photos(jpeg(astronaut())))
    is_problem(response, 422, "name")


async def test_forms_that_are_none(served: Served) -> None:
    post = served.client.post
    is_problem(await post("/api/people", json={"name": "Ann"}), 415)
    is_problem(await post("/api/people", data={"name": "Ann"}, files={"other": b"x"}), 422, "no_photo")
    is_problem(await post("/api/people", data={"name": "Ann"}, files=photos(*[b"x"] * 11)), 400)
    broken = {"Content-Type": "multipart/form-data; boundary=x"}
    is_problem(await post("/api/people", content=b"--x\r\nbroken", headers=broken), 422, "name")
    is_problem(await post("/api/people", content=b"", headers={"Content-Type": "multipart/form-data"}), 400)
    large = await post("/api/people", data={"name": "Ann"}, files=photos(b"x" * (MAX_BYTES + 1)))
    is_problem(large, 413)
    assert large.json()["detail"].startswith("Photo 1 is larger than 20 MB")


async def test_without_recognition_nothing_can_be_examined(served: Served) -> None:
    is_problem(await served.client.post("/api/people", data={"name": "Ann"}, files=photos(b"x")), 503)


@pytest.mark.parametrize("person_id", ["0", "-1", "x", "99999999999999999999999"])
async def test_ids_that_are_none(served: Served, person_id: str) -> None:
    is_problem(await served.client.delete(f"/api/people/{person_id}"), 422, "invalid")


async def test_people_need_view_access_before_the_body_is_read(tmp_path: Path) -> None:
    async with serving([people.router], tmp_path, view_token="v") as served:
        for method, path in [("GET", ""), ("POST", ""), ("DELETE", "/1"), ("GET", "/1/photo")]:
            is_problem(await served.client.request(method, f"/api/people{path}"), 401)
