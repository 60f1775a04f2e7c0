"""The webhook against a real HTTP server that takes, refuses, hangs and goes away."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import logging
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from server import webhook
from server.config import Settings, load_settings
from server.errors import ConfigError
from server.events import AttendanceMarked, AttendanceRemoved, CameraChanged, Detections, Event, EventBus
from server.metrics import Metrics
from server.webhook import SIGNATURE_HEADER, Webhook, retry_after_s

from .live import live
from .wait import until

SECRET = "a secret of the school"
MARKED = AttendanceMarked(4, 3, "学生 <b>", "17", "1", "2026-03-02T08:05:00+01:00", 0.31, "7b")
REMOVED = AttendanceRemoved(4, 3, "1")


@dataclass
class OtherSystem:
    """What the school's other system got, and what it answers: each answer once, then 204."""

    port: int
    requests: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    answers: list[Response] = field(default_factory=list)
    hold: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/attendance?key=private"

    @property
    def ids(self) -> list[int]:
        return [self.body(index)["attendance"]["id"] for index in range(len(self.requests))]

    def body(self, index: int) -> Any:
        return json.loads(self.requests[index][1])

    async def take(self, request: Request) -> Response:
        self.requests.append((dict(request.headers), await request.body()))
        await self.hold.wait()
        return self.answers.pop(0) if self.answers else Response(status_code=204)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        app = Starlette(routes=[Route("/attendance", self.take, methods=["POST"]), Route("/else", self.take)])
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off", timeout_graceful_shutdown=1))
        listening = socket.create_server(("127.0.0.1", self.port))
        task = asyncio.create_task(server.serve([listening]))
        try:
            await until(lambda: server.started)
            yield
        finally:
            self.hold.set()
            server.should_exit = True
            await task


@dataclass(frozen=True)
class Telling:
    """A running webhook."""

    bus: EventBus
    metrics: Metrics

    def tell(self, *events: Event) -> None:
        for event in events:
            self.bus.publish(event)

    def count(self, outcome: str) -> float:
        return self.metrics._registry.get_sample_value("surveillx_webhook_events_total", {"outcome": outcome}) or 0.0

    @property
    def retries(self) -> float:
        return self.metrics._registry.get_sample_value("surveillx_webhook_retries_total") or 0.0


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "FIRST_RETRY_S", 0.02)
    monkeypatch.setattr(webhook, "LONGEST_RETRY_S", 0.05)


@pytest.fixture
def other() -> OtherSystem:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        system = OtherSystem(listening.getsockname()[1])
    system.hold.set()
    return system


@asynccontextmanager
async def telling(other: OtherSystem) -> AsyncIterator[Telling]:
    running = Telling(EventBus(), Metrics())
    settings = Settings(webhook_url=other.url, webhook_secret=SECRET)
    ready = asyncio.Event()
    task = asyncio.create_task(Webhook(settings, running.metrics, running.bus).run(ready))
    await ready.wait()
    try:
        yield running
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_attendance_is_told_in_order_and_nothing_else(other: OtherSystem) -> None:
    async with other.serving(), telling(other) as running:
        camera = CameraChanged("1", "online", "2026-03-02T07:00:00+00:00", "")
        running.tell(Detections("1", 90, 1280, 720, ()), MARKED, camera, REMOVED)
        await until(lambda: running.count("delivered") == 2)
        first, second = other.body(0), other.body(1)
        assert {**first, "id": "", "sent_at": ""} == {
            "type": "attendance",
            "id": "",
            "sent_at": "",
            "attendance": {
                "id": 4, "person_id": 3, "name": "学生 <b>", "roll_no": "17", "camera_id": "1",
                "timestamp": "2026-03-02T08:05:00+01:00", "distance": 0.31, "class_name": "7b", "session": "",
                "source": "recognised",
            },
        }  # fmt: skip
        assert second["type"] == "attendance_removed"
        assert second["attendance"] == {"id": 4, "person_id": 3, "camera_id": "1"}
        assert first["id"] != second["id"]
        assert datetime.fromisoformat(first["sent_at"]).tzinfo is not None


async def test_the_signature_is_that_of_the_documentation(other: OtherSystem) -> None:
    async with other.serving(), telling(other) as running:
        running.tell(MARKED)
        await until(lambda: other.requests)
        headers, body = other.requests[0]
        assert headers["content-type"] == "application/json"
        parts = dict(part.split("=", 1) for part in headers[SIGNATURE_HEADER.lower()].split(","))
        signed = parts["t"].encode() + b"." + body
        assert parts["v1"] == hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
        assert abs(int(parts["t"]) - time.time()) < 60


async def test_an_outage_loses_nothing_and_changes_nothing(other: OtherSystem) -> None:
    async with telling(other) as running:
        running.tell(MARKED, replace(MARKED, id=5), replace(MARKED, id=6))
        await until(lambda: running.retries >= 3)
        async with other.serving():
            await until(lambda: running.count("delivered") == 3)
    assert other.ids == [4, 5, 6]


@pytest.mark.parametrize("status", [500, 503, 429, 408])
async def test_not_now_is_tried_again_as_the_same_event(other: OtherSystem, status: int) -> None:
    other.answers = [Response(status_code=status), Response(status_code=status)]
    async with other.serving(), telling(other) as running:
        running.tell(MARKED, REMOVED)
        await until(lambda: running.count("delivered") == 2)
        assert [other.body(index)["type"] for index in range(4)] == ["attendance"] * 3 + ["attendance_removed"]
        assert len({body for _, body in other.requests[:3]}) == 1, "for deduplication"


