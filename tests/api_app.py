"""A real server of the API's routes for the tests: uvicorn on a free port, a real database, real parts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from fastapi import APIRouter, FastAPI

from server.access import Access
from server.accounts import Accounts
from server.api import problems
from server.api.parts import Parts
from server.attendance import AttendanceStore
from server.audit import AuditStore
from server.camera import Cameras
from server.camera_names import CameraNames
from server.config import Settings
from server.database import Database
from server.events import EventBus
from server.health import Health
from server.metrics import Metrics
from server.overload import Overload
from server.overview import Overview
from server.rates import Rate
from server.recognition.compared import ComparedPeople
from server.recognition.people import PeopleStore
from server.recognition.worker import RecognitionWorker
from server.rtc_compat import MediaPorts
from server.sessions import SessionRegistry
from server.snapshots import Snapshots
from server.strangers import Strangers
from server.visitors import VisitorStore
from server.words import Words
from tests.wait import until


@dataclass(frozen=True)
class Served:
    """A running server: its parts, a client for it and its address for WebSockets."""

    parts: Parts
    client: httpx.AsyncClient
    host: str
    server: uvicorn.Server


def make_parts(settings: Settings) -> Parts:
    metrics, events = Metrics(), EventBus()
    database = Database(settings.resolved_database_url)
    people = PeopleStore(database, settings)
    recognition = RecognitionWorker(settings, metrics, events.publish)
    cameras = Cameras(settings, metrics, events, recognition)
    attendance = AttendanceStore(database, settings, metrics)
    sessions = SessionRegistry(cameras, settings, metrics, events, MediaPorts())
    overload = Overload(settings, metrics, cameras, recognition, sessions.undecoded)
    health, words = Health(events, recognition, database, attendance, overload), Words(settings.language)
    return Parts(
        settings=settings,
        words=words,
        metrics=metrics,
        events=events,
        access=Access(settings, Accounts(database)),
        database=database,
        people=people,
        compared=ComparedPeople(people),
        visitors=VisitorStore(database, settings),
        attendance=attendance,
        audit=AuditStore(database),
        recognition=recognition,
        overload=overload,
        health=health,
        overview=Overview(settings, words, health, cameras, sessions, recognition, database),
        cameras=cameras,
        camera_names=CameraNames(database),
        sessions=sessions,
        snapshots=Snapshots(settings.jpeg_quality),
        strangers=Strangers(metrics),
        session_requests=Rate(settings.requests_per_second, settings.requests_at_once),
    )


@asynccontextmanager
async def serving(
    routers: Sequence[APIRouter],
    data: Path,
    *,
    view_token: str = "",
    publish_token: str = "",
    timezone: str = "UTC",
    **more: Any,
) -> AsyncIterator[Served]:
    """Serve `routers` until the block ends; recognition is not started, cameras run."""
    settings = Settings(data=data, view_token=view_token, publish_token=publish_token, timezone=timezone, **more)
    parts = make_parts(settings)
    app = FastAPI()
    app.state.parts = parts
    problems.install(app)
    for router in routers:
        app.include_router(router)
    ready = asyncio.Event()
    cameras = asyncio.create_task(parts.cameras.run(ready))
    await ready.wait()
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical", timeout_graceful_shutdown=2))
    serving = asyncio.create_task(server.serve())
    await until(lambda: server.started)
    host = f"127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    try:
        async with httpx.AsyncClient(base_url=f"http://{host}", timeout=30) as client:
            yield Served(parts, client, host, server)
    finally:
        server.should_exit = True
        await serving
        cameras.cancel()
        await asyncio.gather(cameras, return_exceptions=True)
        await parts.snapshots.close()
        await parts.recognition.close()
        await parts.database.aclose()
