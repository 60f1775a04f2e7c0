"""The clean picture: asked for in the offer or on the running connection, encoded only while somebody watches it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

import numpy as np
import pytest
from av.video.frame import VideoFrame

from server.annotate import PictureKind
from server.broadcast import Broadcast
from server.config import Settings
from server.events import Detections, Face
from server.metrics import Metrics
from server.relay import Relay
from server.sessions import ViewerSession

from .live import Live, live
from .peers import Client, PatternTrack, picture
from .test_relay import Line
from .wait import until

SIZE = (640, 360)
ADA = Face(1, 1, "Ada", 0.9, (160.0, 120.0, 200.0, 160.0))
HIDDEN = Face(2, None, "Unknown", 0.9, (420.0, 80.0, 80.0, 80.0), is_hidden=True)


def timed(pts: int) -> VideoFrame:
    frame = picture(*SIZE)
    frame.pts = pts
    return frame


async def test_a_clean_encoder_opens_and_closes_with_its_viewers() -> None:
    metrics = Metrics()
    broadcast = Broadcast("1", Settings(), metrics, on_first=lambda: None)

    def is_active(kind: PictureKind) -> bool:
        return bool(metrics.encodes_active.labels("1", "VP8", "720p", kind)._value.get())

    with ThreadPoolExecutor(1) as thread:
        annotated, clean = Line(), Line()
        broadcast.relay("VP8", "720p", "annotated").subscribe(annotated)
        await broadcast.send({"annotated": timed(0)}, thread)
        assert (is_active("annotated"), is_active("clean")) == (True, False)
        watching = broadcast.relay("VP8", "720p", "clean").subscribe(clean)
        await broadcast.send({"annotated": timed(3000)}, thread)
        assert clean.sent == [], "this moment has no clean picture, and never a picture of another kind"
        await broadcast.send({"annotated": timed(6000), "clean": timed(6000)}, thread)
        assert [each.timestamp for each in annotated.sent] == [0, 3000, 6000]
        assert [each.timestamp for each in clean.sent] == [6000]
        assert broadcast.viewers_by_picture == {"annotated": 1, "clean": 1}
        assert broadcast.encoders == 2
        watching.stop()
        assert broadcast.has_idle_encoders
        broadcast.close_idle_encoders()
        assert (is_active("annotated"), is_active("clean")) == (True, False)
        broadcast.close()


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Live]:
    async with live(tmp_path) as running:
        yield running


@pytest.fixture
async def clients(server: Live) -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


async def client(server: Live, clients: AsyncExitStack, *, shown: str = "") -> Client:
    """A viewer of camera 1."""
    made = Client(server.http)
    made.picture = shown
    clients.push_async_callback(made.close)
    await made.view()
    return made


class SquaresTrack(PatternTrack):
    """A camera that films black and white squares where the hidden face is."""

    async def recv(self) -> VideoFrame:
        frame = await super().recv()
        luma = frame.to_ndarray()
        rows, columns = np.mgrid[80:160, 420:500] // 8
        luma[80:160, 420:500] = np.where((rows + columns) % 2, 235, 16)
        squares = VideoFrame.from_ndarray(luma, "yuv420p")
        squares.pts, squares.time_base = frame.pts, frame.time_base
        return squares


async def filmed(server: Live, clients: AsyncExitStack) -> Client:
    """A publisher of camera 1, with a known and a hidden face in every picture, recognised at once."""
    made = Client(server.http)
    clients.push_async_callback(made.close)
    await made.publish(SquaresTrack(*SIZE))
    camera = server.parts.cameras.get("1")

    next_frame = camera._annotated._next_frame

    async def recognised() -> VideoFrame:
        frame = await next_frame()
        camera.show(Detections("1", frame.pts or 0, *SIZE, (ADA, HIDDEN)))
        return frame

    camera._annotated._next_frame = recognised
    return made


def has_box(viewer: Client) -> bool | None:
    """Whether the known face's box is in the viewer's newest picture; None before the first."""
    assert viewer.received is not None
    frame = viewer.received.latest
    if frame is None:
        return None
    red = frame.to_ndarray(format="rgb24").astype(int)[200, 158:166]
    return bool((red[:, 1] - red[:, 0]).max() > 60)


async def another_picture(viewer: Client) -> None:
    assert viewer.received is not None
    received, before = viewer.received, viewer.received.frames
    await until(lambda: received.frames > before, what="another picture")


async def shows(viewer: Client, *, box: bool) -> None:
    """Wait for a picture with the known face's box, or without."""
    await until(lambda: has_box(viewer) is box, what="a picture with a box" if box else "a picture without boxes")


def is_hidden(viewer: Client) -> bool:
    """Whether nothing is left of the squares on the hidden face."""
    assert viewer.received is not None
    assert viewer.received.latest is not None
    face = viewer.received.latest.to_ndarray()[90:150, 430:490].astype(int)
    return bool(face.std() < 30)


@contextmanager
def timestamps(server: Live) -> Iterator[list[int]]:
    """Of every picture that the only viewer is sent from now on."""
    (session,) = (each for each in server.parts.sessions._sessions.values() if isinstance(each, ViewerSession))
    stock, sent = session._downlink.send, list[int]()
    session._downlink.send = lambda picture: sent.append(picture.timestamp) or stock(picture)  # type: ignore[method-assign, func-returns-value]
    yield sent


