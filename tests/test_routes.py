"""Every route, and who may use it: a row for each, so that a new route cannot come without one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
import socketio
from fastapi import FastAPI
from fastapi.routing import APIRoute, APIWebSocketRoute
from starlette.routing import Mount
from websockets.asyncio.client import connect

from server.accounts import NewToken
from server.app import create_app
from server.config import Settings
from tests.live import Live, live
from tests.peers import Client, PatternTrack
from tests.wait import until

OFFER = {"sdp": "v=0", "type": "offer", "camera_id": "1"}
# Public; for a page, the right to open it (whoever has it not is sent to the sign-in page); else the rights of which
# one is needed. With `/1`, for camera 1 only.
PUBLIC, PAGE = "public", "page "
ROUTES: Mapping[str, str] = {
    "POST /webrtc/streamer": "publish/1",
    "POST /webrtc/viewer": "view/1",
    "PATCH /webrtc/sessions/{session_id}": "view publish",
    "DELETE /webrtc/sessions/{session_id}": "view publish",
    "POST /whip/{camera_id}": "publish/1",
    "GET /whip/{camera_id}": "publish/1",
    "HEAD /whip/{camera_id}": "publish/1",
    "OPTIONS /whip/{camera_id}": PUBLIC,
    "POST /whep/{camera_id}": "view/1",
    "GET /whep/{camera_id}": "view/1",
    "HEAD /whep/{camera_id}": "view/1",
    "OPTIONS /whep/{camera_id}": PUBLIC,
    "OPTIONS /whip/{camera_id}/{session_id}": PUBLIC,
    "GET /whip/{camera_id}/{session_id}": "publish",
    "HEAD /whip/{camera_id}/{session_id}": "publish",
    "PATCH /whip/{camera_id}/{session_id}": "publish",
    "DELETE /whip/{camera_id}/{session_id}": "publish",
    "OPTIONS /whep/{camera_id}/{session_id}": PUBLIC,
    "GET /whep/{camera_id}/{session_id}": "view",
    "HEAD /whep/{camera_id}/{session_id}": "view",
    "PATCH /whep/{camera_id}/{session_id}": "view",
    "DELETE /whep/{camera_id}/{session_id}": "view",
    "GET /api/ice-servers": "view publish",
    "GET /healthz": PUBLIC,
    "GET /readyz": PUBLIC,
    "GET /metrics": "metrics",
    "GET /openapi.json": "admin",
    "GET /api/cameras": "view",
    "GET /api/cameras/{camera_id}/snapshot.jpg": "view/1",
    "PUT /api/cameras/{camera_id}": "staff",
    "GET /api/system": "staff",
    "GET /api/people": "staff",
    "POST /api/people": "staff",
    "PATCH /api/people/{person_id}": "staff",
    "DELETE /api/people/{person_id}": "staff",
    "GET /api/people/{person_id}/photo": "staff",
    "GET /api/people/{person_id}/photos": "staff",
    "POST /api/people/{person_id}/photos": "staff",
    "GET /api/people/{person_id}/photos/{photo_id}": "staff",
    "DELETE /api/people/{person_id}/photos/{photo_id}": "staff",
    "POST /api/people/from-camera/look": "staff",
    "POST /api/people/from-camera": "staff",
    "POST /api/people/import/plan": "staff",
    "GET /api/calibration": "staff",
    "GET /api/calibration.svg": "staff",
    "GET /api/visitors": "staff",
    "GET /api/visitors/{visitor_id}/photo": "staff",
    "POST /api/visitors/{visitor_id}/enrol": "staff",
    "POST /api/visitors/{visitor_id}/ignore": "staff",
    "DELETE /api/visitors/{visitor_id}/ignore": "staff",
    "DELETE /api/visitors/{visitor_id}": "staff",
    "GET /api/attendance": "staff",
    "POST /api/attendance": "staff",
    "GET /api/attendance/day": "staff",
    "GET /api/attendance.csv": "staff",
    "GET /api/attendance/{attendance_id}": "staff",
    "DELETE /api/attendance/{attendance_id}": "staff",
    "GET /api/attendance/{attendance_id}/crop": "staff",
    "POST /api/attendance/{attendance_id}/wrong": "staff",
    "GET /api/audit": "staff",
    "POST /login": PUBLIC,
    "POST /logout": PUBLIC,
    "GET /login": PUBLIC,
    "GET /": PAGE + "view",
    "GET /people": PAGE + "staff",
    "GET /attendance": PAGE + "staff",
    "GET /visitors": PAGE + "staff",
    "GET /system": PAGE + "staff",
    "GET /calibration": PAGE + "staff",
    "GET /connection": PAGE + "view",
    "WS /ws/events": "view/1",
}
# What each of these may; the rights of camera 2 alone are worth nothing at camera 1.
TOKENS = {
    "publish": NewToken("p", "publish"),
    "publish/2": NewToken("p2", "publish", ("2",)),
    "view": NewToken("v", "view"),
    "view/2": NewToken("v2", "view", ("2",)),
    "staff": NewToken("s", "staff"),
    "metrics": NewToken("m", "metrics"),
    "admin": NewToken("a", "admin"),
}
HAS = {
    "publish": {"publish"},
    "publish/2": {"publish"},
    "view": {"view"},
    "view/2": {"view"},
    "staff": {"view", "staff", "metrics"},
    "metrics": {"metrics"},
    "admin": {"view", "staff", "metrics", "admin", "publish"},
}


def routes_of(app: FastAPI) -> Iterator[str]:
    for included in app.routes:
        router = getattr(included, "original_router", None)
        for route in router.routes if router is not None else ():
            if isinstance(route, APIWebSocketRoute):
                yield f"WS {route.path}"
            elif isinstance(route, APIRoute):
                yield from (f"{method} {route.path}" for method in route.methods or ())


def test_every_route_has_its_row(tmp_path: Path) -> None:
    app = create_app(Settings(data=tmp_path))
    assert sorted(routes_of(app)) == sorted(ROUTES)
    mounted = {route.path for route in app.routes if isinstance(route, Mount)}
    assert mounted == {"/static", "/socket.io"}, "static files are public, Socket.IO is tested below"


@pytest.fixture
async def school(tmp_path: Path) -> AsyncIterator[tuple[Live, dict[str, str]]]:
    async with live(tmp_path, cameras=("1", "2")) as server:
        secrets = {name: server.parts.access.accounts.add_token(token) for name, token in TOKENS.items()}
        await server.parts.access.refresh()
        yield server, secrets


async def ask(server: Live, route: str, headers: Mapping[str, str]) -> int:
    method, _, path = route.partition(" ")
    path = path.replace("{camera_id}", "1")
    for name in ("session_id", "person_id", "photo_id", "visitor_id", "attendance_id"):
        path = path.replace(f"{{{name}}}", "77")
    if method == "WS":
        async with connect(server.url.replace("http", "ws") + path + "?camera_id=1", additional_headers=headers) as ws:
            try:
                await asyncio.wait_for(ws.recv(), 10)
            except Exception:  # noqa: BLE001 - whatever it is, the close code tells
                return {1008: 401}.get(ws.close_code or 0, 500)
            return 200
    body: dict[str, Any] = {"json": OFFER} if path.startswith("/webrtc") else {}
    if path.startswith(("/whip", "/whep")) and method == "POST":
        body, headers = {"content": "v=0"}, {**headers, "Content-Type": "application/sdp"}
    return (await server.http.request(method, path, headers=headers, follow_redirects=False, **body)).status_code


async def test_nobody_gets_in_who_shows_nothing_or_something_wrong(school: tuple[Live, dict[str, str]]) -> None:
    server, _ = school
    failures = []
    for route, needed in ROUTES.items():
        shown: list[dict[str, str]] = [{}, {"Cookie": "surveillx_view=wrong"}, {"Authorization": "Basic eDp5"}]
        for headers in shown:
            status = await ask(server, route, headers)
            expected = 303 if needed.startswith(PAGE) else 401
            if needed == PUBLIC:
                is_right = status not in (403, 500) and (status != 401 or route == "POST /login")
            else:
                is_right = status == expected
            if not is_right:
                failures.append((route, headers, status))
    assert not failures
    wrong = await ask(server, "GET /api/people", {"Authorization": "Bearer wrong"})
    assert wrong == 401


async def test_each_token_opens_what_it_is_for_and_nothing_else(school: tuple[Live, dict[str, str]]) -> None:
    server, secrets = school
    failures = []
    for route, needed in ROUTES.items():
        if needed == PUBLIC:
            continue
        for name, secret in secrets.items():
            status = await ask(server, route, {"Authorization": f"Bearer {secret}"})
            rights, of_one_camera = needed.removeprefix(PAGE).partition("/")[::2]
            may = bool(HAS[name] & set(rights.split())) and not (of_one_camera and name.endswith("/2"))
            refused = 401 if route.startswith("WS") else 303 if needed.startswith(PAGE) else 403
            # Let in, most of these find nothing (404) or cannot use what was sent (4xx).
            is_right = (status not in (303, 401, 403, 500)) if may else status == refused
            if not is_right:
                failures.append((route, name, status))
    assert not failures


async def test_socket_io_is_for_viewers(school: tuple[Live, dict[str, str]]) -> None:
    server, secrets = school
    for name, camera, may in [
        ("", "1", False),
        ("publish", "1", False),
        ("metrics", "1", False),
        ("view/2", "1", False),
        ("view/2", "2", True),
        ("view", "1", True),
        ("staff", "1", True),
    ]:
        client = socketio.AsyncClient(reconnection=False, handle_sigint=False)
        wishes = {"camera_id": camera, **({"token": secrets[name]} if name else {})}
        try:
            await client.connect(server.url, namespaces=["/stream"], auth=wishes, wait_timeout=5)
            entered = True
        except socketio.exceptions.ConnectionError:
            entered = False
        await client.disconnect()
        assert entered == may, (name, camera)


async def test_a_viewer_of_one_camera_hears_of_no_other(school: tuple[Live, dict[str, str]]) -> None:
    server, secrets = school
    headers = {"Authorization": f"Bearer {secrets['view/2']}"}
    assert [each["id"] for each in (await server.http.get("/api/cameras", headers=headers)).json()] == ["2"]
    async with connect(f"{server.url.replace('http', 'ws')}/ws/events?types=camera", additional_headers=headers) as ws:
        first = await asyncio.wait_for(ws.recv(), 10)
        assert '"camera_id":"2"' in str(first).replace(" ", "")
        server.parts.cameras.rename("1", "Secret")
        server.parts.cameras.rename("2", "Hall")
        second = await asyncio.wait_for(ws.recv(), 10)
        assert "Hall" in str(second)
    page = await server.http.get("/", headers=headers)
    assert "Secret" not in page.text
    assert 'href="/people"' not in page.text


async def test_a_session_belongs_to_whoever_opened_it(school: tuple[Live, dict[str, str]]) -> None:
    server, secrets = school
    async with httpx.AsyncClient(
        base_url=server.url, headers={"Authorization": f"Bearer {secrets['publish']}"}
    ) as http:
        publisher = Client(http)
        await publisher.publish(PatternTrack())
        path = f"/webrtc/sessions/{publisher.session_id}"
        for name, status in [("view", 403), ("publish/2", 403), ("staff", 403)]:
            answer = await server.http.delete(path, headers={"Authorization": f"Bearer {secrets[name]}"})
            assert answer.status_code == status, name
        assert (await server.http.delete(path)).status_code == 401
        assert (
            await server.http.delete(path, headers={"Authorization": f"Bearer {secrets['admin']}"})
        ).status_code == 204
        await publisher.peer.close()


async def test_what_is_revoked_ends_on_every_road(school: tuple[Live, dict[str, str]]) -> None:
    """A viewer over WebRTC, the events and Socket.IO: all end soon after the command line revoked the token."""
    server, secrets = school
    headers = {"Authorization": f"Bearer {secrets['view']}"}
    events_url = f"{server.url.replace('http', 'ws')}/ws/events"
    program = socketio.AsyncClient(reconnection=False, handle_sigint=False)
    gone = asyncio.Event()
    program.on("disconnect", lambda *_: gone.set(), namespace="/stream")
    async with (
        httpx.AsyncClient(base_url=server.url, headers={"Authorization": f"Bearer {secrets['publish']}"}) as sending,
        httpx.AsyncClient(base_url=server.url, headers=headers) as http,
        connect(events_url, additional_headers=headers) as events,
    ):
        publisher, viewer = Client(sending), Client(http)
        await publisher.publish(PatternTrack())
        received = await viewer.view()
        await program.connect(server.url, namespaces=["/stream"], auth={"token": secrets["view"]}, wait_timeout=5)
        await until(lambda: received.frames > 5, 20, "the viewer has a picture")
        accounts = server.parts.access.accounts
        [token] = [each for each in accounts.tokens() if each.label == "v"]
        accounts.revoke_token(token.id)
        await until(lambda: server.parts.sessions.counts()["viewer"] == 0, 5, "the viewer's session has ended")
        await asyncio.wait_for(gone.wait(), 5)
        await asyncio.wait_for(events.wait_closed(), 5)
        assert events.close_code == 1008
        assert "Sign in again" in (events.close_reason or "")
        assert server.parts.sessions.counts()["publisher"] == 1, "others never notice"
        await viewer.peer.close()
        await publisher.peer.close()
        await program.disconnect()
    lines = await server.parts.audit.recent(50)
    told = {(line.action, line.who) for line in lines}
    assert {("published", "token p"), ("watched", "token v")} <= told
    assert ("token_revoked", None) in told or ("token_revoked", "") in told


async def test_a_strangers_body_is_not_read(school: tuple[Live, dict[str, str]]) -> None:
    """Written by hand: a body is announced and never sent, and the answer comes all the same."""
    server, secrets = school
    host, port = server.url.removeprefix("http://").split(":")
    for token, status in ((None, b"401"), (secrets["view"], b"403")):
        reader, writer = await asyncio.open_connection(host, int(port))
        shown = f"Authorization: Bearer {token}\r\n" if token else ""
        head = f"POST /api/people HTTP/1.1\r\nHost: {host}\r\n{shown}Content-Length: 150000000\r\n"
        writer.write(f"{head}Content-Type: multipart/form-data; boundary=x\r\n\r\n--x".encode())
        answer = await asyncio.wait_for(reader.read(), 10)
        writer.close()
        assert answer.startswith(b"HTTP/1.1 " + status)
        assert b"application/problem+json" in answer
