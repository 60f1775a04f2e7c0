"""The stream of events, over a real WebSocket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect

from server.api import events
from server.events import AttendanceMarked, CameraChanged, Detections, Face, ServerChanged
from tests.api_app import Served, serving
from tests.wait import until


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with serving([events.router], tmp_path) as served:
        yield served


async def receive(client: ClientConnection) -> Any:
    return json.loads(await asyncio.wait_for(client.recv(), 10))


def url(served: Served, query: str = "") -> str:
    return f"ws://{served.host}/ws/events{query}"


def detections(camera_id: str = "1", pts: int = 90) -> Detections:
    face = Face(7, 3, "学生 <b>", 0.98765, (1.25, 2, 30.04, 40), (5.0, 5.0), 0.3)
    return Detections(camera_id, pts, 1280, 720, (face,))


ATTENDANCE = AttendanceMarked(4, 3, "Ann", "17", "1", "2026-03-02T08:05:00+01:00", 0.31)


async def receive_states(client: ClientConnection) -> None:
    """What every client is told first: the one camera's state, and the server's."""
    assert [(await receive(client))["type"] for _ in range(2)] == ["camera", "server"]


async def test_first_the_cameras_state_then_what_happens(served: Served) -> None:
    async with connect(url(served)) as client:
        state = await receive(client)
        assert state["since"]
        assert {**state, "since": ""} == {
            "type": "camera", "camera_id": "1", "state": "offline", "since": "", "reason": state["reason"], "name": "",
        }  # fmt: skip
        assert await receive(client) == {
            "type": "server", "recognition": "starting", "recognition_words": served.parts.recognition.state_words,
            "database": "ok", "waiting_marks": 0, "degraded": "",
        }  # fmt: skip
        for event in (detections(), ATTENDANCE, CameraChanged("1", "online", "2026-03-02T07:00:00+00:00", "")):
            served.parts.events.publish(event)
        assert await receive(client) == {
            "type": "detections",
            "camera_id": "1",
            "pts": 90,
            "width": 1280,
            "height": 720,
            "faces": [
                {
                    "track_id": 7,
                    "person_id": 3,
                    "name": "学生 <b>",
                    "confidence": 0.988,
                    "box": [1.2, 2, 30.0, 40],
                    "velocity": [5, 5],
                    "unseen_s": 0,
                    "hidden": False,
                }
            ],
        }
        assert await receive(client) == {
            "type": "attendance",
            "id": 4,
            "person_id": 3,
            "name": "Ann",
            "roll_no": "17",
            "camera_id": "1",
            "timestamp": "2026-03-02T08:05:00+01:00",
            "distance": 0.31,
            "class_name": None,
            "session": "",
            "source": "recognised",
        }
        assert (await receive(client))["state"] == "online"


async def test_one_cameras_events_only(served: Served) -> None:
    async with connect(url(served, "?camera_id=2")) as client:
        await until(lambda: served.parts.events._subscriptions)
        served.parts.events.publish(detections("1"))
        served.parts.events.publish(detections("2"))
        assert (await receive(client))["type"] == "server", "what concerns all; not camera 1's state"
        assert (await receive(client))["camera_id"] == "2"


async def test_some_types_only(served: Served) -> None:
    async with connect(url(served, "?types=attendance,server")) as client:
        await until(lambda: served.parts.events._subscriptions)
        served.parts.events.publish(detections("1"))
        served.parts.events.publish(ATTENDANCE)
        assert (await receive(client))["type"] == "server", "but not the cameras' state"
        assert (await receive(client))["type"] == "attendance"
        served.parts.events.publish(ServerChanged("restarting", "It ended.", "away", 3))
        assert await receive(client) == {
            "type": "server",
            "recognition": "restarting",
            "recognition_words": "It ended.",
            "database": "away",
            "waiting_marks": 3,
            "degraded": "",
        }


async def test_what_a_client_sends_is_ignored(served: Served) -> None:
    async with connect(url(served)) as client:
        await receive_states(client)
        await client.send("[" * 1000)
        await client.send(b"\x00\xff")
        served.parts.events.publish(ATTENDANCE)
        assert (await receive(client))["type"] == "attendance"


async def test_nothing_is_left_when_a_client_leaves(served: Served) -> None:
    for leave in (ClientConnection.close, lambda client: client.transport.abort()):
        client = await connect(url(served))
        await receive(client)
        assert event_tasks()
        ended = leave(client)
        if ended is not None:
            await ended
        await until(lambda: not served.parts.events._subscriptions and not event_tasks())


def event_tasks() -> list[str]:
    return [task.get_name() for task in asyncio.all_tasks() if task.get_name() == "surveillx-events"]


async def test_a_face_without_consent_has_a_box_and_no_name(served: Served) -> None:
    async with connect(url(served, "?types=detections")) as client:
        await until(lambda: served.parts.events._subscriptions)
        hidden = replace(detections().faces[0], is_hidden=True)
        served.parts.events.publish(replace(detections(), faces=(hidden,)))
        (face,) = (await receive(client))["faces"]
        assert face == {
            "track_id": 7, "person_id": None, "name": "Unknown", "confidence": 0.988, "box": [1.2, 2, 30, 40],
            "velocity": [5, 5], "unseen_s": 0, "hidden": True,
        }  # fmt: skip


async def test_a_slow_client_loses_the_oldest_detections_only(served: Served) -> None:
    """It does not read until more was sent than all buffers in between hold (uncompressed: the faces are all alike)."""
    sent = marked = 0
    async with connect(url(served), max_queue=1, compression=None) as slow:
        await until(lambda: served.parts.events._subscriptions)
        (subscription,) = served.parts.events._subscriptions

        def has_dropped() -> int:
            nonlocal sent, marked
            marked += 1
            served.parts.events.publish(replace(ATTENDANCE, id=marked))
            for _ in range(20):
                sent += 1
                served.parts.events.publish(replace(detections(pts=sent), faces=detections().faces * 300))
            return subscription.dropped

        await until(has_dropped, 30)
        assert len(subscription) <= 64 + marked
        await receive_states(slow)
        seen, marks = [0], []
        while seen[-1] < sent:
            event = await receive(slow)
            if event["type"] == "attendance":
                marks.append(event["id"])
            else:
                seen.append(event["pts"])
        assert seen == sorted(set(seen)), "in order"
        assert len(seen) - 1 == sent - subscription.dropped
        assert marks == list(range(1, marked + 1)), "none is lost"


async def test_the_server_stops_with_clients_connected(tmp_path: Path) -> None:
    async with serving([events.router], tmp_path) as served:
        client = await connect(url(served))
        await receive(client)
    await asyncio.wait_for(client.wait_closed(), 10)
    assert client.close_code == 1012, "service restart: the page comes back"
    assert event_tasks() == []


async def test_events_need_view_access(tmp_path: Path) -> None:
    async with serving([events.router], tmp_path, view_token="v") as served:
        async with connect(url(served)) as client:
            await asyncio.wait_for(client.wait_closed(), 10)
            assert client.close_code == 1008
        async with connect(url(served), additional_headers={"Authorization": "Bearer v"}) as client:
            assert (await receive(client))["type"] == "camera"


async def test_clocks_can_be_compared(served: Served) -> None:
    async with connect(url(served, "?types=attendance")) as client:
        for sent in (12.5, 13):
            await client.send(json.dumps({"type": "clock", "sent": sent}))
        first, second = await receive(client), await receive(client)
    assert (first["type"], first["sent"], second["sent"]) == ("clock", 12.5, 13)
    assert second["server_ms"] >= first["server_ms"] > 0


@pytest.mark.parametrize(
    "nonsense",
    [
        "", "{", "[]", "7", "null", '{"type": "clock"}', '{"type": "clock", "sent": "now"}', '{"sent": 1}',
        '{"type": "clock", "sent": NaN}', '{"type": "clock", "sent": 1e999}', b"\x00\xff", "[" * 90,
        '{"type": "clock", "sent": 1, "more": "' + "x" * 100 + '"}',
    ],
)  # fmt: skip
async def test_what_is_no_clock_request_is_ignored(served: Served, nonsense: str | bytes) -> None:
    async with connect(url(served, "?types=attendance")) as client:
        await client.send(nonsense)
        await client.send('{"type": "clock", "sent": 1}')
        assert (await receive(client))["sent"] == 1
