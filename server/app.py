"""Wires every part of the server together; one lifespan starts them in order and ends them in reverse."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool

from . import __version__, rtc_compat
from .access import Access
from .accounts import Accounts
from .api import (
    admission,
    auth,
    calibration,
    embedding,
    events,
    from_camera,
    headers,
    ice,
    imports,
    pages,
    people,
    photos,
    problems,
    signalling,
    status,
    system,
    visitors,
    whip,
)
from .api import attendance as attendance_routes
from .api import audit as audit_routes
from .api.parts import Parts
from .attendance import AttendanceStore
from .audit import AuditStore
from .camera import Cameras
from .camera_names import CameraNames
from .config import Settings
from .database import open_database
from .events import AttendanceMarked, Detections, EventBus
from .health import Health
from .legacy import LegacyStream
from .metrics import Metrics
from .overload import Overload
from .overview import Overview
from .rates import Rate
from .recognition.compared import ComparedPeople
from .recognition.people import PeopleStore
from .recognition.worker import RecognitionWorker
from .retention import Purge, retain
from .rollcall import RollCall, follow_gallery
from .sessions import SessionRegistry
from .snapshots import Snapshots
from .strangers import Strangers
from .visitors import VisitorStore
from .webhook import Webhook
from .words import Words

logger = logging.getLogger("surveillx.app")


def create_app(settings: Settings) -> FastAPI:
    """Build the server.

    Raises:
        ConfigError: a setting cannot be put into force, such as a language that is not there.
    """
    parts, rollcall = _make_parts(settings)
    legacy = LegacyStream(settings, parts.metrics, parts.events, parts.access, parts.audit, parts.cameras)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            await _start(stack, parts, rollcall, legacy)
            yield

    app = FastAPI(title="SurveillX FastRTC", version=__version__, lifespan=lifespan, openapi_url=None)
    app.state.parts = parts
    problems.install(app)
    admission.install(app)
    embedding.install(app, settings.allowed_origins)
    whip.install(app, settings.allowed_origins)
    headers.install(app)
    for module in (
        signalling,
        whip,
        ice,
        status,
        system,
        people,
        photos,
        from_camera,
        imports,
        calibration,
        visitors,
        attendance_routes,
        audit_routes,
        events,
        auth,
        pages,
    ):
        app.include_router(module.router)
    pages.mount_static(app)
    app.mount("/socket.io", legacy.asgi)
    _build_routes(app)
    return app


def _build_routes(app: FastAPI) -> None:
    """FastAPI builds included routes with the first request (fastapi/routing.py effective_candidates), up to 0.4 s on
    the event loop, in which no picture would be sent: a request that fits nothing does it now.
    """
    nowhere = {"type": "http", "method": "GET", "path": "/", "root_path": "", "headers": [], "path_params": {}}
    for route in app.routes:
        route.matches(nowhere)


def _make_parts(settings: Settings) -> tuple[Parts, RollCall]:
    metrics, bus, words = Metrics(), EventBus(), Words(settings.language)
    database = open_database(settings)
    people = PeopleStore(database, settings)

    def show(detections: Detections) -> None:
        camera = cameras.find(detections.camera_id)
        if camera is not None:
            camera.show(detections)

    def announce(marked: AttendanceMarked) -> None:
        rollcall.announce(marked)

    def check() -> None:
        parts.health.check()

    attendance = AttendanceStore(database, settings, metrics, on_late=announce, on_waiting=check)
    visitors = VisitorStore(database, settings)
    rollcall = RollCall(attendance, visitors, bus, metrics, show)
    recognition = RecognitionWorker(settings, metrics, rollcall.take, rollcall.sighted)
    recognition.on_state = check
    cameras = Cameras(settings, metrics, bus, recognition)
    strangers = Strangers(metrics)
    ports = _media_ports(settings, strangers)
    sessions = SessionRegistry(cameras, settings, metrics, bus, ports)
    overload = Overload(settings, metrics, cameras, recognition, sessions.undecoded)
    overload.on_change = check
    health = Health(bus, recognition, database, attendance, overload)
    parts = Parts(
        settings=settings,
        words=words,
        metrics=metrics,
        events=bus,
        access=Access(settings, Accounts(database)),
        database=database,
        people=people,
        compared=ComparedPeople(people),
        visitors=visitors,
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
        strangers=strangers,
        session_requests=Rate(settings.requests_per_second, settings.requests_at_once),
    )
    return parts, rollcall


def _media_ports(settings: Settings, strangers: Strangers) -> rtc_compat.MediaPorts:
    """Where media goes, as set."""
    if settings.media_ports == "ephemeral":
        return rtc_compat.MediaPorts()
    first, last = settings.media_port_range
    if first != last:
        return rtc_compat.PortRange(first, last)
    return rtc_compat.SharedPort(first, strangers)


async def _start(stack: AsyncExitStack, parts: Parts, rollcall: RollCall, legacy: LegacyStream) -> None:
    """Start everything; each line's undoing goes onto the stack at once."""

    def enforce() -> None:
        parts.sessions.enforce(parts.access.still_may)

    rtc_compat.warn_if_untested()
    # The first use of a thread imports anyio's side of it (anyio/_core/_eventloop.py), up to 0.4 s on the event loop.
    await run_in_threadpool(bool)
    stack.push_async_callback(parts.database.aclose)
    parts.database.on_state(lambda _state: parts.health.check())
    stack.enter_context(rtc_compat.installed(parts.settings.interfaces, parts.strangers))
    stack.push_async_callback(parts.recognition.close)
    for camera_id, name in (await parts.camera_names.all()).items():
        parts.cameras.rename(camera_id, name)
    await _running(stack, parts.audit.run, "audit")
    await _running(stack, partial(parts.access.run, on_refresh=enforce), "access")
    if parts.settings.recognition_every:
        await parts.recognition.start()
        await _background(stack, follow_gallery(parts.people, parts.recognition), "gallery")
    if parts.settings.webhook_url:  # before what marks, so that it hears of every mark
        await _running(stack, Webhook(parts.settings, parts.metrics, parts.events).run, "webhook")
    await _background(stack, retain(_purges(parts), parts.database.forget_deleted), "retention")
    await _running(stack, parts.attendance.run, "attendance")
    await _running(stack, rollcall.run, "rollcall")
    await _running(stack, parts.cameras.run, "cameras")
    stack.push_async_callback(parts.snapshots.close)
    await parts.sessions.open_ports(stack)
    await _running(stack, parts.sessions.run, "sessions")
    await _running(stack, parts.overload.run, "overload")
    stack.push_async_callback(legacy.close)
    await legacy.start()


def _purges(parts: Parts) -> tuple[Purge, ...]:
    settings = parts.settings
    return (
        Purge("proofs of attendance", parts.attendance.purge_evidence, settings.evidence_days),
        Purge("visitors", parts.visitors.purge, settings.visitors_days),
        Purge("audit lines", parts.audit.purge, settings.audit_days),
    )


async def _running(stack: AsyncExitStack, run: Callable[[asyncio.Event], Coroutine[Any, Any, None]], name: str) -> None:
    ready = asyncio.Event()
    await _background(stack, run(ready), name)
    await ready.wait()


async def _background(stack: AsyncExitStack, work: Coroutine[Any, Any, None], name: str) -> None:
    """Run `work` until the stack unwinds; then cancel it and wait for its end."""
    task = asyncio.create_task(work, name=f"surveillx-{name}")
    task.add_done_callback(_report)

    async def end() -> None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    stack.push_async_callback(end)


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.critical("%s stopped by an error; restart the server", task.get_name(), exc_info=error)
