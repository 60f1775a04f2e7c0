"""The pages over real HTTP: who sees them, what they may load, and that everything they name is there."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from html import unescape
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from server.access import COOKIE, view_cookie
from server.api.pages import WEB

from .live import Live, live
from .test_viewer import filming
from .wait import until

SCRIPTS = sorted(path.name for path in WEB.glob("*.js"))
IMPORT = re.compile(r"""(?:from|import)\s*\(?\s*["'](\.?/[^"']+)["']""")


@pytest.fixture
async def school(tmp_path: Path) -> AsyncIterator[Live]:
    async with live(tmp_path, cameras=("1", "lab")) as running:
        yield running


@pytest.fixture
async def closed(tmp_path: Path) -> AsyncIterator[Live]:
    async with live(tmp_path, view_token="view") as running:
        yield running


def directives(response: httpx.Response) -> dict[str, str]:
    """The response's Content-Security-Policy."""
    parts = (each.strip().partition(" ") for each in response.headers["content-security-policy"].split(";"))
    return {name: value for name, _, value in parts}


async def test_live_page_knows_every_camera_and_todays_date(school: Live) -> None:
    await school.http.put("/api/cameras/lab", json={"name": '<Lab> "2"'})
    page = (await school.http.get("/")).text
    (cameras,) = re.findall(r'data-cameras="([^"]+)"', page)
    assert json.loads(unescape(cameras)) == [{"id": "1", "name": ""}, {"id": "lab", "name": '<Lab> "2"'}]
    assert "data-kiosk" not in page
    assert '<html lang="en" data-kiosk>' in (await school.http.get("/?kiosk=1")).text
    assert f'data-day="{school.parts.attendance.today()}"' in page


async def test_live_page_brings_a_first_picture_of_each_camera_that_sends(school: Live) -> None:
    assert 'slot="poster"' not in (await school.http.get("/")).text, "a slate is no picture"
    async with filming(school.parts.cameras.open("hall")):
        await until(lambda: school.parts.cameras.get("hall").state == "online")
        page = (await school.http.get("/")).text
        assert re.findall(r'camera="([^"]+)"><img slot="poster" fetchpriority="high" src="([^"]+)"', page) == [
            ("hall", "/api/cameras/hall/snapshot.jpg")
        ]
        assert 'slot="poster"' not in (await school.http.get("/?kiosk=1")).text


@pytest.mark.parametrize("path", ["/", "/people", "/attendance", "/visitors"])
async def test_page_marks_its_place_in_the_navigation(school: Live, path: str) -> None:
    response = await school.http.get(path)
    assert response.status_code == 200
    assert re.findall(r'href="([^"]+)" aria-current="page"', response.text) == [path]
    assert "/logout" not in response.text


@pytest.mark.parametrize("path", ["/", "/people", "/attendance", "/visitors", "/calibration"])
async def test_policy_lets_only_our_own_files_run(school: Live, path: str) -> None:
    response = await school.http.get(path)
    policy = directives(response)
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["frame-ancestors"] == "'self'"
    host = school.url.removeprefix("http://")
    assert policy["connect-src"] == f"'self' ws://{host} wss://{host}"
    assert "unsafe" not in response.headers["content-security-policy"]
    assert response.headers["x-content-type-options"] == "nosniff"
    # What the policy would keep from working must not be there.
    assert re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=|(?:src|href)=\"https?:", response.text) is None


@pytest.mark.parametrize("path", ["/", "/people", "/attendance?date=2026-03-02", "/visitors", "/calibration"])
async def test_stranger_is_sent_to_sign_in_and_back(closed: Live, path: str) -> None:
    response = await closed.http.get(path)
    assert response.status_code == 303
    assert response.headers["location"] == f"/login?next={quote(path, safe='')}"
    form = await closed.http.get(response.headers["location"])
    assert f'data-next="{path}"' in form.text
    assert "<nav" not in form.text


