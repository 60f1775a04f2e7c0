"""Talking to the server over HTTP: the offer, the goodbye, and what its refusals mean."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self

import httpx

from .relays import Relay

OFFER_TIMEOUT_S = 10.0
GOODBYE_TIMEOUT_S = 2.0
RELAYS_TIMEOUT_S = 2.0
KNOCK_TIMEOUT_S = 1.0
# Somebody has to change something before these can work.
SLOW_RETRY_S = 30.0
_OUR_FAULT = {
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.METHOD_NOT_ALLOWED,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
}

logger = logging.getLogger("surveillx.publisher")


class NotConnectedError(Exception):
    """There is no connection; the text says why. `retry_s`: the server's or our idea of when to try again."""

    def __init__(self, text: str, retry_s: float | None = None) -> None:
        super().__init__(text)
        self.retry_s = retry_s


class UnreachableError(NotConnectedError):
    """Nothing answers at the server's address."""


@dataclass(frozen=True)
class Answer:
    """The server's answer to an offer."""

    sdp: str
    session_id: str


def server_url(text: str) -> httpx.URL:
    """The server's base URL; "school-server:8080" means http.

    Raises:
        ValueError: no HTTP address.
    """
    try:
        url = httpx.URL(text if "://" in text else f"http://{text}")
    except httpx.InvalidURL as error:
        raise ValueError(f"{text} is not an address such as http://school-server:8080") from error
    if url.scheme not in ("http", "https") or not url.host:
        raise ValueError(f"{text} is not an address such as http://school-server:8080")
    return url.copy_with(raw_path=url.raw_path.rstrip(b"/") + b"/")


class Signalling:
    """The HTTP side of one publisher. Use as an async context manager."""

    def __init__(self, server: str, camera_id: str, token: str = "") -> None:
        self._url = server_url(server)
        self._camera_id = camera_id
        self._client = httpx.AsyncClient(
            base_url=self._url,
            headers={"Authorization": f"Bearer {token}"} if token else {},
            timeout=OFFER_TIMEOUT_S,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    @property
    def host(self) -> str:
        """The server's host name or address."""
        return self._url.host

    async def offer(self, sdp: str) -> Answer:
        """Send an offer.

        Raises:
            UnreachableError: no server there.
            NotConnectedError: it refuses, in words.
        """
        body = {"sdp": sdp, "type": "offer", "camera_id": self._camera_id}
        try:
            async with asyncio.timeout(OFFER_TIMEOUT_S):
                response = await self._client.post("webrtc/streamer", json=body)
        except TimeoutError as error:
            raise UnreachableError(f"{self._url.host} does not answer: check the address and the network.") from error
        except httpx.TransportError as error:
            raise UnreachableError(self._no_server(error)) from error
        return self._read(response)

    async def relays(self) -> list[Relay]:
        """The relays that the server offers (`GET /api/ice-servers`); none when it does not say."""
        try:
            response = await self._client.get("api/ice-servers", timeout=RELAYS_TIMEOUT_S)
            offered = response.json() if response.is_success else []
            return [Relay(url, each["username"], each["credential"]) for each in offered for url in each["urls"]]
        except (httpx.TransportError, ValueError, KeyError, TypeError) as error:
            # An older server has none, and one that is no server of ours can answer anything.
            logger.debug("The server names no relays: %r", error)
            return []

    async def goodbye(self, session_id: str) -> None:
        """Free the camera on the server at once. A server that is gone has nothing to free."""
        try:
            await self._client.delete(f"webrtc/sessions/{session_id}", timeout=GOODBYE_TIMEOUT_S)
        except httpx.TransportError:
            return

    async def knock(self) -> bool:
        """Whether something listens at the server's port."""
        port = self._url.port or (443 if self._url.scheme == "https" else 80)
        try:
            async with asyncio.timeout(KNOCK_TIMEOUT_S):
                _, writer = await asyncio.open_connection(self._url.host, port)
        except OSError:
            return False
        writer.close()
        return True

    def _no_server(self, error: httpx.TransportError) -> str:
        address = f"{self._url.host}:{self._url.port or self._url.scheme}"
        reason = str(error) or type(error).__name__
        return f"No server at {address} ({reason}): is it running, and is its port open in the firewall?"

    def _read(self, response: httpx.Response) -> Answer:
        content = _json_object(response)
        if response.is_success:
            try:
                return Answer(str(content["sdp"]), str(content["session_id"]))
            except KeyError as error:
                raise self._stranger() from error
        raise self._refusal(response, str(content.get("detail", "")))

    def _refusal(self, response: httpx.Response, detail: str) -> NotConnectedError:
        status = response.status_code
        if status == HTTPStatus.UNAUTHORIZED:
            return NotConnectedError(
                "The server wants a token: set SURVEILLX_PUBLISH_TOKEN to the value it has on the server.",
                SLOW_RETRY_S,
            )
        if status in (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED) and not detail:
            return self._stranger()
        words = detail or f"status {status} {response.reason_phrase}".rstrip()
        retry_s = SLOW_RETRY_S if status in _OUR_FAULT else _retry_after(response)
        return NotConnectedError(f"The server refuses: {words}", retry_s)

    def _stranger(self) -> NotConnectedError:
        return NotConnectedError(f"What answers at {self._url} is not a SurveillX server.", SLOW_RETRY_S)


def _json_object(response: httpx.Response) -> dict[str, Any]:
    try:
        content = response.json()
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _retry_after(response: httpx.Response) -> float | None:
    seconds = response.headers.get("Retry-After", "")
    return min(float(seconds), 60.0) if seconds.isdecimal() else None
