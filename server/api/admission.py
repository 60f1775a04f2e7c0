"""Who may send a body at all, decided before any of it is read.

FastAPI reads and parses a body before it asks the dependencies of its route who sends it: a stranger could have 200 MB
taken in and thrown away. The routes ask again, and more exactly.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from fastapi import FastAPI
from fastapi.requests import HTTPConnection
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..callers import allow
from ..errors import SurveillxError
from .auth import SAFE_METHODS, find_caller
from .parts import parts
from .problems import problem_of

# Signing in and out has rules of its own; so has Socket.IO.
FOR_EVERYBODY = ("/login", "/logout", "/socket.io/")
FOR_STAFF = "/api/people"  # photos: the only large bodies
LINGER_S = 2.0


class Admission:
    """ASGI middleware that answers whoever may nothing here."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it unread."""
        if scope["type"] != "http" or scope["method"] in SAFE_METHODS or scope["path"].startswith(FOR_EVERYBODY):
            await self._app(scope, receive, send)
            return
        try:
            await _admit(HTTPConnection(scope))
        except SurveillxError as error:
            await _refuse(error, scope, receive, send)
        else:
            await self._app(scope, receive, send)


def install(app: FastAPI) -> None:
    """Put `Admission` around `app`."""
    app.add_middleware(Admission)


async def _admit(connection: HTTPConnection) -> None:
    caller = await find_caller(connection, parts(connection))
    if connection.scope["path"].startswith(FOR_STAFF):
        allow(caller, "staff")
    elif not caller.rights:
        allow(caller, "view")


async def _refuse(error: SurveillxError, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer, then let the client send on for a moment and ignore it (RFC 9112 section 9.6).

    Closed with bytes that nobody has read, TCP resets the connection: a client that sends before it reads would never
    see the answer. One that waits to be asked for its body (100-continue) has not begun.
    """

    async def send_open(message: Message) -> None:
        await send({**message, "more_body": True} if message["type"] == "http.response.body" else message)

    response = problem_of(error)
    response.headers["Connection"] = "close"
    await response(scope, receive, send_open)
    if "expect" not in Headers(scope=scope):
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER_S):
                while (await receive()).get("more_body", False):
                    pass
    await send({"type": "http.response.body", "body": b""})
