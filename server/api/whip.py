"""`/whip/*` (RFC 9725) and `/whep/*` (draft-ietf-wish-whep-03): the doors for programs that others wrote.

They lead to the same sessions as `/webrtc/*`, through the same gate; what differs is how HTTP says it. A session's
address is its endpoint's with the session's id. Errors are those of `problems`, with the headers that the two documents
want. Pages of other origins get in where `allowed_origins` names them.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Awaitable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Query, Request, Response
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..access import client_address
from ..annotate import PictureKind
from ..callers import Caller, allow, allow_owner
from ..errors import BadRequest, SurveillxError, Unprocessable, UnsupportedMediaType
from ..limits import Kind
from ..renditions import RenditionName
from ..sdp import TooManySections
from ..sessions import Opened, Session
from ..trickle import MEDIA_TYPE as FRAGMENT
from ..trickle import parse_fragment
from ..turn import ice_servers
from .auth import PUBLISH, VIEW, CallerDep
from .embedding import DOORS, PREFLIGHT_S
from .opening import Wanted, open_publisher, open_viewer, require_patience
from .parts import Parts, PartsDep

SDP = "application/sdp"
METHODS = "OPTIONS, GET, HEAD, POST, PATCH, DELETE"
ENDPOINT_ALLOWS, SESSION_ALLOWS = "OPTIONS, GET, HEAD, POST", "OPTIONS, GET, HEAD, PATCH, DELETE"


class PreconditionRequired(SurveillxError):
    """A change without `If-Match` (RFC 6585 section 3)."""

    status = 428
    title = "If-Match needed"


class PreconditionFailed(SurveillxError):
    """`If-Match` names an ICE session that is over (RFC 9110 section 15.5.13)."""

    status = 412
    title = "No longer so"


def _body(media_type: str) -> dict[str, Any]:
    """What OpenAPI should say of a body that is no JSON."""
    return {"requestBody": {"required": True, "content": {media_type: {"schema": {"type": "string"}}}}}


PUBLISHING = [PUBLISH]
VIEWING = [VIEW]
ASKING = [Depends(require_patience)]

router = APIRouter(tags=["whip"], default_response_class=Response)


@router.post("/whip/{camera_id}", status_code=201, dependencies=PUBLISHING + ASKING, openapi_extra=_body(SDP))
async def publish(camera_id: str, request: Request, parts: PartsDep, caller: CallerDep) -> Response:
    """A program offers a camera's picture; 201 with the answer."""
    offer = await _offer(request)
    return _created(
        request, await _opened(open_publisher(parts, caller, camera_id, offer, client_address(request.scope))), parts
    )


@router.post("/whep/{camera_id}", status_code=201, dependencies=VIEWING + ASKING, openapi_extra=_body(SDP))
async def view(
    camera_id: str,
    request: Request,
    parts: PartsDep,
    caller: CallerDep,
    rendition: Annotated[RenditionName, Query(description="what to begin with")] = "720p",
    picture: Annotated[PictureKind, Query(description="with boxes and names, or without")] = "annotated",
) -> Response:
    """A program asks for a camera's picture; 201 with the answer, 409 while nobody publishes."""
    offer = await _offer(request)
    wanted = Wanted(rendition, picture, needs_publisher=True)
    return _created(
        request,
        await _opened(open_viewer(parts, caller, camera_id, offer, wanted, client_address(request.scope))),
        parts,
    )


@router.get("/whip/{camera_id}", status_code=204, dependencies=PUBLISHING)
@router.head("/whip/{camera_id}", status_code=204, dependencies=PUBLISHING, include_in_schema=False)
async def look_at_whip(camera_id: str, caller: CallerDep) -> Response:
    """Nothing to read here (RFC 9725 section 4.1); the camera need not exist before it first publishes."""
    allow(caller, "publish", camera_id)
    return Response(status_code=204)


