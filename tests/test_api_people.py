"""Enrolment over HTTP, with the real recogniser and real faces."""

from __future__ import annotations

from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from server.api import from_camera, imports, looks, people
from server.api import photos as photo_routes
from server.recognition.photos import MAX_BYTES
from tests.api_app import Served, serving
from tests.faces import astronaut, jpeg, six_people

Parts = list[tuple[str, tuple[str, bytes, str]]]

ROUTERS = (people.router, photo_routes.router, imports.router, from_camera.router)


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    """Without recognition: what is refused before a photo is looked at."""
    async with serving(ROUTERS, tmp_path) as served:
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


def known_faces(served: Served) -> int:
    """How many faces recognition was told of."""
    return len(served.parts.recognition._known.faces)


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
    assert (person["class_name"], person["consent"]) == (None, True)
    assert response.headers["location"] == f"/api/people/{person['id']}"
    assert (await client.get("/api/people")).json() == [person]
    assert known_faces(recognising) == 2, "known at once"

    thumbnail = await client.get(f"/api/people/{person['id']}/photo")
    assert thumbnail.headers["content-type"] == "image/jpeg"
    assert thumbnail.headers["cache-control"] == "no-store"
    assert max(Image.open(BytesIO(thumbnail.content)).size) <= 200

    taken = {"name": "Ann", "roll_no": "17", "confirm": "1"}
    is_problem(await client.post("/api/people", data=taken, files=photos(jpeg(astronaut()))), 409, "roll_no_taken")

    assert (await client.delete(f"/api/people/{person['id']}")).status_code == 204
    assert (await client.get("/api/people")).json() == []
    assert known_faces(recognising) == 0
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
        assert response.json()["photo"] == 2
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
    assert large.json()["detail"].startswith("This file is larger than 20 MB")
    is_problem(await post("/api/people", data={"name": "Ann", "consent": "maybe"}, files=photos(b"x")), 422, "consent")


async def test_without_recognition_nothing_can_be_examined(served: Served) -> None:
    is_problem(await served.client.post("/api/people", data={"name": "Ann"}, files=photos(b"x")), 503)


@pytest.mark.parametrize("person_id", ["0", "-1", "x", "99999999999999999999999"])
async def test_ids_that_are_none(served: Served, person_id: str) -> None:
    is_problem(await served.client.delete(f"/api/people/{person_id}"), 422, "invalid")


async def test_people_need_view_access_before_the_body_is_read(tmp_path: Path) -> None:
    async with serving(ROUTERS, tmp_path, view_token="v") as served:
        for method, path in [
            ("GET", ""),
            ("POST", ""),
            ("PATCH", "/1"),
            ("DELETE", "/1"),
            ("GET", "/1/photo"),
            ("GET", "/1/photos"),
            ("POST", "/1/photos"),
            ("GET", "/1/photos/1"),
            ("DELETE", "/1/photos/1"),
            ("POST", "/import/plan"),
        ]:
            is_problem(await served.client.request(method, f"/api/people{path}"), 401)


def another_photo() -> bytes:
    """The same person, lit and framed in another way."""
    return jpeg((astronaut()[:400, 40:440] * 0.8).astype(np.uint8), quality=80)


def of_six(left: int, right: int) -> bytes:
    """One of the six people, large enough."""
    return jpeg(
        np.asarray(Image.fromarray(six_people()[:, left:right]).resize((2 * (right - left), 2 * len(six_people()))))
    )


async def test_a_face_that_is_enrolled_is_asked_about(recognising: Served) -> None:
    client = recognising.client
    ann = (await client.post("/api/people", data={"name": "Ann"}, files=photos(jpeg(astronaut())))).json()
    refused = await client.post("/api/people", data={"name": "Eve"}, files=photos(another_photo()))
    is_problem(refused, 409, "resembles")
    [resembled] = refused.json()["resembles"]
    assert (resembled["id"], resembled["name"]) == (ann["id"], "Ann")
    assert 0 < resembled["distance"] <= 0.5
    assert "resembles Ann" in refused.json()["detail"]
    assert len((await client.get("/api/people")).json()) == 1

    confirmed = {"name": "Eve", "confirm": "1"}
    assert (await client.post("/api/people", data=confirmed, files=photos(another_photo()))).status_code == 201


async def test_photos_of_one_person(recognising: Served) -> None:
    client = recognising.client
    ann = (await client.post("/api/people", data={"name": "Ann"}, files=photos(jpeg(astronaut())))).json()
    path = f"/api/people/{ann['id']}/photos"
    again = await client.post(path, files=photos(jpeg(astronaut())))
    assert (again.status_code, again.json()["added"], again.json()["photos"]) == (200, 0, 1)
    added = await client.post(path, files=photos(another_photo()))
    assert (added.status_code, added.json()["added"], added.json()["photos"]) == (201, 1, 2)

    stranger = of_six(80, 260)
    refused = await client.post(path, files=photos(stranger))
    is_problem(refused, 422, "different_people")
    assert refused.json()["photos"] == [1]
    assert (await client.post(path, data={"confirm": "1"}, files=photos(stranger))).status_code == 201

    first, *_, last = (await client.get(path)).json()
    picture = await client.get(f"{path}/{first['id']}")
    assert (picture.headers["content-type"], picture.headers["cache-control"]) == ("image/jpeg", "no-store")
    assert (await client.delete(f"{path}/{last['id']}")).status_code == 204
    assert (await client.delete(f"{path}/{last['id']}")).status_code == 404
    assert len((await client.get(path)).json()) == 2
    is_problem(await client.post("/api/people/99/photos", files=photos(stranger)), 404)


