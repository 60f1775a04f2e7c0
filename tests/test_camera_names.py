"""Names of cameras: in a real database, over HTTP, on the slate and in the events, before and after a camera comes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from server.api import status
from server.app import create_app
from server.camera_names import MAX_NAMES, CameraNames
from server.config import Settings
from server.database import Database
from server.errors import Conflict
from server.events import CameraChanged
from server.tables import CameraName
from tests.api_app import Served, serving

NAME = "Bücherei, 2. Stock"


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with serving([status.router], tmp_path, cameras=("1",)) as served:
        yield served


async def put(served: Served, camera_id: str, body: Any) -> httpx.Response:
    return await served.client.put(f"/api/cameras/{camera_id}", json=body)


async def test_a_camera_is_renamed_and_everyone_is_told(served: Served) -> None:
    with served.parts.events.subscribe(CameraChanged) as told:
        response = await put(served, "1", {"name": f"  {NAME} "})
        assert (response.status_code, response.json()) == (200, {"id": "1", "name": NAME})
        event = await told.next()
    assert isinstance(event, CameraChanged)
    assert (event.camera_id, event.name, event.state) == ("1", NAME, "offline")
    (camera,) = (await served.client.get("/api/cameras")).json()
    assert (camera["id"], camera["name"]) == ("1", NAME)


async def test_the_deed_is_audited_once_and_without_the_name(served: Served) -> None:
    for _ in range(2):
        await put(served, "1", {"name": NAME})
    (line,) = await served.parts.audit.recent(9)
    assert (line.action, line.words) == ("camera_named", "Camera 1 was given another name")


async def test_a_camera_has_its_name_from_its_first_picture_on(served: Served) -> None:
    assert (await put(served, "door-2", {"name": "Door"})).status_code == 200
    assert [camera["id"] for camera in (await served.client.get("/api/cameras")).json()] == ["1"]
    assert served.parts.cameras.open("door-2").status()["name"] == "Door"


@pytest.mark.parametrize(
    ("camera_id", "body", "status_code", "reason"),
    [
        ("1", {"name": "  "}, 422, "name"),
        ("1", {"name": "x" * 81}, 422, "name"),
        ("1", {"name": "a\u202eb"}, 422, "name"),
        ("1", {"name": 5}, 422, "invalid"),
        ("1", {"name": "Door", "id": "2"}, 422, "invalid"),
        ("1", {}, 422, "invalid"),
        ("no%20spaces", {"name": "Door"}, 400, "camera_id"),
    ],
)
async def test_what_is_no_name_is_refused_in_words(
    served: Served, camera_id: str, body: dict[str, Any], status_code: int, reason: str
) -> None:
    response = await put(served, camera_id, body)
    assert (response.status_code, response.json()["reason"]) == (status_code, reason)
    assert await served.parts.camera_names.all() == {}


async def test_strangers_name_nothing(tmp_path: Path) -> None:
    async with serving([status.router], tmp_path, view_token="v") as served:
        assert (await put(served, "1", {"name": "Door"})).status_code == 401


async def test_names_outlive_the_server(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path, cameras=("1",), recognition_every=0)
    for expected in ("", NAME):
        app = create_app(settings)
        async with app.router.lifespan_context(app):
            parts = app.state.parts
            assert parts.cameras.find("1").name == expected
            await parts.camera_names.store("1", NAME)


async def test_names_are_bounded(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'surveillx.db'}")
    try:
        names = CameraNames(database)
        many = [CameraName(camera_id=f"c{number}", name="x") for number in range(MAX_NAMES)]
        await database.run(lambda session: session.add_all(many))
        with pytest.raises(Conflict):
            await names.store("one-more", "Door")
        assert await names.store("c0", "Door") == "Door"
        assert len(await names.all()) == MAX_NAMES
    finally:
        await database.aclose()