async def test_signing_in_by_form_without_scripts_leads_to_the_page(closed: Live) -> None:
    fields = {"token": "view", "next": "/people", "username": "viewer"}
    response = await closed.http.post("/login", data=fields, headers={"Origin": closed.url})
    assert (response.status_code, response.headers["location"]) == (303, "/people")
    page = await closed.http.get("/people")
    assert page.status_code == 200
    assert 'action="/logout"' in page.text
    assert (await closed.http.get("/login?next=/attendance")).headers["location"] == "/attendance"


async def test_programs_may_show_the_token_instead(closed: Live) -> None:
    assert (await closed.http.get("/", headers={"Authorization": "Bearer view"})).status_code == 200
    cookie = {"Cookie": f"{COOKIE}={view_cookie('view')}"}
    assert (await closed.http.get("/", headers=cookie)).status_code == 200
    assert (await closed.http.get("/", headers={"Cookie": f"{COOKIE}=view"})).status_code == 303


@pytest.mark.parametrize("target", ["//evil.example/", "https://evil.example/", "/\\evil.example", '/"><script>', ""])
async def test_sign_in_leads_to_no_other_site_and_writes_no_markup(closed: Live, target: str) -> None:
    page = (await closed.http.get("/login", params={"next": target})).text
    [found] = re.findall(r'data-next="([^"]*)"', page)
    assert found == ("/&#34;&gt;&lt;script&gt;" if "script" in target else "/")


async def test_attendance_page_opens_on_the_day_asked_for(school: Live) -> None:
    today = school.parts.attendance.today().isoformat()
    for asked, shown in (("2026-03-02", "2026-03-02"), ("", today), ("yesterday", today), ('"><b>', today)):
        page = (await school.http.get("/attendance", params={"date": asked})).text
        assert f'value="{shown}" max="{today}"' in page
        assert f"/api/attendance.csv?date={shown}" in page


@pytest.mark.parametrize("name", [*SCRIPTS, "style.css", "icon.svg", "vendor/socket.io.js", "locales/en.json"])
async def test_every_file_is_served_and_checked_for_news(school: Live, name: str) -> None:
    response = await school.http.get(f"/static/{name}")
    assert response.status_code == 200
    assert response.headers["cache-control"] == "no-cache"
    assert response.headers["x-content-type-options"] == "nosniff"
    kinds = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".json": "application/json"}
    assert response.headers["content-type"].startswith(kinds[Path(name).suffix])
    again = await school.http.get(f"/static/{name}", headers={"If-None-Match": response.headers["etag"]})
    assert again.status_code == 304


@pytest.mark.parametrize(
    "name", ["templates/base.html", "jsconfig.json", "", "vendor", "nothing.js", "../pyproject.toml", "%2e%2e/uv.css"]
)
async def test_nothing_else_is_served(school: Live, name: str) -> None:
    assert (await school.http.get(f"/static/{name}")).status_code == 404


def imported(name: str) -> set[str]:
    """The names of the files that a script imports, and those import, without the library."""
    found = {
        Path(each).name for each in IMPORT.findall((WEB / name).read_text(encoding="utf-8")) if "vendor" not in each
    }
    return found.union(*(imported(each) for each in found))


async def test_live_page_names_every_module_it_needs(school: Live) -> None:
    page = (await school.http.get("/")).text
    preloaded = set(re.findall(r'rel="modulepreload" href="/static/([^"]+)"', page))
    assert preloaded == imported("live.js")


def test_every_script_is_type_checked() -> None:
    assert [name for name in SCRIPTS if not (WEB / name).read_text(encoding="utf-8").startswith("// @ts-check")] == []


def test_every_sentence_is_used() -> None:
    scripts = "".join((WEB / name).read_text(encoding="utf-8") for name in SCRIPTS)
    words = re.findall(r"^  (\w+): ", (WEB / "strings.js").read_text(encoding="utf-8"), re.MULTILINE)
    assert [word for word in words if f"strings.{word}" not in scripts] == []
