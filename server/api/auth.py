"""Who asks, and what they may: the dependencies of the routes, and signing in and out with a cookie.

Programs send `Authorization: Bearer TOKEN`. A browser signs in once at `POST /login` and is known by an HttpOnly
cookie; because it sends that cookie whoever's page asks, everything but reading then also needs an `Origin` of our own
(https://owasp.org/www-community/attacks/csrf). A token in a URL is never accepted. Every route is public, or names the
right it needs (`VIEW`, `STAFF`, ...), and calls `allow` once it has loaded the camera or the session that is asked for.
The dependencies work for requests and for WebSockets; `problems` turns what they raise into 401, 403 or 429, or into
close code 1008.
"""

from __future__ import annotations

import json
import math
import re
from typing import Annotated
from urllib.parse import parse_qs, urlsplit

from fastapi import APIRouter, Depends
from fastapi.requests import HTTPConnection, Request
from fastapi.responses import RedirectResponse, Response

from ..access import COOKIE, DAY_S, bearer, client_address, signature
from ..callers import Caller, Right, acting, allow
from ..errors import BadRequest, Forbidden, SurveillxError, Unauthorized, UnsupportedMediaType
from .embedding import authorization
from .parts import Parts, PartsDep

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"

router = APIRouter(tags=["auth"])


class TooManyGuesses(SurveillxError):
    """Wrong tokens or passwords came too often from this address."""

    status = 429
    title = "Too many attempts"


async def find_caller(connection: HTTPConnection, parts: PartsDep) -> Caller:
    """Who asks: by bearer token, else by cookie and from our own page, else anyone.

    Raises:
        Unauthorized: a wrong token. Forbidden: another site's page. TooManyGuesses: too many wrong tokens.
    """
    if token := bearer(authorization(connection)):
        caller = _by_token(connection, parts, token)
    elif found := parts.access.by_cookie(connection.cookies):
        _require_same_origin(connection, is_needed=True)
        caller = found
    else:
        caller = parts.access.anyone(connection.scope)
        if caller.rights and connection.headers.get("origin") not in parts.settings.allowed_origins:
            _require_same_origin(connection, is_needed=False)
    acting.set(signature(caller, connection.scope))
    return caller


CallerDep = Annotated[Caller, Depends(find_caller)]


class Needs:
    """A dependency that lets pass who has one of `rights`, for any camera."""

    def __init__(self, *rights: Right) -> None:
        self.rights = rights

    async def __call__(self, caller: CallerDep) -> None:
        """Let pass, or not.

        Raises:
            Unauthorized, Forbidden, TooManyGuesses: see `find_caller` and `allow`.
        """
        if not any(caller.may(right) for right in self.rights):
            allow(caller, self.rights[0])


VIEW, PUBLISH, STAFF = Depends(Needs("view")), Depends(Needs("publish")), Depends(Needs("staff"))
METRICS, ADMIN = Depends(Needs("metrics")), Depends(Needs("admin"))
VIEW_OR_PUBLISH = Depends(Needs("view", "publish"))


@router.post("/login")
async def login(request: Request, parts: PartsDep) -> Response:
    """Exchange `name` and `password`, or a `token`, for a cookie; with `next` they come as a form or as JSON."""
    _require_same_origin(request, is_needed=False)
    fields = await _fields(request)
    _require_patience(request, parts)
    name, token = fields.get("name", ""), fields.get("token", "")
    if name:
        # Counted before it is looked at: many at once are as many guesses.
        parts.access.guesses.add(client_address(request.scope))
        secret = await parts.access.sign_in_by_name(name, fields.get("password", ""))
    else:
        secret = await parts.access.sign_in_by_token(token)
    if secret is None:
        if not name:
            parts.access.guesses.add(client_address(request.scope))
        acting.set(f"({client_address(request.scope)})")
        parts.audit.later("sign_in_refused", "A wrong name, password or token.", once=True)
        raise Unauthorized("The name or the password is wrong." if name else "This is not the right token.")
    if name:
        parts.access.guesses.forgive(client_address(request.scope))
    return _signed_in(request, parts, secret, same_site_path(fields.get("next", "")))


@router.post("/logout")
async def logout(request: Request, parts: PartsDep) -> Response:
    """Take the cookie back; with `everywhere`, sign the account out of every browser."""
    _require_same_origin(request, is_needed=False)
    fields = await _fields(request) if await request.body() else {}
    caller = parts.access.by_cookie(request.cookies)
    if caller is not None:
        acting.set(signature(caller, request.scope))
        everywhere = bool(fields.get("everywhere"))
        await parts.access.sign_out(request.cookies.get(COOKIE, ""), everywhere=everywhere)
        parts.audit.later("signed_out", "Signed out everywhere." if everywhere else "Signed out.")
    response = _done(request, "/login")
    response.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return response


def same_site_path(target: str) -> str:
    """`target` when it is a path of this site, else `/`.

    Browsers read `//host` and `/\\host` as another site, and drop control characters before they read at all.
    """
    return target if re.fullmatch(r"/(?![/\\])[^\\\x00-\x20\x7f]*", target) else "/"


def _signed_in(request: Request, parts: Parts, secret: str, target: str) -> Response:
    caller = parts.access.by_cookie({COOKIE: secret})
    if caller is not None:
        acting.set(signature(caller, request.scope))
        parts.audit.later("signed_in", "Signed in.")
    response = _done(request, target)
    response.set_cookie(
        COOKIE,
        secret,
        max_age=int(parts.settings.sign_in_days * DAY_S),
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return response


def _by_token(connection: HTTPConnection, parts: Parts, token: str) -> Caller:
    """Look at a token, unless too many wrong ones came from there just now.

    The right one waits as well: if it passed, guessing would go on through the refusals.
    """
    _require_patience(connection, parts)
    caller = parts.access.by_token(token)
    if caller is None:
        parts.access.guesses.add(client_address(connection.scope))
        raise Unauthorized("This is not the right token, or it has expired or was revoked.")
    return caller


def _require_patience(connection: HTTPConnection, parts: Parts) -> None:
    if wait_s := parts.access.guesses.wait_s(client_address(connection.scope)):
        raise TooManyGuesses(
            "Too many wrong tokens or passwords came from this address. Wait a minute, then try again.",
            headers={"Retry-After": str(math.ceil(wait_s))},
        )


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
    raise UnsupportedMediaType(f"Send this as {JSON} or {FORM}.")


def _content_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _done(request: Request, target: str) -> Response:
    """A form's page goes on to `target`; a script only needs to know."""
    if _content_type(request) == FORM:
        return RedirectResponse(target, 303)
    return Response(status_code=204)