async def test_changing_and_deleting_with_a_receipt(recognising: Served) -> None:
    client = recognising.client
    form = {"name": "Ann", "class_name": "8A", "consent": "no"}
    ann = (await client.post("/api/people", data=form, files=photos(jpeg(astronaut())))).json()
    assert (ann["class_name"], ann["consent"]) == ("8A", False)
    path = f"/api/people/{ann['id']}"
    changed = (await client.patch(path, json={"name": "Anna", "roll_no": "3", "consent": True})).json()
    assert changed == {**ann, "name": "Anna", "roll_no": "3", "consent": True}
    [face] = (await recognising.parts.people.known()).faces
    assert (face.name, face.is_hidden) == ("Anna", False)
    is_problem(await client.patch(path, json={"nickname": "A"}), 422, "invalid")
    is_problem(await client.patch(path, json={"name": ""}), 422, "name")
    is_problem(await client.patch("/api/people/99", json={"name": "A"}), 404)

    [photo] = (await client.get(f"{path}/photos")).json()
    is_problem(await client.delete(f"{path}/photos/{photo['id']}"), 409, "last_photo")
    receipt = await client.delete(path, params={"receipt": "1"})
    assert receipt.status_code == 200
    told = receipt.json()
    assert told.pop("deleted_at")
    assert told == {
        "person_id": ann["id"],
        "name": "Anna",
        "roll_no": "3",
        "class_name": "8A",
        "photos": 1,
        "embeddings": 1,
        "evidence": 0,
        "not_them": 0,
        "visitors": 0,
        "attendance": {"anonymised": 0},
        "record": "deleted",
    }


async def test_the_plan_of_an_import(recognising: Served) -> None:
    client = recognising.client
    form = {"name": "Ann", "roll_no": "1"}
    ann = (await client.post("/api/people", data=form, files=photos(jpeg(astronaut())))).json()
    planned = await client.post(
        "/api/people/import/plan", json={"files": ["8A/1_Ann/a.jpg", "8A/2_Ben/b.jpg", "x.txt"]}
    )
    assert planned.json() == {
        "people": [
            {"name": "Ann", "roll_no": "1", "class_name": "8A", "person_id": ann["id"], "files": ["8A/1_Ann/a.jpg"]},
            {"name": "Ben", "roll_no": "2", "class_name": "8A", "person_id": None, "files": ["8A/2_Ben/b.jpg"]},
        ],
        "faults": [{"file": "x.txt", "detail": "This is not a photo."}],
    }
    by_csv = {"files": ["a.jpg"], "csv": "Name;Photo\nAnn;a.jpg"}
    assert (await client.post("/api/people/import/plan", json=by_csv)).json()["people"][0]["files"] == ["a.jpg"]
    is_problem(await client.post("/api/people/import/plan", json={"files": [], "csv": "x"}), 422, "csv")
    is_problem(await client.post("/api/people/import/plan", json={"files": ["x" * 1001]}), 422, "invalid")


async def test_a_look_at_a_face_waits_for_its_name(recognising: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    client, parts = recognising.client, recognising.parts
    path = "/api/people/from-camera"
    look = parts.looks.keep(await parts.recognition.examine(jpeg(astronaut())))
    is_problem(await client.post(path, json={"look": "x", "name": "Ann"}), 404)
    is_problem(await client.post(path, json={"name": "Ann"}), 422, "no_photo")
    is_problem(await client.post(path, json={"look": look, "name": ""}), 422, "name")
    ann = (await client.post(path, json={"look": look, "name": "Ann", "class_name": "8A"})).json()
    assert (ann["name"], ann["class_name"], ann["photos"]) == ("Ann", "8A", 1)
    is_problem(await client.post(path, json={"look": look, "name": "Ann"}), 404)

    another = parts.looks.keep(await parts.recognition.examine(another_photo()))
    is_problem(await client.post(path, json={"look": another, "name": "Eve"}), 409, "resembles")
    assert (await client.post(path, json={"look": another, "person_id": ann["id"]})).json()["photos"] == 2

    third = parts.looks.keep(await parts.recognition.examine(another_photo()))
    monkeypatch.setattr(looks, "KEPT_S", 0.0)
    for _ in range(looks.MAX_LOOKS):
        parts.looks.keep(parts.looks.get(third))
    is_problem(await client.post(path, json={"look": third, "name": "Eve"}), 404)
