"""The JPEG path against real sockets: uvicorn, Socket.IO clients, and a Flask-SocketIO app in a process of its own."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import numpy as np
import pytest
import socketio
import uvicorn
from av.video.frame import VideoFrame
from PIL import Image
from starlette.applications import Starlette
from starlette.routing import Mount
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from server import jpeg
from server.access import COOKIE, GUESSES, Access, view_cookie
from server.accounts import Accounts
from server.audit import AuditStore
from server.camera import FrameTap
from server.config import Settings
from server.database import Database
from server.events import AttendanceMarked, AttendanceRemoved, CameraChanged, Detections, EventBus, Face
from server.events import message as event_message
from server.jpeg import LETTERS_WAITING, JpegFeeds, Message, Picture, Receiver, encode_jpeg, frame_message
from server.legacy import NAMESPACE, LegacyStream, may_ask
from server.metrics import Metrics

from .faces import Picture as Rgb
from .faces import astronaut
from .wait import until

ROOT = Path(__file__).parents[1]
EVENTS = ("frame", "detection", "attendance", "attendance_removed")


class ClipCamera:
    """A camera whose picture is one photograph, a hundred times a second."""

    def __init__(self, camera_id: str, rgb: Rgb) -> None:
        self.id = camera_id
        self.taps: set[FrameTap] = set()
        self._frame = as_frame(rgb)

    @contextmanager
    def _tap(self, every: int) -> Iterator[FrameTap]:
        tap = FrameTap(every)
        self.taps.add(tap)
        try:
            yield tap
        finally:
            self.taps.discard(tap)

    def tap(self, every: int) -> AbstractContextManager[FrameTap]:
        return self._tap(every)

    async def run(self) -> None:
        while True:
            for tap in self.taps:
                tap.offer(self._frame)
            await asyncio.sleep(0.01)


@dataclass
class ClipCameras:
    cameras: list[ClipCamera] = field(default_factory=list)

    def all(self) -> list[ClipCamera]:
        return list(self.cameras)


@dataclass
class Running:
    """A served `/stream` and all around it."""

    url: str
    stream: LegacyStream
    camera: ClipCamera
    cameras: ClipCameras
    events: EventBus
    metrics: Metrics

    def count(self, name: str, camera_id: str = "1") -> float:
        return self.metrics._registry.get_sample_value(f"surveillx_{name}_total", {"camera": camera_id}) or 0.0


def as_frame(rgb: Rgb) -> VideoFrame:
    return VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format="yuv420p")


@asynccontextmanager
async def serving(settings: Settings | None = None, photo: Rgb | None = None) -> AsyncIterator[Running]:
    settings = settings or Settings()
    camera = ClipCamera("1", astronaut()[:256, :256].copy() if photo is None else photo)
    cameras, events, metrics = ClipCameras([camera]), EventBus(), Metrics()
    folder = TemporaryDirectory(prefix="surveillx-")
    database = Database(f"sqlite:///{folder.name}/surveillx.db")
    access = Access(settings, Accounts(database))
    stream = LegacyStream(settings, metrics, events, access, AuditStore(database), cameras)
    app = Starlette(routes=[Mount("/socket.io", stream.asgi)])
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
    async with asyncio.TaskGroup() as tasks:
        filming = tasks.create_task(camera.run())
        served = tasks.create_task(server.serve([listening]))
        await stream.start()
        await until(lambda: server.started)
        try:
            yield Running(f"http://127.0.0.1:{listening.getsockname()[1]}", stream, camera, cameras, events, metrics)
        finally:
            await stream.close()
            await stream.close()
            server.should_exit = True
            await served
            filming.cancel()
            access.passwords.close()
            await database.aclose()
            folder.cleanup()


@asynccontextmanager
async def client(
    url: str, auth: dict[str, Any] | None = None, **options: Any
) -> AsyncIterator[dict[str, list[Message]]]:
    """A Socket.IO client; the messages it got, by event. Like every python-socketio client it acknowledges each."""
    received: dict[str, list[Message]] = {event: [] for event in EVENTS}
    program = socketio.AsyncClient(reconnection=False, handle_sigint=False)
    for event, messages in received.items():
        program.on(event, messages.append, namespace=NAMESPACE)
    try:
        await program.connect(url, namespaces=[NAMESPACE], auth=auth, wait_timeout=5, **options)
        yield received
    finally:
        await program.disconnect()


async def test_frame_is_the_message_the_school_knows() -> None:
    async with serving() as running, client(running.url) as received:
        await until(lambda: len(received["frame"]) >= 3)
        message = received["frame"][0]
        assert set(message) == {"frame", "camera_id", "timestamp"}
        assert message["camera_id"] == 1
        assert isinstance(message["timestamp"], str)
        assert abs(float(message["timestamp"]) - time.time()) < 60
        picture = Image.open(BytesIO(base64.b64decode(message["frame"], validate=True)))
        assert (picture.format, picture.size) == ("JPEG", (256, 256))


async def test_camera_id_is_a_number_only_when_it_looks_like_one() -> None:
    ids = [frame_message(each, b"", 0.0)["camera_id"] for each in ("7", "0", "lab", "007", "1.5", "²")]
    assert ids == [7, 0, "lab", "007", "1.5", "²"]


async def test_detection_is_the_message_the_school_knows() -> None:
    async with serving() as running, client(running.url) as received:
        await until(lambda: received["frame"])
        face = Face(4, 12, "Zoë Ødegård", 0.87654, (10.4, 20.0, 30.0, 40.6))
        hidden = Face(5, None, "Unknown", 0.9, (1.0, 2.0, 30.0, 40.0), is_hidden=True)
        running.events.publish(Detections("1", 900, 1280, 720, (face, hidden)))
        [message] = await until(lambda: received["detection"])
        assert float(message.pop("timestamp")) > 0
        assert message == {
            "camera_id": 1,
            "faces": [
                {
                    "track_id": 4,
                    "student_id": 12,
                    "student_name": "Zoë Ødegård",
                    "confidence": 0.877,
                    "bbox": [10, 20, 40, 61],
                },
            ],
            "activity": "Normal",
            "alerts": [],
        }


MARKED = AttendanceMarked(4, 12, "Zoë Ødegård", "17", "1", "2026-03-02T08:05:00+01:00", 0.31)


async def test_attendance_is_told_as_over_the_websocket() -> None:
    async with serving() as running, client(running.url, {"camera_id": "lab"}) as lab, client(running.url) as received:
        await until(lambda: received["frame"])
        by_hand = replace(MARKED, id=5, camera_id="", source="manual")
        for event in (MARKED, AttendanceRemoved(4, 12, "1"), by_hand):
            running.events.publish(event)
        await until(lambda: len(received["attendance"]) == 2 and received["attendance_removed"])
        assert received["attendance"] == [event_message(MARKED), event_message(by_hand)]
        assert received["attendance_removed"] == [event_message(AttendanceRemoved(4, 12, "1"))]
        await until(lambda: lab["attendance"])
        assert lab["attendance"] == [event_message(by_hand)], "it is no camera's; the others are another's"


async def test_a_connection_that_is_behind_gets_attendance_later() -> None:
    sent: list[str] = []
    drained = False

    async def emit(event: str, message: Message, callback: object) -> None:
        sent.append(event)

    feeds = JpegFeeds(ClipCameras([]), Metrics(), every=1, quality=70)
    with feeds.receiver("1", emit, lambda: drained) as receiver:
        running = asyncio.create_task(receiver.run())
        for number in range(LETTERS_WAITING + 10):
            await feeds.tell("1", "detection", {})
            feeds.post("1", f"attendance {number}", {})
        await asyncio.sleep(0)
        assert sent == []
        drained = True
        await until(lambda: len(sent) == LETTERS_WAITING)
        assert sent[-1] == f"attendance {LETTERS_WAITING + 9}", "bounded: the oldest gave way"
        running.cancel()
    await feeds.close()


async def test_client_gets_the_camera_it_asks_for_even_one_that_comes_later() -> None:
    async with (
        serving() as running,
        client(running.url, {"camera_id": "lab"}) as lab,
        client(running.url) as everything,
    ):
        await until(lambda: len(everything["frame"]) >= 2)
        assert lab["frame"] == []
        late = ClipCamera("lab", astronaut()[:64, :64].copy())
        filming = asyncio.create_task(late.run())
        running.cameras.cameras.append(late)
        running.events.publish(CameraChanged("lab", "online", "2026-01-05T08:00:00+00:00", ""))
        await until(lambda: len(lab["frame"]) >= 2)
        await until(lambda: {message["camera_id"] for message in everything["frame"]} == {1, "lab"})
        assert {message["camera_id"] for message in lab["frame"]} == {"lab"}
        filming.cancel()


async def test_nothing_is_encoded_without_listeners() -> None:
    async with serving() as running:
        async with client(running.url, {"camera_id": "2"}):
            assert running.camera.taps == set()
        async with client(running.url, {"camera_id": 1}) as received:
            await until(lambda: received["frame"])
        await until(lambda: running.camera.taps == set())
        assert running.count("jpeg_frames") > 0


async def test_two_clients_share_one_encode() -> None:
    async with serving() as running, client(running.url) as one, client(running.url) as other:
        await until(lambda: len(one["frame"]) >= 3 and len(other["frame"]) >= 3)
        assert len(running.camera.taps) == 1


@pytest.mark.parametrize(
    ("auth", "headers", "admitted"),
    [
        (None, {}, False),
        ({"token": "wrong"}, {}, False),
        ({"token": 7}, {}, False),
        (None, {"Authorization": "Bearer wrong"}, False),
        (None, {"Cookie": f"{COOKIE}=view"}, False),
        ({"token": "view"}, {}, True),
        (None, {"Authorization": "Bearer view"}, True),
        (None, {"Cookie": f"a=b; {COOKIE}={view_cookie('view')}"}, True),
    ],
)
async def test_only_those_who_may_view_are_admitted(
    auth: dict[str, Any] | None, headers: dict[str, str], admitted: bool
) -> None:
    async with serving(Settings(view_token="view")) as running:
        if admitted:
            async with client(running.url, auth, headers=headers) as received:
                await until(lambda: received["frame"])
        else:
            with pytest.raises(socketio.exceptions.ConnectionError):
                async with client(running.url, auth, headers=headers):
                    pass
            assert running.camera.taps == set()


async def test_guessing_ends_after_a_few_wrong_tokens() -> None:
    async with serving(Settings(view_token="view")) as running:
        refused = socketio.exceptions.ConnectionError
        for _ in range(GUESSES):
            with pytest.raises(refused):
                async with client(running.url, {"token": "wrong"}, transports=["websocket"]):
                    pass
        with pytest.raises(refused):
            async with client(running.url, {"token": "view"}, transports=["websocket"]):
                pass


async def test_pages_of_other_hosts_are_refused() -> None:
    async with serving() as running:
        address = f"{running.url.replace('http', 'ws')}/socket.io/?EIO=4&transport=websocket"
        async with connect(address, origin=running.url):  # type: ignore[arg-type]
            pass
        forged = {"X-Forwarded-Host": "evil.example", "Origin": "http://evil.example"}
        with pytest.raises(InvalidStatus):
            await connect(address, additional_headers=forged)


def test_an_origin_that_is_no_address_is_foreign() -> None:
    assert not may_ask((), "http://[", {"HTTP_HOST": "school"})
    assert not may_ask((), "null", {"HTTP_HOST": "school"})
    assert may_ask((), "https://school:8080", {"HTTP_HOST": "school:8080"})
    assert not may_ask((), "https://school:5000", {"HTTP_HOST": "school:8080"})
    assert may_ask(("https://school:5000",), "https://school:5000", {"HTTP_HOST": "school:8080"})


async def _next_frame(websocket: ClientConnection) -> tuple[str, Message]:
    """Reads on to the next `frame`; its acknowledgement number ("" without) and message."""
    while True:
        text = str(await websocket.recv())
        if text == "2":
            await websocket.send("3")
        if text.startswith("42/stream,"):
            number, bracket, rest = text.removeprefix("42/stream,").partition("[")
            event, message = json.loads(bracket + rest)
            if event == "frame":
                return number, message


async def test_next_frame_waits_for_the_acknowledgement_and_is_the_newest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jpeg, "ACKNOWLEDGE_WITHIN_S", 3600.0)
    async with serving() as running:
        address = f"{running.url.replace('http', 'ws')}/socket.io/?EIO=4&transport=websocket"
        async with connect(address) as websocket:
            await websocket.recv()
            await websocket.send("40/stream,")
            number, first = await _next_frame(websocket)
            waiting = asyncio.create_task(_next_frame(websocket))
            seen = running.count("jpeg_frames")
            await until(lambda: running.count("jpeg_frames") >= seen + 10)
            assert not waiting.done()
            acknowledged_at = time.time()
            await websocket.send(f"43/stream,{number}[]")
            _, second = await waiting
            assert running.count("jpeg_skipped") >= 9
            assert float(second["timestamp"]) > float(first["timestamp"])
            assert float(second["timestamp"]) > acknowledged_at - 1.0


async def test_receiver_that_never_acknowledges_is_given_no_more_than_its_connection_takes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(jpeg, "ACKNOWLEDGE_WITHIN_S", 0.01)
    monkeypatch.setattr(jpeg, "DRAIN_POLL_S", 0.001)
    sent: list[tuple[Message, bool]] = []
    drained = True

    async def emit(event: str, message: Message, callback: object) -> None:
        sent.append((message, callback is not None))

    camera = ClipCamera("1", astronaut()[:32, :32].copy())
    feeds = JpegFeeds(ClipCameras([camera]), metrics := Metrics(), every=1, quality=70)
    with feeds.receiver(None, emit, lambda: drained) as receiver:
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(receiver.run()), tasks.create_task(camera.run())]
            await until(lambda: len(sent) >= 3)
            drained = False
            before = len(sent)
            await receiver.tell("detection", {})
            encoded = _encoded(metrics)
            await until(lambda: _encoded(metrics) >= encoded + 20)
            assert len(sent) <= before + 1
            drained = True
            await until(lambda: len(sent) >= before + 2)
            for task in running:
                task.cancel()
    await feeds.close()
    asked = [with_callback for _, with_callback in sent]
    assert asked == [True] + [False] * (len(sent) - 1)


async def test_client_that_stops_reading_is_sent_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jpeg, "ACKNOWLEDGE_WITHIN_S", 0.001)
    monkeypatch.setattr(jpeg, "DRAIN_POLL_S", 0.001)
    sent = []
    send = Receiver._send

    async def counted(self: Receiver, camera_id: str, picture: Picture) -> None:
        sent.append(picture.number)
        await send(self, camera_id, picture)

    monkeypatch.setattr(Receiver, "_send", counted)
    noise = np.random.default_rng(1).integers(0, 255, (720, 1280, 3), np.uint8)
    async with serving(photo=noise) as running, stuck_client(running.url):

        async def is_still() -> bool:
            before, encoded = len(sent), running.count("jpeg_frames")
            await until(lambda: running.count("jpeg_frames") >= encoded + 30)
            return len(sent) == before

        await until(lambda: sent)
        while not await is_still():  # the sockets' buffers hold some megabytes
            pass
        [connection] = running.stream._server.eio.sockets.values()
        assert connection.queue.qsize() <= 1


@asynccontextmanager
async def stuck_client(url: str) -> AsyncIterator[None]:
    """A WebSocket that joins `/stream` and never reads again."""
    port = int(url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
    writer.write(
        f"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
    )
    await reader.readuntil(b"\r\n\r\n")
    join = b"40/stream,"
    # RFC 6455 section 5.2: a final text frame, masked with zeros.
    writer.write(bytes([0x81, 0x80 | len(join), 0, 0, 0, 0]) + join)
    try:
        yield
    finally:
        writer.transport.abort()


def _encoded(metrics: Metrics) -> float:
    return metrics._registry.get_sample_value("surveillx_jpeg_frames_total", {"camera": "1"}) or 0.0


async def test_feed_that_fails_begins_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jpeg, "RETRY_FEED_S", 0.01)
    failures = iter([True, True])

    def encode(frame: VideoFrame, quality: int) -> bytes:
        if next(failures, False):
            raise ValueError("no picture")
        return encode_jpeg(frame, quality)

    monkeypatch.setattr(jpeg, "encode_jpeg", encode)
    async with serving() as running, client(running.url) as received:
        await until(lambda: received["frame"])


def test_skipped_pictures_are_counted_across_a_feed_that_starts_anew() -> None:
    skipped: list[int] = []
    receiver = Receiver(None, None, None, lambda _, pictures: skipped.append(pictures))  # type: ignore[arg-type]
    for number in (5, 6, 9, 1, 4):
        receiver._count("1", number)
    assert skipped == [2, 2]


@pytest.mark.parametrize(("width", "height"), [(512, 512), (320, 180), (270, 478), (511, 509), (2, 2)])
def test_jpeg_shows_the_picture(width: int, height: int) -> None:
    rgb = np.ascontiguousarray(astronaut()[:height, :width])
    seen = np.asarray(Image.open(BytesIO(encode_jpeg(as_frame(rgb), 90))).convert("RGB"), dtype=np.int16)
    assert seen.shape == (height & ~1, width & ~1, 3)
    assert np.abs(seen - rgb[: seen.shape[0], : seen.shape[1]]).mean() < 8


def test_lower_quality_is_smaller() -> None:
    frame = as_frame(astronaut())
    assert len(encode_jpeg(frame, 40)) < len(encode_jpeg(frame, 70)) < len(encode_jpeg(frame, 95))


@contextmanager
def flask_app(port: int) -> Iterator[str]:
    """The school's app in a process of its own."""
    command = [sys.executable, "-m", "tests.legacy_app", str(port)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def frames_at(url: str) -> int:
    """How many frames the app has got; 0 while it is not there."""
    try:
        return int(httpx.get(f"{url}/counts").json().get("frame", 0))
    except httpx.TransportError:
        return 0


async def test_forwarder_finds_the_app_whichever_starts_first_and_after_a_restart() -> None:
    port = free_port()
    async with serving(Settings(legacy_url=f"http://127.0.0.1:{port}")) as running:
        assert running.camera.taps == set()
        with flask_app(port) as url:
            await until(lambda: frames_at(url), 20)
        await until(lambda: running.camera.taps == set(), 20)
        with flask_app(port) as url:
            await until(lambda: frames_at(url), 20)


async def test_forwarder_sends_to_an_app_that_was_there_before_what_its_pages_expect() -> None:
    port = free_port()
    with flask_app(port) as url:
        await until(lambda: is_up(port), 20)
        async with serving(Settings(legacy_url=url)) as running, client(url) as page:
            await until(lambda: len(page["frame"]) >= 5, 20)
            assert set(page["frame"][0]) == {"frame", "camera_id", "timestamp"}
            running.events.publish(Detections("1", 900, 1280, 720, ()))
            [message] = await until(lambda: page["detection"])
            assert message["faces"] == []


def is_up(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


async def test_app_that_hangs_gets_one_frame_at_a_time_and_delays_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jpeg, "ACKNOWLEDGE_WITHIN_S", 3600.0)
    port = free_port()
    async with serving(Settings(legacy_url=f"http://127.0.0.1:{port}")) as running:
        with flask_app(port) as url:
            await until(lambda: frames_at(url), 20)
            async with client(running.url) as ours:
                await asyncio.to_thread(httpx.post, f"{url}/hold")
                await until(lambda: ours["frame"])
                held = frames_at(url)
                seen = len(ours["frame"])
                await until(lambda: len(ours["frame"]) >= seen + 10)
                assert frames_at(url) <= held + 1
                await asyncio.to_thread(httpx.post, f"{url}/release")
                await until(lambda: frames_at(url) > held + 3)
