"""`/webrtc/*`: offers in, answers out, sessions changed and deleted."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from ..access import client_address
from ..annotate import PictureKind
from ..callers import allow_owner
from ..errors import Unprocessable, UnsupportedMediaType
from ..renditions import RenditionName
from .auth import PUBLISH, VIEW, VIEW_OR_PUBLISH, CallerDep
from .opening import Wanted, open_publisher, open_viewer, require_patience
from .parts import PartsDep

router = APIRouter(prefix="/webrtc", tags=["signalling"], dependencies=[Depends(require_patience)])


class Offer(BaseModel):
    """A WebRTC offer; the answer comes with all of the server's candidates, so nothing is trickled."""

    model_config = ConfigDict(extra="ignore")

    sdp: str
    type: Literal["offer"]
    camera_id: Annotated[str | int, Field(union_mode="left_to_right")] = "1"


class ViewerOffer(Offer):
    """A viewer's offer. `rendition` is what to begin with, for a viewer that knows its line to be slow.

    `picture` is with boxes and names drawn in, or clean; hidden faces are pixelated in both.
    """

    rendition: RenditionName = "720p"
    picture: PictureKind = "annotated"


class Wish(BaseModel):
    """What a viewer wants to be sent from now on; what is absent stays.

    `rendition` "360p": that one at most, for a picture that is shown small; "auto": as good as the line carries.
    """

    model_config = ConfigDict(extra="forbid")

    picture: PictureKind | None = None
    rendition: Literal["auto", "360p"] | None = None


class Answer(BaseModel):
    """The answer, and the session it belongs to."""

    sdp: str
    type: Literal["answer"] = "answer"
    session_id: str


async def require_json(request: Request) -> None:
    """Take offers as JSON only.

    Raises:
        UnsupportedMediaType: the body says it is something else.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise UnsupportedMediaType("Send the offer with Content-Type: application/json.")


@router.post("/streamer", dependencies=[PUBLISH, Depends(require_json)])
async def publish(offer: Offer, request: Request, parts: PartsDep, caller: CallerDep) -> Answer:
    """A camera PC offers its picture."""
    opened = await open_publisher(parts, caller, str(offer.camera_id), offer.sdp, client_address(request.scope))
    return Answer(sdp=opened.sdp, session_id=opened.session_id)


@router.post("/viewer", dependencies=[VIEW, Depends(require_json)])
async def view(offer: ViewerOffer, request: Request, parts: PartsDep, caller: CallerDep) -> Answer:
    """A browser asks for a camera's picture."""
    wanted = Wanted(offer.rendition, offer.picture)
    opened = await open_viewer(parts, caller, str(offer.camera_id), offer.sdp, wanted, client_address(request.scope))
    return Answer(sdp=opened.sdp, session_id=opened.session_id)


@router.patch("/sessions/{session_id}", status_code=204, dependencies=[VIEW_OR_PUBLISH, Depends(require_json)])
async def change(session_id: str, wish: Wish, parts: PartsDep, caller: CallerDep) -> Response:
    """A viewer wants the other picture, or a smaller one; it comes with its next keyframe, on the same connection."""
    if wish.picture is None and wish.rendition is None:
        raise Unprocessable("Say what to change: picture or rendition.", reason="invalid")
    allow_owner(caller, parts.sessions.owner(session_id))
    viewing = parts.sessions.viewing(session_id)
    if wish.picture is not None:
        viewing.show(wish.picture)
    if wish.rendition is not None:
        viewing.limit(None if wish.rendition == "auto" else wish.rendition)
    return Response(status_code=204)


@router.delete("/sessions/{session_id}", status_code=204, dependencies=[VIEW_OR_PUBLISH])
async def close(session_id: str, parts: PartsDep, caller: CallerDep) -> Response:
    """A publisher or viewer goes; all its session held is free when the answer comes."""
    allow_owner(caller, parts.sessions.owner(session_id))
    await parts.sessions.close(session_id)
    return Response(status_code=204)
