"""`WS /ws/events`: results, attendance and cameras' changes as they happen, one JSON object a message.

A client that does not keep up loses detections, the oldest first (`EventBus`); nobody waits for it. Refusals are
close codes, see `problems`. A client may ask for the time, to compare clocks; all else that it sends is ignored.
"""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from ..access import NO_LONGER, Access
from ..callers import Caller, allow
from ..events import TYPES, Event, ServerChanged, Subscription, message
from .auth import VIEW, CallerDep
from .embedding import subprotocol
from .parts import PartsDep
from .problems import POLICY_VIOLATION

router = APIRouter(tags=["events"])

CLOCK_REQUEST_CHARACTERS = 100


@router.websocket("/ws/events", dependencies=[VIEW])
async def events(
    socket: WebSocket, parts: PartsDep, caller: CallerDep, camera_id: str | None = None, types: str | None = None
) -> None:
    """Send the events of one camera, or of all that may be watched; of some `types` (separated by commas) or of all.

    First comes the present state of each camera, of the server, and of the viewers without the best rendition.
    """
    wanted = None if types is None else frozenset(types.split(","))
    allow(caller, "view", camera_id)
    await socket.accept(subprotocol(socket))
    with parts.events.subscribe() as subscription:  # before the states are read, so that no change falls between
        cameras = [camera.changed() for camera in parts.cameras.all()]
        states: list[Event] = [*cameras, parts.health.now(), *parts.sessions.viewers()]
        send = _Sender(socket, caller, camera_id, wanted)
        try:
            async with asyncio.TaskGroup() as tasks:
                sending = tasks.create_task(send.all(states, subscription), name="surveillx-events")
                watching = tasks.create_task(_end_when_lost(socket, parts.access, caller, camera_id))
                await _until_gone(socket)
                sending.cancel()
                watching.cancel()
        except* WebSocketDisconnect:
            pass  # gone while something was being sent


async def _end_when_lost(socket: WebSocket, access: Access, caller: Caller, camera_id: str | None) -> None:
    """Close the connection of whoever may watch no longer, by the code for it."""
    await access.until_lost(caller, "view", camera_id)
    await socket.close(POLICY_VIOLATION, NO_LONGER)


@dataclass(frozen=True)
class _Sender:
    """Sends what one client asked for."""

    socket: WebSocket
    caller: Caller
    camera_id: str | None
    types: frozenset[str] | None

    async def all(self, states: Sequence[Event], subscription: Subscription) -> None:
        for state in states:
            await self.one(state)
        while True:
            await self.one(await subscription.next())

    async def one(self, event: Event) -> None:
        # What concerns the whole server concerns every camera.
        if not isinstance(event, ServerChanged) and not self._may_know(event.camera_id):
            return
        if self.types is None or TYPES[type(event)] in self.types:
            await self.socket.send_json(message(event))

    def _may_know(self, camera_id: str) -> bool:
        return self.camera_id in (None, camera_id) and self.caller.may("view", camera_id)


async def _until_gone(socket: WebSocket) -> None:
    while (received := await socket.receive())["type"] != "websocket.disconnect":
        now_ms = 1000 * time.monotonic()
        sent = _asked_time(received.get("text") or "")
        if sent is not None:
            # Waits until it has left: who asks faster than it reads is read no faster.
            await socket.send_json({"type": "clock", "sent": sent, "server_ms": round(now_ms, 3)})


def _asked_time(text: str) -> float | None:
    """The `sent` of a clock request, which goes back as it came; None for anything else."""
    if len(text) > CLOCK_REQUEST_CHARACTERS:
        return None
    try:
        request = json.loads(text)
    except ValueError:
        return None
    if not isinstance(request, dict) or request.get("type") != "clock":
        return None
    sent = request.get("sent")
    return sent if isinstance(sent, int | float) and math.isfinite(sent) else None