async def test_a_viewer_changes_between_the_pictures_without_a_gap(server: Live, clients: AsyncExitStack) -> None:
    await filmed(server, clients)
    viewer = await client(server, clients)
    camera = server.parts.cameras.get("1")
    await shows(viewer, box=True)
    assert (await server.camera())["pictures"] == {"annotated": 1, "clean": 0}
    assert viewer.received is not None
    before = len(viewer.received.gaps)
    with timestamps(server) as sent:
        for kind, box in (("clean", False), ("annotated", True), ("clean", False)):
            await viewer.show(kind)
            await shows(viewer, box=box)
            assert is_hidden(viewer), f"privacy holds in the {kind} picture"
            await until(lambda: camera.broadcast.encoders == 1, what="the other encoder is closed")
    assert (await server.camera())["pictures"] == {"annotated": 0, "clean": 1}
    assert sent == sorted(set(sent)), "no two pictures share a timestamp"
    assert max(viewer.received.gaps[before:]) < 1


async def test_the_small_rendition_is_clean_too_and_steering_goes_on(server: Live, clients: AsyncExitStack) -> None:
    await filmed(server, clients)
    viewer = await client(server, clients, shown="clean")
    await shows(viewer, box=False)
    (session,) = (each for each in server.parts.sessions._sessions.values() if isinstance(each, ViewerSession))
    session.viewing._steering.rung = 1
    session.viewing._follow()
    broadcast = server.parts.cameras.get("1").broadcast
    small_and_clean = broadcast.relay("VP8", "360p", "clean")
    await until(lambda: small_and_clean.viewers == 1 and broadcast.viewers == 1, what="360p, clean")
    await viewer.show("annotated")
    small = broadcast.relay("VP8", "360p", "annotated")
    await until(lambda: small.viewers == 1 and broadcast.viewers == 1, what="360p, annotated")
    await shows(viewer, box=True)


async def test_both_are_watched_at_once_and_each_sees_its_own(server: Live, clients: AsyncExitStack) -> None:
    await filmed(server, clients)
    annotated, clean = await client(server, clients), await client(server, clients, shown="clean")
    await until(lambda: has_box(annotated) is True and has_box(clean) is False, what="both pictures")
    for _ in range(10):
        await another_picture(clean)
        assert has_box(clean) is False
        assert is_hidden(clean)
    assert server.parts.cameras.get("1").broadcast.encoders == 2


async def test_a_viewer_may_change_its_mind_while_its_line_runs_empty(server: Live, clients: AsyncExitStack) -> None:
    await filmed(server, clients)
    viewer = await client(server, clients)
    await shows(viewer, box=True)
    (session,) = (each for each in server.parts.sessions._sessions.values() if isinstance(each, ViewerSession))
    session.viewing._drain()
    await viewer.show("clean")
    broadcast = server.parts.cameras.get("1").broadcast
    assert broadcast.viewers == 0, "the line still runs empty"
    await shows(viewer, box=False)
    session.viewing.stop()
    session.viewing.show("annotated")
    assert broadcast.viewers == 0, "who has left is sent nothing"


async def test_what_cannot_be_shown_is_refused_in_words(server: Live, clients: AsyncExitStack) -> None:
    publisher = await filmed(server, clients)
    viewer = await client(server, clients)
    for session_id, wish, status, words in (
        (viewer.session_id, {"picture": "clean"}, 204, ""),
        ("nobody", {"picture": "clean"}, 404, "There is no such session; it may have ended already."),
        (publisher.session_id, {"picture": "clean"}, 409, "only a viewer's can be shown another one"),
        (viewer.session_id, {"picture": "blurred"}, 422, "picture: Input should be 'annotated' or 'clean'."),
        (viewer.session_id, {"rendition": "720p"}, 422, "rendition: Input should be 'auto' or '360p'."),
        (viewer.session_id, {}, 422, "Say what to change: picture or rendition."),
        (viewer.session_id, {"picture": "clean", "size": "360p"}, 422, "a field that does not belong here"),
    ):
        response = await server.http.patch(f"/webrtc/sessions/{session_id}", json=wish)
        assert response.status_code == status
        assert words in (response.json()["detail"] if words else "")
    offer = {"sdp": "v=0", "type": "offer", "picture": "blurred"}
    refused = await server.http.post("/webrtc/viewer", json=offer)
    assert refused.status_code == 422
    assert refused.json()["detail"] == "picture: Input should be 'annotated' or 'clean'."
    form = await server.http.patch(f"/webrtc/sessions/{viewer.session_id}", content="picture=clean")
    assert form.status_code == 415


async def test_changing_needs_the_same_access_as_ending(tmp_path: Path) -> None:
    async with live(tmp_path, view_token="view", publish_token="publish") as server:
        wish = {"picture": "clean"}
        assert (await server.http.patch("/webrtc/sessions/x", json=wish)).status_code == 401
        allowed = {"Authorization": "Bearer view"}
        assert (await server.http.patch("/webrtc/sessions/x", json=wish, headers=allowed)).status_code == 404


def test_every_encoding_has_a_relay_of_its_own() -> None:
    broadcast = Broadcast("1", Settings(), Metrics(), on_first=lambda: None)
    relays: set[Relay] = {
        broadcast.relay(codec, rendition, kind)
        for codec in ("VP8", "H264")
        for rendition in ("720p", "360p")
        for kind in ("annotated", "clean")
    }
    assert len(relays) == 8
