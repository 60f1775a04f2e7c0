"""Errors become responses here and nowhere else: `application/problem+json` (RFC 9457) with words a person understands.

Never a stack trace, never an echo of the body. A WebSocket that is refused is accepted and closed at once with a code
and the words as its reason: a browser cannot tell a refused handshake from a dead network, but it can tell close code
1008 (signed out, or not allowed) from 1013 (try again later). Also the limit on bodies, enforced while they are read.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from http import HTTPStatus
from typing import Any, cast

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError, WebSocketRequestValidationError
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, ExceptionHandler, Message, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketState

from ..errors import BadRequest, SurveillxError, TooLarge, TooSlow, Unprocessable, UnsupportedMediaType

MEDIA_TYPE = "application/problem+json"

# Bytes by path prefix, the longest that fits counts. An offer needs a few KiB; an enrolment has up to ten photos.
BODY_LIMITS: Mapping[str, int] = {
    "": 64 * 1024,
    "/api/people": 10 * 20_000_000 + 64 * 1024,
    "/api/people/from-camera": 64 * 1024,
    "/api/people/import": 8_000_000,
}

# How long a client whose body is refused may go on sending it.
LINGER_S = 2.0
# A body may take this long, and longer the more of it has come; a line that carries less than this carries no video.
BODY_PATIENCE_S = 20.0
LEAST_BODY_RATE = 4_000  # bytes a second

# RFC 6455 section 7.4.1 and IANA's registry of close codes.
POLICY_VIOLATION, INTERNAL_ERROR, TRY_AGAIN_LATER = 1008, 1011, 1013
MAX_CLOSE_REASON_BYTES = 123

logger = logging.getLogger("surveillx.api")


def install(app: FastAPI, body_limits: Mapping[str, int] = BODY_LIMITS) -> None:
    """Render every error of `app` as a problem, and limit what it reads."""
    # Typed for requests OR WebSockets; Starlette hands both to one function.
    app.add_exception_handler(SurveillxError, cast("ExceptionHandler", _on_known))
    app.add_exception_handler(RequestValidationError, cast("ExceptionHandler", _on_invalid))
    app.add_exception_handler(WebSocketRequestValidationError, cast("ExceptionHandler", _on_invalid))
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(ClientDisconnect, _on_disconnect)
    app.add_exception_handler(Exception, _on_unexpected)
    app.add_middleware(LimitBody, limits=body_limits)


def problem(
    status: int,
    detail: str,
    *,
    title: str = "",
    reason: str | None = None,
    members: Mapping[str, object] | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """A problem response; `reason` is a stable word for programs, `members` are further facts for them."""
    content: dict[str, object] = {
        **(members or {}),
        "type": "about:blank",
        "title": title or HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
    if reason is not None:
        content["reason"] = reason
    return JSONResponse(content, status, {"Cache-Control": "no-store", **(headers or {})}, MEDIA_TYPE)


def problem_of(error: SurveillxError) -> JSONResponse:
    """The response for one of our errors."""
    return problem(
        error.status,
        error.detail,
        title=error.title,
        reason=error.reason,
        members=error.members,
        headers=error.headers,
    )


async def answer_unread(error: SurveillxError, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request whose body is not wanted, and let the client send on for a moment (RFC 9112 section 9.6).

    Closed with bytes that nobody has read, TCP resets the connection: a client that sends before it reads would never
    see the answer. One that waits to be asked for its body (100-continue) has not begun.
    """

    async def send_open(message: Message) -> None:
        """All of the answer but its end, with which the server closes the connection."""
        await send({**message, "more_body": True} if message["type"] == "http.response.body" else message)

    response = problem_of(error)
    response.headers["Connection"] = "close"  # what is thrown away might be taken for another request
    await response(scope, receive, send_open)
    if "expect" not in Headers(scope=scope):
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER_S):
                while (await receive()).get("more_body", False):
                    pass
    await send({"type": "http.response.body", "body": b""})


class LimitBody:
    """ASGI middleware: answers 413 to a body over its path's limit, and 408 to one that hardly comes.

    At once where Content-Length says so, else as soon as that many bytes have come, whatever the route makes of it.
    Compressed ones get 415: nothing here unpacks them, so that none can unpack to more than the limit.
    """

    def __init__(self, app: ASGIApp, limits: Mapping[str, int]) -> None:
        self._app = app
        self._limits = sorted(limits.items(), key=lambda limit: -len(limit[0]))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, counting its body."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = _CountedBody(scope, receive, send, self._limit(scope["path"]))
        if refusal := body.refused_unread():
            await body.refuse(refusal)
        else:
            await self._app(scope, body.receive, body.send)

    def _limit(self, path: str) -> int:
        return next((limit for prefix, limit in self._limits if path.startswith(prefix)), 0)


