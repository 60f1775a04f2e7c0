"""Opening sessions for the two doors, `/webrtc` and WHIP/WHEP: who may, and the line in the audit."""

from __future__ import annotations

import math
from dataclasses import dataclass

from fastapi import Request

from ..access import client_address
from ..annotate import PictureKind
from ..callers import Caller, allow
from ..camera_id import require_camera_id
from ..errors import TooManyRequests
from ..rates import network_of
from ..renditions import RenditionName
from ..sessions import Opened
from .parts import Parts, PartsDep


@dataclass(frozen=True)
class Wanted:
    """What a viewer wants to begin with."""

    rendition: RenditionName = "720p"
    picture: PictureKind = "annotated"
    needs_publisher: bool = False


async def require_patience(request: Request, parts: PartsDep) -> None:
    """Let an address open, change and end sessions only so often.

    Raises:
        TooManyRequests: with `Retry-After`.
    """
    if wait_s := parts.session_requests.wait_s(client_address(request.scope)):
        raise TooManyRequests(
            "Too many requests came from this address. Try again in a moment.",
            reason="rate",
            headers={"Retry-After": str(math.ceil(wait_s))},
        )


async def open_publisher(parts: Parts, caller: Caller, camera_id: str, offer_sdp: str, address: str) -> Opened:
    """A publisher's session, of the client at `address`; the camera appears when it first publishes.

    Raises:
        Unauthorized, Forbidden: the caller may not publish as this camera. And all of `SessionRegistry.publish`.
    """
    allow(caller, "publish", require_camera_id(camera_id))
    opened = await parts.sessions.publish(camera_id, offer_sdp, caller, network_of(address))
    parts.audit.later("published", f"Camera {camera_id} was published.", once=True)
    return opened


async def open_viewer(
    parts: Parts, caller: Caller, camera_id: str, offer_sdp: str, wanted: Wanted, address: str
) -> Opened:
    """A viewer's session, of the client at `address`.

    Raises:
        Unauthorized, Forbidden: the caller may not watch this camera. And all of `SessionRegistry.view`.
    """
    allow(caller, "view", parts.cameras.get(camera_id).id)
    opened = await parts.sessions.view(
        camera_id,
        offer_sdp,
        wanted.rendition,
        wanted.picture,
        caller,
        needs_publisher=wanted.needs_publisher,
        address=network_of(address),
    )
    parts.audit.later("watched", f"Camera {camera_id} was watched.", once=True)
    return opened
