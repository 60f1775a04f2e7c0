"""`GET /api/ice-servers`: the relays that a browser or a publisher may use where nothing else leads to the server."""

from __future__ import annotations

import secrets
import time
from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Response

from ..turn import ice_servers
from .auth import VIEW_OR_PUBLISH
from .parts import PartsDep

router = APIRouter(prefix="/api", tags=["signalling"])


@router.get("/ice-servers", dependencies=[VIEW_OR_PUBLISH])
async def servers(response: Response, parts: PartsDep) -> list[dict[str, Any]]:
    """As `RTCPeerConnection` takes them: urls, username and credential; an empty list without a TURN server."""
    response.headers["Cache-Control"] = "no-store"
    return [asdict(each) for each in ice_servers(parts.settings, secrets.token_hex(8), time.time())]
