"""Publishers and viewers over the real interface: negotiation, takeover, deadlines, close."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest
from aiortc import RTCPeerConnection

from server.bench.churn import offer_in_vain

from .live import Live, live
from .peers import Client, PatternTrack, new_peer
from .wait import until


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Live]:
    async with live(tmp_path) as running:
        yield running


@pytest.fixture
async def clients(server: Live) -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


async def publisher(
    server: Live, clients: AsyncExitStack, camera_id: str = "1", track: PatternTrack | None = None
) -> Client:
    client = Client(server.http, camera_id)
    clients.push_async_callback(client.close)
    await client.publish(track or PatternTrack())
    return client


async def viewer(server: Live, clients: AsyncExitStack, camera_id: str = "1") -> Client:
    client = Client(server.http, camera_id)
    clients.push_async_callback(client.close)
    await client.view()
    return client


async def watch(client: Client, frames: int = 10) -> None:
    """Wait until the viewer has seen so many more frames."""
    assert client.received is not None
    counter = client.received
    wanted = counter.frames + frames
    await until(lambda: counter.frames >= wanted, what=f"{frames} more frames")


def is_pattern(client: Client) -> bool:
    """Whether the viewer sees the camera's picture, which has the publisher's size and moves; the slate is dark."""
    assert client.received is not None
    latest = client.received.latest
    return latest is not None and float(latest.to_ndarray()[: latest.height].mean()) > 90


async def offline(server: Live) -> bool:
    return bool((await server.camera())["state"] == "offline")


async def test_a_viewer_sees_what_is_published(server: Live, clients: AsyncExitStack) -> None:
    await publisher(server, clients)
    watching = await viewer(server, clients)
    await watch(watching)
    assert is_pattern(watching)
    camera = await server.camera()
    assert (camera["online"], camera["width"], camera["height"], camera["viewers"]) == (True, 640, 360, 1)
    assert camera["frames"]["received"] > 0


async def test_two_viewers_share_one_encode_and_it_stops_after_the_last(server: Live, clients: AsyncExitStack) -> None:
    await publisher(server, clients)
    both = [await viewer(server, clients) for _ in range(2)]
    for each in both:
        await watch(each)
    assert (await server.camera())["renditions"] == {"720p": 2, "360p": 0}
    metrics = (await server.http.get("/metrics")).text
    assert 'surveillx_encodes_active{camera="1",codec="VP8",picture="annotated",rendition="720p"} 1.0' in metrics
    tasks = next(line for line in metrics.splitlines() if line.startswith("surveillx_tasks "))
    assert float(tasks.split()[1]) > 3  # a session and its life for each peer, and what the server does besides
    assert server.parts.cameras.get("1").broadcast.encoders == 1
    for each in both:
        assert (await server.http.delete(f"/webrtc/sessions/{each.session_id}")).status_code == 204
    await until(lambda: not server.parts.cameras.get("1").broadcast.encoders, what="the encoder stops")
    encoded = server.parts.metrics.frames_encoded.labels("1", "VP8", "720p", "annotated")._value.get()
    received = server.parts.cameras.get("1")._received
    await until(lambda: server.parts.cameras.get("1")._received > received + 5)
    assert server.parts.metrics.frames_encoded.labels("1", "VP8", "720p", "annotated")._value.get() == encoded


async def test_an_offline_camera_shows_the_slate_and_the_live_picture_when_it_comes(
    server: Live, clients: AsyncExitStack
) -> None:
    watching = await viewer(server, clients)
    await watch(watching, 3)
    assert not is_pattern(watching)
    await publisher(server, clients)
    await until(lambda: is_pattern(watching), what="the live picture")


async def test_a_healthy_camera_refuses_a_second_publisher_and_loses_nothing(
    server: Live, clients: AsyncExitStack
) -> None:
    await publisher(server, clients)
    watching = await viewer(server, clients)
    await watch(watching)
    with pytest.raises(httpx.HTTPStatusError) as caught:
        await publisher(server, clients)
    problem = caught.value.response
    assert problem.status_code == 409
    assert problem.headers["content-type"] == "application/problem+json"
    assert problem.headers["retry-after"] == "2"
    assert "already has a publisher" in problem.json()["detail"]
    await watch(watching)


class SilencingTrack(PatternTrack):
    """A camera that can fall silent, as a frozen PC does."""

    def __init__(self) -> None:
        super().__init__()
        self.silent = asyncio.Event()

    async def recv(self):  # type: ignore[no-untyped-def]
        if self.silent.is_set():
            await asyncio.Event().wait()
        return await super().recv()


async def test_a_silent_publisher_is_taken_over_and_the_viewers_stay(server: Live, clients: AsyncExitStack) -> None:
    first_track = SilencingTrack()
    first = await publisher(server, clients, track=first_track)
    watching = await viewer(server, clients)
    await watch(watching)
    first_track.silent.set()
    await until(lambda: not is_pattern(watching), what="the slate after two seconds of silence")
    assert (await server.camera())["state"] == "stale"
    second = await publisher(server, clients)
    await until(lambda: is_pattern(watching), what="the second publisher's picture")
    assert watching.peer.connectionState == "connected"
    assert (await server.http.delete(f"/webrtc/sessions/{first.session_id}")).status_code in (204, 404)
    assert (await server.http.delete(f"/webrtc/sessions/{second.session_id}")).status_code == 204


async def test_delete_frees_the_camera_at_once(server: Live, clients: AsyncExitStack) -> None:
    first = await publisher(server, clients)
    assert (await server.http.delete(f"/webrtc/sessions/{first.session_id}")).status_code == 204
    assert (await server.http.delete(f"/webrtc/sessions/{first.session_id}")).status_code == 404
    assert await offline(server)
    await publisher(server, clients)


async def test_the_picture_goes_on_when_its_size_changes(server: Live, clients: AsyncExitStack) -> None:
    track = PatternTrack()
    await publisher(server, clients, track=track)
    watching = await viewer(server, clients)
    await watch(watching)
    track.size = (320, 180)
    counter = watching.received
    assert counter is not None
    await until(lambda: counter.latest is not None and counter.latest.width == 320, what="the new size")
    await watch(watching)


async def test_an_unknown_camera_is_404_until_it_publishes(server: Live, clients: AsyncExitStack) -> None:
    with pytest.raises(httpx.HTTPStatusError) as caught:
        await viewer(server, clients, "room 12")
    assert caught.value.response.status_code == 404
    await publisher(server, clients, "room-12")
    await watch(await viewer(server, clients, "room-12"))


async def test_a_number_is_as_good_a_camera_id_as_a_string(server: Live, clients: AsyncExitStack) -> None:
    peer = new_peer()
    clients.push_async_callback(peer.close)
    peer.addTransceiver("video", "recvonly")
    await peer.setLocalDescription(await peer.createOffer())
    body = {"sdp": peer.localDescription.sdp, "type": "offer", "camera_id": 1}
    answer = await server.http.post("/webrtc/viewer", json=body)
    assert answer.status_code == 200
    assert set(answer.json()) == {"sdp", "type", "session_id"}


async def offer(peer: RTCPeerConnection) -> str:
    peer.addTrack(PatternTrack())
    await peer.setLocalDescription(await peer.createOffer())
    return str(peer.localDescription.sdp)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"sdp": "v=0", "type": "offer"}, 400),
        ({"sdp": "", "type": "offer"}, 400),
        ({"type": "offer"}, 422),
        ({"sdp": "v=0", "type": "answer"}, 422),
        ({"sdp": {"a": 1}, "type": "offer"}, 422),
        ({"sdp": "x" * 70_000, "type": "offer"}, 413),
        ([], 422),
    ],
)
async def test_bad_requests_are_refused_in_words_and_leave_nothing(server: Live, body: object, status: int) -> None:
    for path in ("/webrtc/streamer", "/webrtc/viewer"):
        response = await server.http.post(path, json=body)
        assert response.status_code == status
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json()["detail"]
        assert "x" * 100 not in response.text
    assert not server.parts.sessions.counts()


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b'{"sdp": "v=0", "type": "offer"}', "text/plain", 415),
        (b'{"sdp": "v=0", "type": "offer"}', "application/sdp", 415),
        (b'{"sdp": "v=0"', "application/json", 400),
        (b'{"sdp": "\\ud800", "type": "offer"}', "application/json", 400),
        (b"[" * 20_000, "application/json", 400),
        (b"\0", "application/json", 400),
        (b"", "application/json", 422),
    ],
)
async def test_bodies_that_are_no_json_object_are_refused(server: Live, body: bytes, kind: str, status: int) -> None:
    response = await server.http.post("/webrtc/viewer", content=body, headers={"Content-Type": kind})
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"


async def test_an_offer_that_only_aiortc_finds_fault_with_frees_the_camera(
    server: Live, clients: AsyncExitStack
) -> None:
    peer = new_peer()
    clients.push_async_callback(peer.close)
    broken = (await offer(peer)).replace("a=ssrc:", "a=ssrc:x")
    response = await server.http.post("/webrtc/streamer", json={"sdp": broken, "type": "offer"})
    assert response.status_code == 400
    assert not server.parts.sessions.counts()
    await publisher(server, clients)


async def test_a_peer_that_never_connects_is_freed(tmp_path: Path) -> None:
    async with live(tmp_path, connect_timeout_s=0.3) as server:
        peer = new_peer()
        body = {"sdp": await offer(peer), "type": "offer"}
        response = await server.http.post("/webrtc/streamer", json=body)
        assert response.status_code == 200
        assert server.parts.sessions.counts()["publisher"] == 1
        await until(lambda: not server.parts.sessions.counts(), what="the session is closed")
        await peer.close()


async def test_a_connected_publisher_that_sends_no_picture_is_closed(tmp_path: Path) -> None:
    async with live(tmp_path, first_media_timeout_s=1.5) as server, AsyncExitStack() as clients:
        track = SilencingTrack()
        track.silent.set()
        await publisher(server, clients, track=track)
        await until(lambda: not server.parts.sessions.counts(), what="the session is closed")


async def test_a_publisher_silent_for_long_is_closed(tmp_path: Path) -> None:
    async with live(tmp_path, stale_after_s=0.3, silent_close_s=1.5) as server, AsyncExitStack() as clients:
        track = SilencingTrack()
        await publisher(server, clients, track=track)
        await until(lambda: server.parts.cameras.get("1").state == "online")
        track.silent.set()
        await until(lambda: server.parts.cameras.get("1").state == "stale")
        await until(lambda: server.parts.cameras.get("1").state == "offline")
        await until(lambda: not server.parts.sessions.counts())


async def test_sessions_beyond_the_limit_are_told_to_come_back(tmp_path: Path) -> None:
    async with live(tmp_path, max_sessions=1) as server, AsyncExitStack() as clients:
        await publisher(server, clients)
        with pytest.raises(httpx.HTTPStatusError) as caught:
            await viewer(server, clients)
        assert caught.value.response.status_code == 503
        assert caught.value.response.headers["retry-after"]


async def test_offers_that_nobody_completes_are_bounded_and_forgotten(tmp_path: Path) -> None:
    async with live(tmp_path, connect_timeout_s=2.0, max_connecting=2) as server, AsyncExitStack() as clients:
        await publisher(server, clients)
        watcher = await viewer(server, clients)
        await until(lambda: is_pattern(watcher), what="both are connected")
        assert await offer_in_vain(server.url, 5) == {200: 2, 503: 3}
        await watch(watcher)
        await until(lambda: server.parts.sessions.counts() == {"publisher": 1, "viewer": 1}, what="they are forgotten")
        await watch(await viewer(server, clients))


async def test_shutdown_with_viewers_ends_everything(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    clients = AsyncExitStack()
    async with live(tmp_path) as server:
        await publisher(server, clients)
        watching = await viewer(server, clients)
        await watch(watching)
    await until(lambda: watching.peer.connectionState in ("closed", "failed"), what="the viewer is told")
    await clients.aclose()
    gc.collect()
    left = [task for task in asyncio.all_tasks() if task.get_name().startswith("surveillx")]
    assert not left
    names = {thread.name for thread in set(threading.enumerate()) - before}
    assert not {name for name in names if name.startswith(("surveillx", "video-decoder"))}
