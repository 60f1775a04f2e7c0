"""Who may send a body at all, decided before any of it is read.

FastAPI reads and parses a body before it asks the dependencies of its route who sends it: a stranger could have 200 MB
taken in and thrown away. The routes ask again, and more exactly.
"""

from __future__ import annotations

from fastapi import FastAPI
from fastapi.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from ..callers import allow
from ..errors import SurveillxError
from .auth import SAFE_METHODS, find_caller
from .parts import parts
from .problems import answer_unread

# Signing in and out has rules of its own; so has Socket.IO.
FOR_EVERYBODY = ("/login", "/logout", "/socket.io/")
FOR_STAFF = "/api/people"  # photos: the only large bodies


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
            await answer_unread(error, scope, receive, send)
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