@router.get("/whep/{camera_id}", status_code=204, dependencies=VIEWING)
async def look_at_whep(camera_id: str, parts: PartsDep, caller: CallerDep) -> Response:
    """Nothing to read here."""
    allow(caller, "view", parts.cameras.get(camera_id).id)
    return Response(status_code=204)


@router.head("/whep/{camera_id}", dependencies=VIEWING)
async def probe_whep(camera_id: str, parts: PartsDep, caller: CallerDep) -> Response:
    """A player asks what is spoken here."""
    allow(caller, "view", parts.cameras.get(camera_id).id)
    return Response(media_type=SDP)


@router.options("/whip/{camera_id}")
@router.options("/whep/{camera_id}")
@router.options("/whip/{camera_id}/{session_id}")
@router.options("/whep/{camera_id}/{session_id}")
async def options() -> Response:
    """What may be sent here, and by pages of which origins; browsers ask without a token."""
    return Response(headers={"Accept-Post": SDP, "Accept-Patch": FRAGMENT})


@router.get("/whip/{camera_id}/{session_id}", status_code=204, dependencies=PUBLISHING)
@router.head("/whip/{camera_id}/{session_id}", status_code=204, dependencies=PUBLISHING, include_in_schema=False)
async def look_at_publisher(camera_id: str, session_id: str, parts: PartsDep, caller: CallerDep) -> Response:
    """Whether the session is open."""
    allow_owner(caller, parts.sessions.find("publisher", camera_id, session_id).owner)
    return Response(status_code=204)


@router.get("/whep/{camera_id}/{session_id}", status_code=204, dependencies=VIEWING)
@router.head("/whep/{camera_id}/{session_id}", status_code=204, dependencies=VIEWING, include_in_schema=False)
async def look_at_viewer(camera_id: str, session_id: str, parts: PartsDep, caller: CallerDep) -> Response:
    """Whether the session is open."""
    allow_owner(caller, parts.sessions.find("viewer", camera_id, session_id).owner)
    return Response(status_code=204)


@router.patch(
    "/whip/{camera_id}/{session_id}", status_code=204, dependencies=PUBLISHING + ASKING, openapi_extra=_body(FRAGMENT)
)
async def trickle_publisher(
    camera_id: str, session_id: str, request: Request, parts: PartsDep, caller: CallerDep
) -> Response:
    """A publisher's later candidates."""
    return await _trickle(_found("publisher", camera_id, session_id, parts, caller), request)


@router.patch(
    "/whep/{camera_id}/{session_id}", status_code=204, dependencies=VIEWING + ASKING, openapi_extra=_body(FRAGMENT)
)
async def trickle_viewer(
    camera_id: str, session_id: str, request: Request, parts: PartsDep, caller: CallerDep
) -> Response:
    """A viewer's later candidates."""
    return await _trickle(_found("viewer", camera_id, session_id, parts, caller), request)


@router.delete("/whip/{camera_id}/{session_id}", dependencies=PUBLISHING + ASKING)
async def end_publisher(camera_id: str, session_id: str, parts: PartsDep, caller: CallerDep) -> Response:
    """A publisher goes; all its session held is free when the answer comes."""
    return await _end(_found("publisher", camera_id, session_id, parts, caller), parts)


@router.delete("/whep/{camera_id}/{session_id}", dependencies=VIEWING + ASKING)
async def end_viewer(camera_id: str, session_id: str, parts: PartsDep, caller: CallerDep) -> Response:
    """A viewer goes; all its session held is free when the answer comes."""
    return await _end(_found("viewer", camera_id, session_id, parts, caller), parts)