class _CountedBody:
    """One request's body and the response that its size may replace."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, limit: int) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._limit = limit
        self._read = 0
        self._begun_at = time.monotonic()
        self._is_complete = False
        self._response_started = False
        self._refused = False

    def refused_unread(self) -> SurveillxError | None:
        """What its headers already say against it."""
        headers = Headers(scope=self._scope)
        declared = headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > self._limit:
            return self._too_large()
        if headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
            # RFC 9110 section 12.5.3: the header says what would be taken.
            return UnsupportedMediaType("Send this without compressing it.", headers={"Accept-Encoding": "identity"})
        return None

    async def receive(self) -> Message:
        message = await self._next()
        self._is_complete = self._is_complete or not message.get("more_body", False)
        self._read += len(message.get("body", b""))
        if self._read > self._limit:
            raise await self.refuse(self._too_large())
        return message

    async def _next(self) -> Message:
        """What comes next. After the body it is the client's leaving, and may take for ever."""
        if self._is_complete:
            return await self._receive()
        patience_s = self._begun_at + BODY_PATIENCE_S + self._read / LEAST_BODY_RATE - time.monotonic()
        try:
            async with asyncio.timeout(patience_s):
                return await self._receive()
        except TimeoutError:
            raise await self.refuse(TooSlow("What was sent with this request did not come in time.")) from None

    async def send(self, message: Message) -> None:
        if self._refused:
            return
        self._response_started = self._response_started or message["type"] == "http.response.start"
        await self._send(message)

    async def refuse(self, error: SurveillxError) -> SurveillxError:
        """Answer with `error`. Raised, it ends the route; should that catch it, the route's own answer is dropped."""
        if self._refused or self._response_started:
            return error
        self._refused = True
        await answer_unread(error, self._scope, self._receive, self._send)
        return error

    def _too_large(self) -> TooLarge:
        return TooLarge(f"This is larger than the {_size(self._limit)} that this address takes.")


def _size(count: int) -> str:
    return f"{count // 1_000_000} MB" if count >= 1_000_000 else f"{count // 1024} KiB"


async def _on_known(connection: HTTPConnection, error: Exception) -> Response | None:
    assert isinstance(error, SurveillxError)  # noqa: S101 - registered for nothing else
    if isinstance(connection, WebSocket):
        await _close(connection, error)
        return None
    return problem_of(error)


async def _on_http(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101
    words = {404: "There is nothing at this address.", 405: "This address does not take that method."}
    detail = words.get(error.status_code, str(error.detail))
    if error.status_code < 400:
        return Response(status_code=error.status_code, headers=error.headers)
    return problem(error.status_code, detail, headers=error.headers)


async def _on_invalid(connection: HTTPConnection, error: Exception) -> Response | None:
    assert isinstance(error, RequestValidationError | WebSocketRequestValidationError)  # noqa: S101
    return await _on_known(connection, _invalid(error.errors()))


def _invalid(faults: Sequence[Any]) -> SurveillxError:
    """Say what is wrong where. Neither the values nor the names that the client made up are repeated."""
    if any(fault["type"] == "json_invalid" for fault in faults):
        return BadRequest("The body is not JSON.", reason="not_json")
    words = sorted({_words(fault) for fault in faults})
    return Unprocessable("; ".join(words) + ".", reason="invalid")


def _words(fault: Mapping[str, Any]) -> str:
    if fault["type"] == "extra_forbidden":
        return "There is a field that does not belong here"
    place = [str(part) for part in fault["loc"][1:2] if isinstance(part, str) and part.isidentifier()]
    return f"{(place or fault['loc'])[0]}: {fault['msg']}"


async def _on_disconnect(_request: Request, _error: Exception) -> Response:
    return problem(
        400, "The connection was closed before the body was complete."
    )  # for the access log; nobody is there


async def _on_unexpected(request: Request, error: Exception) -> Response:
    logger.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return problem(500, "Something went wrong in the server; its log says what.")


async def _close(socket: WebSocket, error: SurveillxError) -> None:
    if socket.client_state is WebSocketState.DISCONNECTED or socket.application_state is WebSocketState.DISCONNECTED:
        return
    if socket.application_state is WebSocketState.CONNECTING:
        await socket.accept()
    code = POLICY_VIOLATION if error.status < 500 else TRY_AGAIN_LATER if error.status == 503 else INTERNAL_ERROR
    reason = error.detail.encode()[:MAX_CLOSE_REASON_BYTES].decode(errors="ignore")
    await socket.close(code, reason)
