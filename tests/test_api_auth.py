"""Who gets in, over real HTTP and WebSockets; and what errors look like."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Literal

import httpx
import pytest
from fastapi import APIRouter, Request, WebSocket
from pydantic import BaseModel, ConfigDict
from websockets.asyncio.client import connect

from server.access import COOKIE, GUESSES
from server.api import auth
from server.api.auth import PUBLISH as MAY_PUBLISH
from server.api.auth import VIEW as MAY_VIEW
from server.api.auth import VIEW_OR_PUBLISH, same_site_path
from server.errors import Unavailable
from tests.api_app import Served, serving

VIEW, PUBLISH = "view-token-1", "publish-token-1"
AS_VIEWER = {"Authorization": f"Bearer {VIEW}"}
AS_PUBLISHER = {"Authorization": f"Bearer {PUBLISH}"}

router = APIRouter()


class Offer(BaseModel):
    model_config = ConfigDict(extra="forbid")
    sdp: str
    type: Literal["offer"]


@router.api_route("/view", methods=["GET", "POST"], dependencies=[MAY_VIEW])
@router.post("/publish", dependencies=[MAY_PUBLISH])
@router.post("/either", dependencies=[VIEW_OR_PUBLISH])
async def passed() -> str:
    return "in"


@router.websocket("/ws", dependencies=[MAY_VIEW])
async def socket(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_text("in")
    await socket.close()


@router.websocket("/ws/busy")
async def busy(socket: WebSocket) -> None:
    raise Unavailable("Ü" * 100)


@router.post("/offer")
async def offer(offer: Offer) -> str:
    return offer.type


@router.post("/size")
async def size(request: Request) -> int:
    try:
        return len(await request.body())
    except Exception:  # noqa: BLE001 - as a careless route might
        return -1


@router.get("/crash")
async def crash() -> None:
    raise RuntimeError("secret detail")


@pytest.fixture
async def closed(tmp_path: Path) -> AsyncIterator[Served]:
    async with serving([auth.router, router], tmp_path, view_token=VIEW, publish_token=PUBLISH) as served:
        yield served


@pytest.fixture
async def open_(tmp_path: Path) -> AsyncIterator[Served]:
    async with serving([auth.router, router], tmp_path) as served:
        yield served


def is_problem(response: httpx.Response, status: int) -> None:
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    content = response.json()
    assert content["status"] == status
    assert content["type"] == "about:blank"
    assert content["title"]
    assert content["detail"]


async def sign_in(served: Served) -> str:
    response = await served.client.post("/login", json={"token": VIEW})
    assert response.status_code == 204
    return response.cookies[COOKIE]


async def test_tokens_open_their_doors(closed: Served) -> None:
    for headers, door, status in [
        (AS_VIEWER, "/view", 200),
        (AS_PUBLISHER, "/publish", 200),
        (AS_VIEWER, "/either", 200),
        (AS_PUBLISHER, "/either", 200),
        (AS_PUBLISHER, "/view", 403),
        (AS_VIEWER, "/publish", 403),
        ({}, "/view", 401),
        ({}, "/publish", 401),
        ({}, "/either", 401),
    ]:
        assert (await closed.client.post(door, headers=headers)).status_code == status, (headers, door)


@pytest.mark.parametrize("header", ["Bearer wrong", "Bearer", f"Basic {VIEW}", VIEW, "Bearer \u00ff"])
async def test_a_wrong_token_is_told_how_to_do_it(closed: Served, header: str) -> None:
    response = await closed.client.get("/view", headers={b"Authorization": header.encode("latin-1")})
    is_problem(response, 401)
    assert response.headers["www-authenticate"] == "Bearer"
    assert VIEW not in response.text


async def test_a_token_in_the_address_is_not_looked_at(closed: Served) -> None:
    for name in ("token", "access_token", "view_token"):
        is_problem(await closed.client.get("/view", params={name: VIEW}), 401)


async def test_guessing_is_slowed_down(closed: Served) -> None:
    wrong = {"Authorization": "Bearer wrong"}
    cookie = {"Cookie": f"{COOKIE}={await sign_in(closed)}"}
    closed.client.cookies.clear()
    for _ in range(GUESSES):
        is_problem(await closed.client.get("/view", headers=wrong), 401)
    for response in (
        await closed.client.get("/view", headers=wrong),
        await closed.client.get("/view", headers=AS_VIEWER),
        await closed.client.post("/login", json={"token": VIEW}),
    ):
        is_problem(response, 429)
        assert 1 <= int(response.headers["retry-after"]) <= 60
    assert (await closed.client.get("/view", headers=cookie)).status_code == 200, "who is signed in stays in"


async def test_sign_in_by_script(closed: Served) -> None:
    response = await closed.client.post("/login", json={"token": VIEW})
    assert response.status_code == 204
    cookie = SimpleCookie(response.headers["set-cookie"])[COOKIE]
    assert cookie["httponly"]
    assert cookie["samesite"] == "strict"
    assert cookie["path"] == "/"
    assert int(cookie["max-age"]) == 30 * 24 * 3600
    assert not cookie["secure"], "this server is reached by plain http"
    assert VIEW not in cookie.value
    assert (await closed.client.get("/view")).status_code == 200


async def test_sign_in_by_form_goes_on_to_the_page(closed: Served) -> None:
    for target, goes_to in [("/people?x=1", "/people?x=1"), ("", "/"), ("//evil.example", "/")]:
        response = await closed.client.post("/login", data={"token": VIEW, "next": target})
        assert (response.status_code, response.headers["location"]) == (303, goes_to)
    out = await closed.client.post("/logout", data={"x": "y"})
    assert (out.status_code, out.headers["location"]) == (303, "/login")


async def test_sign_out(closed: Served) -> None:
    await sign_in(closed)
    assert (await closed.client.post("/logout")).status_code == 204
    is_problem(await closed.client.get("/view"), 401)


async def test_the_cookie_is_secure_behind_https(closed: Served) -> None:
    # uvicorn believes a proxy on this machine.
    response = await closed.client.post("/login", json={"token": VIEW}, headers={"X-Forwarded-Proto": "https"})
    assert "secure" in response.headers["set-cookie"].lower().split("; ")


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("application/json", b'{"token": "wrong"}', 401),
        ("application/json", b"{}", 401),
        ("application/json", b'{"token": 1}', 401),
        ("application/json", b"[]", 400),
        ("application/json", b"{", 400),
        ("application/json", b"\xff\xfe", 400),
        ("application/json", b"[" * 60_000, 400),
        ("application/x-www-form-urlencoded", b"token=wrong", 401),
        ("application/x-www-form-urlencoded", b"a=1&" * 100, 400),
        ("application/x-www-form-urlencoded", b"token=\xff", 400),
        ("text/plain", b"token=" + VIEW.encode(), 415),
        ("application/json", b" " * 70_000, 413),
    ],
)
async def test_what_is_no_sign_in(closed: Served, content_type: str, body: bytes, status: int) -> None:
    response = await closed.client.post("/login", content=body, headers={"Content-Type": content_type})
    is_problem(response, status)
    assert "set-cookie" not in response.headers


@pytest.mark.parametrize(
    "target",
    [
        "",
        "people",
        "//evil.example",
        "/\\evil.example",
        "/\t/evil.example",
        "https://evil.example",
        "javascript:x",
        "/a\nb",
    ],
)
def test_only_our_own_pages_come_next(target: str) -> None:
    assert same_site_path(target) == "/"
    assert same_site_path("/people?day=1#x") == "/people?day=1#x"


async def test_another_sites_page_cannot_use_the_cookie(closed: Served) -> None:
    await sign_in(closed)
    ours, other = f"http://{closed.host}", "https://evil.example"
    for origin, status in [(ours, 200), (ours.upper().replace("HTTP", "https"), 200), (other, 403), ("null", 403)]:
        response = await closed.client.post("/view", headers={"Origin": origin})
        assert response.status_code == status, origin
    is_problem(await closed.client.post("/view"), 403)
    assert (await closed.client.get("/view", headers={"Origin": other})).status_code == 200, "reading is harmless"
    assert (await closed.client.post("/view", headers={"Origin": other, **AS_VIEWER})).status_code == 200


async def test_another_sites_page_cannot_use_an_open_server_either(open_: Served) -> None:
    for door in ("/view", "/publish", "/either", "/login", "/logout"):
        response = await open_.client.post(door, headers={"Origin": "https://evil.example"}, json={})
        is_problem(response, 403)
    for door in ("/view", "/publish", "/either"):
        assert (await open_.client.post(door)).status_code == 200


async def close_code(served: Served, path: str, headers: dict[str, str]) -> tuple[int, str]:
    async with connect(f"ws://{served.host}{path}", additional_headers=headers) as client:
        await asyncio.wait_for(client.wait_closed(), 10)
        assert client.close_code
        return client.close_code, client.close_reason or ""


async def test_websockets_are_told_why(closed: Served) -> None:
    cookie = {"Cookie": f"{COOKIE}={await sign_in(closed)}"}
    ours = {"Origin": f"http://{closed.host}"}
    assert (await close_code(closed, "/ws", AS_VIEWER))[0] == 1000
    assert (await close_code(closed, "/ws", {**cookie, **ours}))[0] == 1000
    assert await close_code(closed, "/ws", {}) == (1008, "Sign in first.")
    assert await close_code(closed, f"/ws?token={VIEW}", {}) == (1008, "Sign in first.")
    code, reason = await close_code(closed, "/ws", cookie)
    assert code == 1008
    assert "Another site's page" in reason
    assert (await close_code(closed, "/ws", {**cookie, "Origin": "https://evil.example"}))[0] == 1008
    assert await close_code(closed, "/ws/busy", {}) == (1013, "Ü" * 61)


async def test_errors_are_problems_without_echo(open_: Served) -> None:
    is_problem(await open_.client.get("/nowhere/<script>"), 404)
    response = await open_.client.get("/offer")
    is_problem(response, 405)
    assert response.headers["allow"] == "POST"
    secret = "s3cret"
    for body, status, words in [
        (b'{"sdp": "%s", "type": "answer"}', 422, "type: Input should be 'offer'"),
        (b'{"sdp": ["%s"], "type": "offer"}', 422, "sdp: "),
        (b'{"sdp": "", "type": "offer", "%s": 1}', 422, "a field that does not belong"),
        (b'{"%s', 400, "not JSON"),
        (b'"%s\\ud800"', 422, "body: "),
        (b"", 422, "body: Field required"),
    ]:
        content = body.replace(b"%s", secret.encode())
        response = await open_.client.post("/offer", content=content, headers={"Content-Type": "application/json"})
        is_problem(response, status)
        assert words in response.json()["detail"]
        assert secret not in response.text


async def test_a_crash_is_logged_and_not_shown(open_: Served, caplog: pytest.LogCaptureFixture) -> None:
    response = await open_.client.get("/crash")
    is_problem(response, 500)
    assert "secret" not in response.text
    assert "RuntimeError: secret detail" in caplog.text


async def test_a_large_body_is_refused_by_its_header(open_: Served) -> None:
    response = await open_.client.post("/size", content=b"x" * 65_537)
    is_problem(response, 413)
    assert "64 KiB" in response.json()["detail"]
    assert (await open_.client.post("/size", content=b"x" * 65_536)).json() == 65_536


async def test_a_large_body_without_a_length_is_refused_while_it_comes(open_: Served) -> None:
    """Written by hand: the client announces chunks without end, and must get its answer after the first few."""
    host, port = open_.host.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"POST /size HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    writer.write(b"8000\r\n" + b"x" * 0x8000 + b"\r\n")
    writer.write(b"8001\r\n" + b"x" * 0x8001 + b"\r\n")
    answer = await asyncio.wait_for(reader.read(), 10)  # to the end: the server closes
    writer.close()
    await writer.wait_closed()
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert re.search(rb"content-type: application/problem\+json", answer)
    assert answer.count(b"HTTP/1.1") == 1


async def test_a_client_that_leaves_in_the_middle(open_: Served, caplog: pytest.LogCaptureFixture) -> None:
    host, port = open_.host.split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\nContent-Type: application/json\r\n\r\n{")
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    assert (await open_.client.get("/view")).status_code == 200
    assert "Traceback" not in caplog.text
