"""Socket.IO: the namespace `/stream` for pages that WebRTC cannot reach, and the forwarder to the school's Flask app.

Both speak the messages of the JPEG bridge that this server replaces (`frame` and `detection`), and both are receivers
of `server.jpeg`, which encodes the pictures and holds back whoever is slow. Runs on the event loop's thread.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Collection, Coroutine, Mapping
from contextlib import suppress
from functools import partial
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import urlsplit

import socketio

from .access import Access, bearer, client_address, signature
from .audit import AuditStore
from .callers import Caller, acting
from .config import Settings
from .events import TYPES, AttendanceMarked, AttendanceRemoved, CameraChanged, Detections, EventBus, Face
from .events import message as event_message
from .jpeg import JpegFeeds, Message, TappedCameras, camera_number
from .metrics import Metrics

NAMESPACE = "/stream"
CONNECT_WITHIN_S = 5.0
CLOSE_WITHIN_S = 2.0
FIRST_RETRY_S = 0.25
LONGEST_RETRY_S = 5.0
MAX_MESSAGE_BYTES = 64 * 1024

logger = logging.getLogger("surveillx.legacy")


class LegacyStream:
    """The `/stream` namespace. Mount `asgi` at `/socket.io`, then `start`; `close` before the server ends.

    A client may connect with `auth={"camera_id": ...}` (without it, all cameras) and, where it has neither the header
    nor the cookie, `{"token": ...}`.
    """

    def __init__(
        self,
        settings: Settings,
        metrics: Metrics,
        events: EventBus,
        access: Access,
        audit: AuditStore,
        cameras: TappedCameras,
    ) -> None:
        self._audit = audit
        self._events = events
        self._access = access
        self._feeds = JpegFeeds(cameras, metrics, settings.jpeg_every, settings.jpeg_quality)
        self._forwarder = Forwarder(settings.legacy_url, self._feeds) if settings.legacy_url else None
        self._tasks: set[asyncio.Task[None]] = set()
        self._clients: dict[str, asyncio.Task[None]] = {}
        self._closed = False
        self._server = socketio.AsyncServer(
            async_mode="asgi",
            cors_allowed_origins=partial(may_ask, settings.allowed_origins),
            max_http_buffer_size=MAX_MESSAGE_BYTES,
        )
        self._server.on("connect", self._connect, namespace=NAMESPACE)
        self._server.on("disconnect", self._disconnect, namespace=NAMESPACE)
        self.asgi = socketio.ASGIApp(self._server, socketio_path="/socket.io")

    async def start(self) -> None:
        """Follow the events and, where one is set, look for the Flask app."""
        self._spawn(self._follow_events(), "jpeg-events")
        if self._forwarder is not None:
            self._spawn(self._forwarder.run(), "jpeg-forwarder")

    async def close(self) -> None:
        """Let every client go (pages come back by themselves) and stop every task. Twice is harmless."""
        if self._closed:
            return
        self._closed = True
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for connection in list(self._server.eio.sockets.values()):
            # Not `eio.disconnect`: it waits for a client that may never read again. None ends engine.io's writer.
            await connection.close(wait=False)
            await connection.queue.put(None)
        await self._server.shutdown()
        await self._feeds.close()

    async def _connect(self, sid: str, environ: Mapping[str, Any], auth: object = None) -> None:
        wishes = auth if isinstance(auth, dict) else {}
        camera_id = None if wishes.get("camera_id") is None else str(wishes["camera_id"])
        caller = self._caller(environ, wishes.get("token"))
        if caller is None or not caller.may("view", camera_id):
            raise socketio.exceptions.ConnectionRefusedError("Sign-in needed", {"reason": "denied"})
        acting.set(signature(caller, environ["asgi.scope"]))
        what = "Every camera" if camera_id is None else f"Camera {camera_id}"
        self._audit.later("watched", f"{what} was watched.", once=True)
        connection = self._server.eio.sockets[self._server.manager.eio_sid_from_sid(sid, NAMESPACE)]
        serving = self._serve(sid, camera_id, connection.queue.empty, caller)
        self._clients[sid] = self._spawn(serving, f"jpeg-client-{sid}")

    async def _serve(self, sid: str, camera_id: str | None, is_drained: Callable[[], bool], caller: Caller) -> None:
        """Send pictures until the client goes, or may have none any more."""

        def may(camera: str) -> bool:
            return caller.may("view", camera)

        async def emit(event: str, message: Message, callback: Callable[..., None] | None) -> None:
            await self._server.emit(event, message, to=sid, namespace=NAMESPACE, callback=callback)

        with self._feeds.receiver(camera_id, emit, is_drained, may) as receiver:
            async with asyncio.TaskGroup() as group:
                sending = group.create_task(receiver.run())
                await self._access.until_lost(caller, "view", camera_id)
                sending.cancel()
        self._clients.pop(sid, None)  # disconnecting would cancel this task
        await self._server.disconnect(sid, namespace=NAMESPACE)

    async def _disconnect(self, sid: str, reason: str) -> None:
        logger.debug("client %s left: %s", sid, reason)
        if task := self._clients.pop(sid, None):
            task.cancel()

    def _caller(self, environ: Mapping[str, Any], token: object) -> Caller | None:
        """By the rules of `api.auth`: a shown token counts, wrong ones are limited, else the cookie decides."""
        scope = environ["asgi.scope"]
        shown = token if isinstance(token, str) else bearer(environ.get("HTTP_AUTHORIZATION"))
        if not shown:
            cookies = _cookies(environ.get("HTTP_COOKIE", ""))
            return self._access.by_cookie(cookies) or self._access.anyone(scope)
        address = client_address(scope)
        if self._access.guesses.wait_s(address):
            return None
        caller = self._access.by_token(shown)
        if caller is None:
            self._access.guesses.add(address)
        return caller

    async def _follow_events(self) -> None:
        with self._events.subscribe() as subscription:
            while True:
                event = await subscription.next()
                if isinstance(event, CameraChanged):
                    self._feeds.refresh()
                elif isinstance(event, Detections):
                    await self._feeds.tell(event.camera_id, "detection", detection_message(event, time.time()))
                elif isinstance(event, (AttendanceMarked, AttendanceRemoved)):
                    self._feeds.post(event.camera_id, TYPES[type(event)], event_message(event))

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            logger.error("%s ended", task.get_name(), exc_info=error)


class Forwarder:
    """Gives the school's Flask app every camera's pictures and detections, as soon and as often as it is there.

    The app may start before or after this server and may be restarted. It acknowledges each `frame` when its handler
    is done, so that the pictures come no faster than it takes them.
    """

    def __init__(self, url: str, feeds: JpegFeeds) -> None:
        self._url = url
        self._feeds = feeds
        self._was_connected: bool | None = None

    async def run(self) -> None:
        """Connect, forward, and connect again, until cancelled."""
        retry_s = FIRST_RETRY_S
        while True:
            try:
                await self._forward()
                retry_s = FIRST_RETRY_S
            except Exception as error:  # whatever that app or the network does, forwarding must come back
                logger.debug("forwarding broke off", exc_info=True)
                self._report(False, str(error))
                retry_s = min(LONGEST_RETRY_S, retry_s * 2)
            await asyncio.sleep(retry_s * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, not a secret

    async def _forward(self) -> None:
        client = socketio.AsyncClient(reconnection=False, handle_sigint=False)
        gone = asyncio.Event()
        client.on("disconnect", lambda _: gone.set(), namespace=NAMESPACE)
        try:
            await client.connect(self._url, namespaces=[NAMESPACE], wait_timeout=CONNECT_WITHIN_S)
            self._report(True)
            await self._send_until(gone, client)
            self._report(False, "it closed the connection")
        finally:
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_WITHIN_S):
                    await client.disconnect()

    async def _send_until(self, gone: asyncio.Event, client: socketio.AsyncClient) -> None:
        async def emit(event: str, message: Message, callback: Callable[..., None] | None) -> None:
            with suppress(socketio.exceptions.BadNamespaceError):  # the connection just ended; `gone` says so
                await client.emit(event, message, namespace=NAMESPACE, callback=callback)

        with self._feeds.receiver(None, emit, client.eio.queue.empty) as receiver:
            async with asyncio.TaskGroup() as group:
                sending = group.create_task(receiver.run())
                await gone.wait()
                sending.cancel()

    def _report(self, connected: bool, why: str = "") -> None:
        if connected == self._was_connected:
            return
        self._was_connected = connected
        if connected:
            logger.info("forwarding JPEG pictures to %s", self._url)
        else:
            logger.warning("no JPEG pictures to %s (%s); trying again until it is there", self._url, why)


def may_ask(allowed: Collection[str], origin: str | None, environ: Mapping[str, Any]) -> bool:
    """Whether a page of this very host asks, or of an origin that may embed the player; programs send no Origin.

    python-socketio's own rule also believes X-Forwarded-Host, which any program may send.
    """
    try:
        return origin is None or origin in allowed or urlsplit(origin).netloc == environ.get("HTTP_HOST")
    except ValueError:
        return False


def detection_message(detections: Detections, timestamp: float) -> Message:
    """The `detection` event as the school's pages have always had it, with the camera and the tracks.

    `timestamp` in seconds since 1970. Faces without consent are not in it: those pages draw a box round each.
    """
    return {
        "camera_id": camera_number(detections.camera_id),
        "faces": [_legacy_face(face) for face in detections.faces if not face.is_hidden],
        "activity": "Normal",
        "alerts": [],
        "timestamp": f"{timestamp:.3f}",
    }


def _legacy_face(face: Face) -> Message:
    x, y, width, height = face.box
    return {
        "track_id": face.track_id,
        "student_id": face.person_id,
        "student_name": face.name,
        "confidence": round(face.confidence, 3),
        "bbox": [round(x), round(y), round(x + width), round(y + height)],
    }


def _cookies(header: str) -> dict[str, str]:
    try:
        return {name: morsel.value for name, morsel in SimpleCookie(header).items()}
    except CookieError:
        return {}
