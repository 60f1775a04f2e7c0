"""Calibration over HTTP: the figures follow the query, and the people as they are now."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from server.api import calibration
from server.recognition.photos import ExaminedPhoto
from tests.api_app import Served, serving
from tests.faces import astronaut, jpeg
from tests.test_calibration import people


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with serving([calibration.router], tmp_path) as served:
        yield served


async def enrol(served: Served, count: int) -> None:
    faces = people(count, 2)
    thumbnail = jpeg(astronaut()[:160, 160:320])
    for one, other in zip(faces[::2], faces[1::2], strict=True):
        photos = [ExaminedPhoto(face.embedding, thumbnail) for face in (one, other)]
        await served.parts.people.add(one.name, None, photos)


async def test_figures_follow_the_query(served: Served) -> None:
    await enrol(served, 4)
    found = (await served.client.get("/api/calibration")).json()
    assert found["words"][0] == "Ready: 4 of 4 people."
    assert found["assumptions"] == {"threshold": 0.5, "margin": 0.04, "strangers": 20, "risk": 0.01}
    assert [person["name"] for person in found["people"]] == [f"Person {each}" for each in (1, 2, 3, 4)]
    asked = {"threshold": 0.4, "strangers": 200, "risk": 1}
    other = (await served.client.get("/api/calibration", params=asked)).json()
    assert other["assumptions"] == {"threshold": 0.4, "margin": 0.04, "strangers": 200, "risk": 1}
    assert other["suggested"]["threshold"] > 0.4
    assert other["now"]["threshold"] == 0.4


async def test_people_who_change_are_compared_again(served: Served) -> None:
    assert (await served.client.get("/api/calibration")).json()["people"] == []
    await enrol(served, 2)
    found = (await served.client.get("/api/calibration")).json()
    assert [person["status"] for person in found["people"]] == ["ready", "ready"]
    await served.parts.people.delete(found["people"][0]["id"])
    assert len((await served.client.get("/api/calibration")).json()["people"]) == 1


async def test_the_plot_is_an_image(served: Served) -> None:
    await enrol(served, 2)
    response = await served.client.get("/api/calibration.svg", params={"threshold": 0.45})
    assert response.headers["content-type"].startswith("image/svg+xml")
    assert "in force 0.45" in "".join(ET.fromstring(response.text).itertext())


@pytest.mark.parametrize("query", ["risk=0", "risk=nan", "risk=x", "strangers=-1", "strangers=inf", "threshold=7"])
async def test_queries_that_make_no_sense(served: Served, query: str) -> None:
    response = await served.client.get(f"/api/calibration?{query}")
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"


async def test_view_access_is_needed(tmp_path: Path) -> None:
    async with serving([calibration.router], tmp_path, view_token="v") as served:
        for path in ("/api/calibration", "/api/calibration.svg"):
            assert (await served.client.get(path)).status_code == 401
