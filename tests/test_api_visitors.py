"""Unknown visitors over HTTP: seen, enrolled with one request, ignored, deleted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from server.api import people, visitors
from server.recognition.photos import ExaminedPhoto
from tests.api_app import Served, serving
from tests.faces import astronaut, jpeg
from tests.test_visitors import face, sighting

MORNING = datetime(2026, 3, 2, 7, 3, tzinfo=UTC)
PICTURE = jpeg(astronaut()[:160, 160:320])


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with serving([visitors.router, people.router], tmp_path, timezone="Europe/Berlin") as served:
        yield served


async def seen(served: Served, person: int, *apart: float) -> dict[str, Any]:
    """A made-up person walks by, once for each distance from the first look; the visitor as the API tells."""
    for hours, distance in enumerate(apart or (0.0,)):
        looked = sighting(face(person, distance), 10 * person + hours, quality=0.9 - 0.1 * hours, crop=PICTURE)
        await served.parts.visitors.take(looked, MORNING + timedelta(hours=hours))
    newest: dict[str, Any] = (await served.client.get("/api/visitors")).json()[0]
    return newest


def is_problem(response: httpx.Response, status: int, reason: str | None = None) -> None:
    assert (response.status_code, response.json().get("reason")) == (status, reason)
    assert response.headers["content-type"] == "application/problem+json"


async def test_a_visitor_as_json_and_as_a_picture(served: Served) -> None:
    visitor = await seen(served, 1, 0.0, 0.1, 0.2)
    assert visitor == {
        "id": visitor["id"],
        "first_seen": "2026-03-02T08:03:00+01:00",
        "last_seen": "2026-03-02T10:03:00+01:00",
        "appearances": 3,
        "camera_id": "1",
        "faces": 3,
        "resembles": None,
    }
    photo = await served.client.get(f"/api/visitors/{visitor['id']}/photo")
    assert (photo.content, photo.headers["content-type"]) == (PICTURE, "image/jpeg")
    assert photo.headers["cache-control"] == "no-store"


async def test_enrolled_as_a_new_person_with_all_good_faces(served: Served) -> None:
    visitor = await seen(served, 1, 0.0, 0.1)
    body = {"name": "<b>Zoë</b>", "roll_no": "17", "class_name": "5b"}
    response = await served.client.post(f"/api/visitors/{visitor['id']}/enrol", json=body)
    assert response.status_code == 201
    person = response.json()
    assert (person["name"], person["roll_no"], person["class_name"], person["photos"]) == ("<b>Zoë</b>", "17", "5b", 2)
    assert response.headers["location"] == f"/api/people/{person['id']}"
    assert len({known.person_id for known in served.parts.recognition._known.faces}) == 1, "known at once"
    assert (await served.client.get(f"/api/people/{person['id']}/photo")).content == PICTURE
    assert (await served.client.get("/api/visitors")).json() == []
    actions = [line.action for line in await served.parts.audit.recent(9)]
    assert actions == ["visitor_enrolled", "person_added"]


async def test_resembles_someone_and_becomes_a_further_photo(served: Served) -> None:
    ada = await served.parts.people.add("Ada", None, [ExaminedPhoto(face(1), PICTURE)])
    visitor = await seen(served, 1, 0.4)
    assert visitor["resembles"] == {"id": ada.id, "name": "Ada", "distance": 0.4}
    path = f"/api/visitors/{visitor['id']}/enrol"
    is_problem(await served.client.post(path, json={"name": "Eve"}), 409, "resembles")
    assert len((await served.client.get("/api/visitors")).json()) == 1, "still there to decide about"
    response = await served.client.post(path, json={"person_id": ada.id})
    assert (response.status_code, response.json()["photos"]) == (201, 2)
    assert (await served.client.get("/api/visitors")).json() == []


async def test_enrolled_all_the_same_when_confirmed(served: Served) -> None:
    await served.parts.people.add("Ada", None, [ExaminedPhoto(face(1), PICTURE)])
    visitor = await seen(served, 1, 0.4)
    body = {"name": "Ada's twin", "confirm": True}
    assert (await served.client.post(f"/api/visitors/{visitor['id']}/enrol", json=body)).status_code == 201


async def test_enrolments_that_are_refused_leave_the_visitor(served: Served) -> None:
    visitor = await seen(served, 1)
    path = f"/api/visitors/{visitor['id']}/enrol"
    post = served.client.post
    is_problem(await post(path, json={}), 422, "name")
    is_problem(await post(path, json={"name": "Ada", "person_id": 1}), 422, "name")
    is_problem(await post(path, json={"name": " "}), 422, "name")
    is_problem(await post(path, json={"person_id": 7}), 404)
    is_problem(await post(path, json={"name": "Ada", "photo": "x"}), 422, "invalid")
    is_problem(await post("/api/visitors/999/enrol", json={"name": "Ada"}), 404)
    assert [each["id"] for each in (await served.client.get("/api/visitors")).json()] == [visitor["id"]]
    assert (await served.client.get("/api/people")).json() == []


async def test_ignored_and_brought_back(served: Served) -> None:
    visitor = await seen(served, 1)
    path = f"/api/visitors/{visitor['id']}/ignore"
    assert (await served.client.post(path)).status_code == 204
    assert (await served.client.get("/api/visitors")).json() == []
    ignored = (await served.client.get("/api/visitors?ignored=1")).json()
    assert [each["id"] for each in ignored] == [visitor["id"]]
    assert (await served.client.delete(path)).status_code == 204
    assert len((await served.client.get("/api/visitors")).json()) == 1


async def test_deleted(served: Served) -> None:
    path = f"/api/visitors/{(await seen(served, 1))['id']}"
    assert (await served.client.delete(path)).status_code == 204
    for response in (
        await served.client.delete(path),
        await served.client.get(f"{path}/photo"),
        await served.client.post(f"{path}/ignore"),
    ):
        is_problem(response, 404)


async def test_view_access_is_needed(tmp_path: Path) -> None:
    async with serving([visitors.router], tmp_path, view_token="v") as served:
        for method, path in [
            ("GET", ""),
            ("GET", "/1/photo"),
            ("POST", "/1/enrol"),
            ("POST", "/1/ignore"),
            ("DELETE", "/1"),
        ]:
            is_problem(await served.client.request(method, f"/api/visitors{path}"), 401)
