"""The player on pages of other origins: which may use it, and how a browser's WebSocket shows its token.

`SURVEILLX_ALLOWED_ORIGINS` names them. To those, and to no others, the answers say so (CORS, https://fetch.spec.whatwg.org),
never with cookies: a page of another origin shows a bearer token, or needs none because viewing is open.
"""

from __future__ import annotations

import base64
import binascii

from fastapi import FastAPI
from fastapi.requests import HTTPConnection
from starlette.middleware.cors import CORSMiddleware
from starlette.types import Receive, Scope, Send

# Browsers cannot set a header with a WebSocket, and a URL ends up in logs: the token comes as an offered subprotocol
# (RFC 6455 section 1.9), base64url because not every token has the characters of one. This one is accepted.
SUBPROTOCOL = "surveillx"
_TOKEN_PREFIX = "surveillx.bearer."  # noqa: S105 - no token
PREFLIGHT_S = 600
# WHIP's and WHEP's endpoints and sessions.
DOORS = ("/whip/", "/whep/")


def install(app: FastAPI, allowed_origins: tuple[str, ...]) -> None:
    """Let pages of these origins read what the player needs; with none of them nothing changes."""
    if allowed_origins:
        app.add_middleware(
            _PlayersRoutes,
            allow_origins=allowed_origins,
            allow_methods=["GET", "POST", "PATCH", "DELETE"],
            allow_headers=["Authorization", "Content-Type"],
            expose_headers=["Retry-After"],
            max_age=PREFLIGHT_S,
        )


class _PlayersRoutes(CORSMiddleware):
    """All but WHIP and WHEP, which have a longer list (`whip.Doors`)."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer preflights, and say in the answers who may read them."""
        is_other = scope["type"] == "http" and scope["path"].startswith(DOORS)
        await (self.app if is_other else super().__call__)(scope, receive, send)


def authorization(connection: HTTPConnection) -> str | None:
    """The `Authorization` header, or of a browser's WebSocket what stands for it; None where there is neither."""
    header = connection.headers.get("authorization")
    if header is not None or connection.scope["type"] != "websocket":
        return header
    for offered in connection.scope.get("subprotocols", ()):
        if offered.startswith(_TOKEN_PREFIX):
            return f"Bearer {_decoded(offered.removeprefix(_TOKEN_PREFIX))}"
    return None


def subprotocol(connection: HTTPConnection) -> str | None:
    """What to accept of the subprotocols that were offered: a browser gives up when it is none of them."""
    return SUBPROTOCOL if SUBPROTOCOL in connection.scope.get("subprotocols", ()) else None


def _decoded(text: str) -> str:
    """The token; what is none cannot be right, and is refused like any wrong one."""
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
    except (binascii.Error, ValueError):
        return text