async def test_a_refusal_is_final_and_said_once(other: OtherSystem, caplog: pytest.LogCaptureFixture) -> None:
    other.answers = [Response(status_code=400), Response(status_code=400)]
    async with other.serving(), telling(other) as running:
        with caplog.at_level(logging.INFO, "surveillx.webhook"):
            running.tell(MARKED, replace(MARKED, id=5), replace(MARKED, id=6))
            await until(lambda: running.count("delivered") == 1)
        assert running.count("refused") == 2
        assert other.ids == [4, 5, 6]
        lines = [record.getMessage() for record in caplog.records]
        assert lines == [
            "the webhook at 127.0.0.1: it answered 400; the event is refused",
            "the webhook at 127.0.0.1 takes events again",
        ]
        assert "private" not in "".join(lines), "nor the key in the URL"


async def test_a_redirect_is_not_followed(other: OtherSystem) -> None:
    other.answers = [Response(status_code=307, headers={"Location": f"http://127.0.0.1:{other.port}/else"})]
    async with other.serving(), telling(other) as running:
        running.tell(MARKED)
        await until(lambda: running.count("refused") == 1)
        assert len(other.requests) == 1


async def test_retry_after_is_honoured(other: OtherSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within its bound: an hour is too much to ask."""
    monkeypatch.setattr(webhook, "LONGEST_RETRY_AFTER_S", 0.15)
    other.answers = [Response(status_code=429, headers={"Retry-After": "3600"})]
    async with other.serving(), telling(other) as running:
        began = time.monotonic()
        running.tell(MARKED)
        await until(lambda: running.count("delivered") == 1)
        assert time.monotonic() - began >= 0.15


def test_retry_after_is_seconds_or_a_date() -> None:
    assert retry_after_s("7") == 7
    assert 50 < retry_after_s(format_datetime(datetime.now(UTC) + timedelta(minutes=1), usegmt=True)) <= 60
    assert retry_after_s(format_datetime(datetime.now(UTC) - timedelta(minutes=1), usegmt=True)) == 0
    for nonsense in ("", "soon", "-1", "²", "nan", "Mon, 01 Jan 0000 00:00:00 -0000"):
        assert retry_after_s(nonsense) == 0
    assert retry_after_s("9" * 30) == webhook.LONGEST_RETRY_AFTER_S


async def test_a_system_that_hangs_is_tried_again(other: OtherSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "ATTEMPT_TIMEOUT_S", 0.1)
    other.hold.clear()
    async with other.serving(), telling(other) as running:
        running.tell(MARKED)
        await until(lambda: len(other.requests) >= 2)
        other.hold.set()
        await until(lambda: running.count("delivered") == 1)


async def test_what_waits_is_bounded_and_the_newest_stay(other: OtherSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "EVENTS_WAITING", 3)
    async with telling(other) as running:
        running.tell(MARKED)
        await until(lambda: running.retries)  # that one is in hand
        running.tell(*(replace(MARKED, id=number) for number in range(10, 16)))
        assert running.count("dropped") == 3
        async with other.serving():
            await until(lambda: running.count("delivered") == 4)
    assert other.ids == [4, 13, 14, 15]


async def test_an_event_is_not_tried_for_ever(other: OtherSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "GIVE_UP_AFTER_S", 0.0)
    other.answers = [Response(status_code=500)]
    async with other.serving(), telling(other) as running:
        running.tell(MARKED, REMOVED)
        await until(lambda: running.count("delivered") == 1)
        assert running.count("expired") == 1
        assert len(other.requests) == 2


async def test_a_flood_of_detections_costs_no_attendance(other: OtherSystem) -> None:
    other.hold.clear()
    async with other.serving(), telling(other) as running:
        for number in range(5):
            running.tell(*(Detections("1", pts, 1280, 720, ()) for pts in range(2000)), replace(MARKED, id=number))
        other.hold.set()
        await until(lambda: running.count("delivered") == 5)
    assert other.ids == [0, 1, 2, 3, 4]


async def test_the_server_tells_the_webhook(other: OtherSystem, tmp_path: Path) -> None:
    async with other.serving(), live(tmp_path, webhook_url=other.url, webhook_secret=SECRET) as running:
        running.parts.events.publish(MARKED)
        await until(lambda: other.requests)
        assert SECRET not in (await running.http.get("/metrics")).text


@pytest.mark.parametrize("url", ["school.example", "ftp://school.example/", "http://", "http://[::1", "http://h:99999"])
def test_an_address_that_is_none_is_refused_at_start_up(url: str) -> None:
    with pytest.raises(ConfigError, match="webhook_url") as caught:
        load_settings({}, {"SURVEILLX_WEBHOOK_URL": url, "SURVEILLX_WEBHOOK_SECRET": SECRET})
    assert SECRET not in caught.value.detail


def test_without_a_secret_there_is_no_webhook() -> None:
    with pytest.raises(ConfigError, match="needs webhook_secret"):
        load_settings({}, {"SURVEILLX_WEBHOOK_URL": "https://school.example/hook?key=private"})
