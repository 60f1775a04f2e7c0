"""Who may do what: dependencies for the routes, and signing in with a cookie.

Programs send `Authorization: Bearer TOKEN`. A browser signs in once at `POST /login` and is known by an HttpOnly
cookie; because it sends that cookie whoever's page asks, everything but reading then also needs an `Origin` of our own
(https://owasp.org/www-community/attacks/csrf). A token in a URL is never accepted. The dependencies work for requests
and for WebSockets; `problems` turns what they raise into 401, 403 or 429, or into close code 1008.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

from fastapi import APIRouter
from fastapi.requests import HTTPConnection, Request
from fastapi.responses import RedirectResponse, Response

from ..access import COOKIE, bearer
from ..errors import BadRequest, Forbidden, SurveillxError, Unauthorized, UnsupportedMediaType
from .embedding import authorization
from .parts import Parts, PartsDep

COOKIE_MAX_AGE_S = 30 * 24 * 3600
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"

router = APIRouter(tags=["auth"])


class TooManyGuesses(SurveillxError):
    """Wrong tokens came too often from this address."""

    status = 429
    title = "Too many attempts"


async def require_view(connection: HTTPConnection, parts: PartsDep) -> None:
    """Let only viewers pass: by bearer token, or by cookie and from our own page.

    Raises:
        Unauthorized, Forbidden, TooManyGuesses: see above.
    """
    header = authorization(connection)
    if bearer(header):
        _try(connection, parts, lambda: parts.access.may_view(header, None))
    elif not parts.access.may_view(None, connection.cookies.get(COOKIE)):
        raise Unauthorized("Sign in with the view token first.")
    elif not (parts.access.view_is_open and _is_allowed(connection, parts)):
        _require_same_origin(connection, is_needed=not parts.access.view_is_open)


async def require_publish(connection: HTTPConnection, parts: PartsDep) -> None:
    """Let only publishers pass, by bearer token.

    Raises:
        Unauthorized, Forbidden, TooManyGuesses: see above.
    """
    header = connection.headers.get("authorization")
    if bearer(header):
        _try(connection, parts, lambda: parts.access.may_publish(header))
    elif not parts.access.may_publish(None):
        raise Unauthorized("Publishing needs the publish token (SURVEILLX_PUBLISH_TOKEN).")
    else:
        _require_same_origin(connection, is_needed=False)


async def require_either(connection: HTTPConnection, parts: PartsDep) -> None:
    """Let publishers and viewers pass.

    Raises:
        Unauthorized, Forbidden, TooManyGuesses: see above.
    """
    header = connection.headers.get("authorization")
    if parts.access.may_publish(None):
        if not _is_allowed(connection, parts):
            _require_same_origin(connection, is_needed=False)
    elif bearer(header):
        _try(connection, parts, lambda: parts.access.may_publish(header) or parts.access.may_view(header, None))
    else:
        await require_view(connection, parts)


@router.post("/login")
async def login(request: Request, parts: PartsDep) -> Response:
    """Exchange the view token for a cookie; `token` and `next` come as a form or as JSON."""
    _require_same_origin(request, is_needed=False)
    fields = await _fields(request)
    header = f"Bearer {fields.get('token', '')}"
    _try(request, parts, lambda: parts.access.may_view(header, None))
    response = _done(request, same_site_path(fields.get("next", "")))
    response.set_cookie(
        COOKIE,
        parts.access.view_cookie(),
        max_age=COOKIE_MAX_AGE_S,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return response


@router.post("/logout")
async def logout(request: Request) -> Response:
    """Take the cookie back."""
    _require_same_origin(request, is_needed=False)
    response = _done(request, "/login")
    response.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return response


def same_site_path(target: str) -> str:
    """`target` when it is a path of this site, else `/`.

    Browsers read `//host` and `/\\host` as another site, and drop control characters before they read at all.
    """
    return target if re.fullmatch(r"/(?![/\\])[^\\\x00-\x20\x7f]*", target) else "/"


def _try(connection: HTTPConnection, parts: Parts, is_right: Callable[[], bool]) -> None:
    """Look at a token, unless too many wrong ones came from there just now.

    The right one waits as well: if it passed, guessing would go on through the refusals.
    """
    address = connection.client.host if connection.client else ""
    wait_s = parts.access.guesses.wait_s(address)
    if wait_s:
        raise TooManyGuesses(
            "Too many wrong tokens came from this address. Wait a minute, then try again.",
            headers={"Retry-After": str(math.ceil(wait_s))},
        )
    if not is_right():
        parts.access.guesses.add(address)
        raise Unauthorized("This is not the right token.")


def _is_allowed(connection: HTTPConnection, parts: Parts) -> bool:
    """Whether a page asks that may embed the player."""
    return connection.headers.get("origin") in parts.settings.allowed_origins


def _require_same_origin(connection: HTTPConnection, *, is_needed: bool) -> None:
    """Refuse what another site's page sends in a signed-in browser's name.

    Only host and port are compared: behind a proxy that ends TLS our scheme is not the browser's. A browser always
    sends `Origin` with unsafe methods and WebSockets; a program does not, which is fine where no cookie counts.
    """
    if connection.scope.get("method") in SAFE_METHODS:
        return
    origin = connection.headers.get("origin")
    if origin is None and not is_needed:
        return
    host = connection.headers.get("host", "").lower()
    if not host or _host(origin or "") != host:
        raise Forbidden(
            "Another site's page sent this. If a proxy is in between, it must pass the Host header on.",
            reason="other_origin",
        )


def _host(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


async def _fields(request: Request) -> dict[str, str]:
    """The body's text fields; `problems` has limited its size."""
    body = await request.body()
    try:
        if _content_type(request) == FORM:
            return {name: values[-1] for name, values in parse_qs(body.decode(), max_num_fields=10).items()}
        if _content_type(request) == JSON:
            return {name: value for name, value in json.loads(body).items() if isinstance(value, str)}
    except (ValueError, AttributeError, RecursionError) as error:
        raise BadRequest("The body cannot be read.") from error
    raise UnsupportedMediaType(f"Send the token as {JSON} or {FORM}.")


def _content_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _done(request: Request, target: str) -> Response:
    """A form's page goes on to `target`; a script only needs to know."""
    if _content_type(request) == FORM:
        return RedirectResponse(target, 303)
    return Response(status_code=204)