class Doors:
    """ASGI middleware: the headers that every answer of these addresses has, whatever made it."""

    def __init__(self, app: ASGIApp, allowed_origins: tuple[str, ...]) -> None:
        self._app = app
        self._allowed_origins = allowed_origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and its answer back with what belongs to it."""
        if scope["type"] != "http" or not scope["path"].startswith(DOORS):
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._complete(Request(scope), message["status"], MutableHeaders(scope=message))
            await send(message)

        await self._app(scope, receive, send_with_headers)

    def _complete(self, request: Request, status: int, headers: MutableHeaders) -> None:
        headers["Access-Control-Expose-Headers"] = "Location, ETag, Link, Accept-Post, Retry-After"
        if request.method == "OPTIONS":
            headers["Access-Control-Allow-Methods"] = METHODS
            headers["Access-Control-Allow-Headers"] = "Authorization, Content-Type, If-Match"
            headers["Access-Control-Max-Age"] = str(PREFLIGHT_S)
        origin = request.headers.get("origin")
        headers.add_vary_header("Origin")
        if origin in self._allowed_origins:
            headers["Access-Control-Allow-Origin"] = origin
        if status == 405:  # Starlette names only the methods of the first route that has this path
            headers["Allow"] = SESSION_ALLOWS if request.url.path.count("/") > 2 else ENDPOINT_ALLOWS


def install(app: FastAPI, allowed_origins: tuple[str, ...]) -> None:
    """Put `Doors` around `app`."""
    app.add_middleware(Doors, allowed_origins=allowed_origins)


async def _offer(request: Request) -> str:
    if _content_type(request) != SDP:
        raise UnsupportedMediaType(f"Send the offer with Content-Type: {SDP}.", headers={"Accept-Post": SDP})
    return await _text(request)


async def _text(request: Request) -> str:
    try:
        return (await request.body()).decode()
    except UnicodeDecodeError as error:
        raise BadRequest("The body is not text in UTF-8.", reason="sdp") from error


async def _opened(opening: Awaitable[Opened]) -> Opened:
    """The session, where what the offer contains can be served: the content type is right, so 415 would mislead.

    Raises:
        Unprocessable: two video sections, or no codec that is spoken here.
    """
    try:
        return await opening
    except (TooManySections, UnsupportedMediaType) as error:
        raise Unprocessable(error.detail, reason=error.reason) from error


def _created(request: Request, opened: Opened, parts: Parts) -> Response:
    response = Response(opened.sdp, 201, media_type=SDP)
    # Relative, so that it is right behind any proxy (RFC 9110 section 10.2.2).
    response.headers["Location"] = f"{request.url.path.rstrip('/')}/{opened.session_id}"
    response.headers["ETag"] = opened.etag
    response.headers["Cache-Control"] = "no-store"
    for link in _links(parts):
        response.headers.append("Link", link)
    return response


def _links(parts: Parts) -> list[str]:
    """The TURN servers this peer may use, one a URL (RFC 9725 section 4.6)."""
    return [
        f'<{url}>; rel="ice-server"; username="{server.username}"; credential="{server.credential}"; '
        'credential-type="password"'
        for server in ice_servers(parts.settings, secrets.token_hex(8), time.time())
        for url in server.urls
    ]


def _found(kind: Kind, camera_id: str, session_id: str, parts: Parts, caller: Caller) -> Session:
    """The session, where it is the caller's."""
    session = parts.sessions.find(kind, camera_id, session_id)
    allow_owner(caller, session.owner)
    return session


async def _trickle(session: Session, request: Request) -> Response:
    if _content_type(request) != FRAGMENT:
        raise UnsupportedMediaType(
            f"Send candidates with Content-Type: {FRAGMENT}.", headers={"Accept-Patch": FRAGMENT}
        )
    _require_match(request.headers.get("if-match"), session.ice.etag)
    await session.trickle(parse_fragment(await _text(request)))
    return Response(status_code=204)


def _require_match(if_match: str | None, etag: str) -> None:
    if if_match is None:
        raise PreconditionRequired("Send If-Match with the ETag of the answer, so that no old candidate is taken.")
    wanted = {each.strip() for each in if_match.split(",")}
    if not wanted & {"*", etag}:
        raise PreconditionFailed("This ICE session is over: its ETag is another one now.")


async def _end(session: Session, parts: Parts) -> Response:
    await parts.sessions.close(session.id)
    return Response()


def _content_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()
