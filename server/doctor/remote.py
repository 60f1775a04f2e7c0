"""The way to a server, step by step: name, port, program, credentials, camera, media, relays."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import httpx

from .asking import ask, detail
from .media import Media
from .relays import require_relay
from .steps import Failed, Report, Timed

CONNECT_WITHIN_S = 4.0
ANSWER_WITHIN_S = 10.0


@dataclass(frozen=True)
class Target:
    """What is examined. `token` is shown where it is not empty."""

    url: str
    token: str = field(repr=False)
    camera_id: str

    @property
    def host(self) -> str:
        """The name or address."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """The TCP port."""
        parts = urlsplit(self.url)
        return parts.port or (443 if parts.scheme == "https" else 80)


async def examine(report: Report, target: Target) -> None:
    """Note each step in `report`, until one fails without which the next cannot be tried."""
    with Timed(report, "Name") as step:
        addresses = await _resolve(target)
        step.words = f"{target.host} is {', '.join(sorted(addresses))}"
    if not step.is_ok:
        return
    with Timed(report, f"TCP port {target.port}") as step:
        await _knock(target)
        step.words = "it can be reached"
    if not step.is_ok:
        return
    headers = {"Authorization": f"Bearer {target.token}"} if target.token else {}
    async with httpx.AsyncClient(base_url=target.url, headers=headers, timeout=ANSWER_WITHIN_S) as http:
        await _examine_program(report, target, http, addresses)


async def _examine_program(report: Report, target: Target, http: httpx.AsyncClient, addresses: set[str]) -> None:
    with Timed(report, "Server") as step:
        step.words = await _require_server(http)
    if not step.is_ok:
        return
    with Timed(report, "Signing in") as step:
        cameras = await _cameras(http)
        step.words = "you may watch" + (" with this token" if target.token else " without a token")
    if not step.is_ok:
        return
    with Timed(report, f"Camera {target.camera_id}") as step:
        step.words = _camera(cameras, target.camera_id)
    is_known = any(camera["id"] == target.camera_id for camera in cameras)
    if is_known:
        await _examine_media(report, target, http, addresses)
    await _examine_relays(report, http)


async def _examine_media(report: Report, target: Target, http: httpx.AsyncClient, addresses: set[str]) -> None:
    async with Media(http, target.camera_id) as media:
        with Timed(report, "Offer and answer") as step:
            await media.negotiate()
            step.words = f"the server takes media at {', '.join(media.offered)}"
        if not step.is_ok:
            return
        with Timed(report, "UDP") as step:
            step.words = await media.connect(addresses)
        if not step.is_ok:
            return
        with Timed(report, "Picture") as step:
            step.words = await media.watch()


async def _examine_relays(report: Report, http: httpx.AsyncClient) -> None:
    with Timed(report, "Relays") as asking:
        servers = await _relays(http)
        asking.words = f"the server names {sum(len(server['urls']) for server in servers)}"
    if not asking.is_ok:
        return
    if not servers:
        report.skip("Relay (TURN)", "none is set up; only networks that block UDP need one (docs/network.md)")
    for server in servers:
        for url in server["urls"]:
            with Timed(report, f"Relay {url}") as step:
                step.words = await require_relay(url, server["username"], server["credential"])


async def _relays(http: httpx.AsyncClient) -> list[dict[str, Any]]:
    answer = await ask(http, "GET", "/api/ice-servers")
    if answer.is_error:
        raise Failed(f"The server does not tell its relays: {detail(answer)}", "Do what it says, then try again.")
    found: list[dict[str, Any]] = answer.json()
    return found


async def _resolve(target: Target) -> set[str]:
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise Failed(
            f"Nobody knows a machine named {target.host}.",
            "Check how the address is written, or name the server's IP address instead.",
        ) from error
    return {str(address[4][0]) for address in found}


async def _knock(target: Target) -> None:
    port = target.port
    try:
        async with asyncio.timeout(CONNECT_WITHIN_S):
            _, writer = await asyncio.open_connection(target.host, port)
    except ConnectionRefusedError as error:
        raise Failed(
            f"The machine answers, but nothing listens on TCP {port}.",
            "Start the server there, with --host 0.0.0.0 (else its own machine alone reaches it); or name its port.",
        ) from error
    except TimeoutError as error:
        raise Failed(
            f"No answer from TCP {port}: a firewall drops it, or the machine is off.",
            f"Open TCP {port} in the server's firewall, and check that the machine is on.",
        ) from error
    except OSError as error:
        raise Failed(
            f"There is no way to this machine: {error.strerror or error}.", "Check the network and the address."
        ) from error
    writer.close()


async def _require_server(http: httpx.AsyncClient) -> str:
    try:
        alive = await http.get("/healthz")
        is_ours = alive.status_code == HTTPStatus.OK and alive.json() == {"status": "ok"}
    except (httpx.HTTPError, ValueError):
        is_ours = False
    if not is_ours:
        raise Failed(
            "Another program answers there.",
            "Name the port of SurveillX (8080 unless --port says otherwise); a proxy must pass everything on to it.",
        )
    ready = await ask(http, "GET", "/readyz")
    if ready.status_code != HTTPStatus.OK:
        raise Failed("It runs, but its database does not answer.", "Free the disk, or start the database again.")
    recognition = ready.json().get("recognition", "")
    return "it runs" + (f"; recognition: {recognition}" if recognition else "")


async def _cameras(http: httpx.AsyncClient) -> list[dict[str, Any]]:
    answer = await ask(http, "GET", "/api/cameras")
    if answer.status_code == HTTPStatus.OK:
        found: list[dict[str, Any]] = answer.json()
        return found
    has_token = "authorization" in http.headers
    if answer.status_code == HTTPStatus.UNAUTHORIZED and not has_token:
        words, todo = "It asks for a token.", "Show one: --token; `surveillx token add NAME --scope view` makes it."
    elif answer.status_code == HTTPStatus.UNAUTHORIZED:
        words = "It does not know this token."
        todo = "It is mistyped, has expired or was revoked: `surveillx token list` on the server shows which there are."
    elif answer.status_code == HTTPStatus.FORBIDDEN:
        words, todo = (
            "This token is not for watching.",
            "Use one of scope view: `surveillx token add NAME --scope view`.",
        )
    else:
        words, todo = f"It answers {answer.status_code}: {detail(answer)}", "Do what it says, then try again."
    raise Failed(words, todo)


def _camera(cameras: list[dict[str, Any]], camera_id: str) -> str:
    found = next((camera for camera in cameras if camera["id"] == camera_id), None)
    if found is None:
        known = ", ".join(camera["id"] for camera in cameras) or "none"
        raise Failed(
            f"There is no camera {camera_id} that you may watch; there is: {known}.",
            "Name one of those with --camera. A camera appears when its PC first publishes.",
        )
    if found["state"] == "offline":
        raise Failed(
            "It sends nothing at present.",
            "Start `surveillx publish` on the camera's PC; its own output says what keeps it from sending.",
        )
    return f"online, {found['width']}x{found['height']} at {found['fps']:.0f} fps"
