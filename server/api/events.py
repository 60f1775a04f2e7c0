"""`WS /ws/events`: results, attendance and cameras' changes as they happen, one JSON object a message.

A client that does not keep up loses the oldest messages (`EventBus`); nobody waits for it. Refusals are close codes,
see `problems`. What the client sends is ignored.
"""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Depends, WebSocket, WebSocketDisconnect

from ..events import (
    AttendanceMarked,
    AttendanceRemoved,
    CameraChanged,
    Detections,
    Event,
    Face,
    ServerChanged,
    Subscription,
)
from .auth import require_view
from .parts import PartsDep

router = APIRouter(tags=["events"])


@router.websocket("/ws/events", dependencies=[Depends(require_view)])
async def events(socket: WebSocket, parts: PartsDep, camera_id: str | None = None) -> None:
    """Send the events of one camera, or of all; first each camera's present state."""
    await socket.accept()
    with parts.events.subscribe() as subscription:  # before the states are read, so that no change falls between
        states = [camera.changed() for camera in parts.cameras.all() if camera_id in (None, camera.id)]
        try:
            async with asyncio.TaskGroup() as tasks:
                sending = tasks.create_task(_send(socket, states, subscription, camera_id), name="surveillx-events")
                await _until_gone(socket)
                sending.cancel()
        except* WebSocketDisconnect:
            pass  # gone while something was being sent


async def _send(
    socket: WebSocket, states: list[CameraChanged], subscription: Subscription, camera_id: str | None
) -> None:
    for state in states:
        await socket.send_json(message(state))
    while True:
        event = await subscription.next()
        if isinstance(event, ServerChanged) or camera_id in (None, event.camera_id):
            await socket.send_json(message(event))


async def _until_gone(socket: WebSocket) -> None:
    while (await socket.receive())["type"] != "websocket.disconnect":
        pass


def message(event: Event) -> dict[str, Any]:
    """The JSON object for an event."""
    match event:
        case Detections():
            return {
                "type": "detections",
                "camera_id": event.camera_id,
                "pts": event.pts,
                "width": event.width,
                "height": event.height,
                "faces": [_face(face) for face in event.faces],
            }
        case AttendanceMarked():
            return {"type": "attendance", **asdict(event)}
        case CameraChanged():
            return {"type": "camera", **asdict(event)}
        case AttendanceRemoved():
            return {"type": "attendance_removed", **asdict(event)}
        case ServerChanged():
            return {"type": "server", **asdict(event)}


def _face(face: Face) -> dict[str, Any]:
    return {
        "track_id": face.track_id,
        "person_id": face.person_id,
        "name": face.name,
        "confidence": round(face.confidence, 3),
        "box": [round(each, 1) for each in face.box],
    }
