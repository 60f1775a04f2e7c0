"""WHIP (RFC 9725) and WHEP (draft-ietf-wish-whep) over raw HTTP, by the lines of the protocol's list."""

from __future__ import annotations

import base64
import hashlib
import hmac
import logging
import re
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from aiortc.sdp import SessionDescription
from httpx import AsyncClient

from server.rates import Rate

from .live import Live, live
from .peers import PatternTrack
from .wait import until
from .whip_client import SDP, WhipClient

PUBLISH, VIEW = "publish-token", "view-token"
AS_PUBLISHER, AS_VIEWER = {"Authorization": f"Bearer {PUBLISH}"}, {"Authorization": f"Bearer {VIEW}"}
SCHOOL = "https://intranet.school"
TURN = ("turn:turn.school:3478?transport=udp", "turns:turn.school:5349?transport=tcp")
SECRET = "turn-secret"


class Room:
    """A running server, and clients that are closed with it."""

    def __init__(self, server: Live, stack: AsyncExitStack) -> None:
        self.server = server
        self.http: AsyncClient = server.http
        self._stack = stack

    def client(self, endpoint: str, *, sends: bool = False) -> WhipClient:
        token = PUBLISH if endpoint.startswith("/whip") else VIEW
        made = WhipClient(self.http, endpoint, token, PatternTrack(320, 180, 15) if sends else None)
        self._stack.push_async_callback(made.close)
        return made

    async def publisher(self, camera_id: str = "1") -> WhipClient:
        """One whose picture has arrived."""
        client = self.client(f"/whip/{camera_id}", sends=True)
        await client.open()

        async def online() -> bool:
            cameras = (await self.http.get("/api/cameras", headers=AS_VIEWER)).json()
            return any(each["id"] == camera_id and each["online"] for each in cameras)

        await until(online, 20, "the camera is online")
        return client

    async def viewer(self, camera_id: str = "1") -> WhipClient:
        client = self.client(f"/whep/{camera_id}")
        await client.open()
        await frames(client, 3)
        return client

    def sessions(self) -> int:
        return sum(self.server.parts.sessions.counts().values())


async def frames(client: WhipClient, count: int) -> None:
    """Wait until the viewer has seen so many more."""
    received = client.received
    assert received is not None
    wanted = received.frames + count
    await until(lambda: received.frames >= wanted, 20, f"{count} more frames")


@asynccontextmanager
async def room_of(folder: Path, **settings: object) -> AsyncIterator[Room]:
    chosen: dict[str, object] = {"publish_token": PUBLISH, "view_token": VIEW, "cameras": ("1", "2"), **settings}
    async with live(folder, **chosen) as server, AsyncExitStack() as stack:
        yield Room(server, stack)


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    turn = {"turn_urls": TURN, "turn_secret": SECRET}
    async with room_of(tmp_path, allowed_origins=(SCHOOL,), **turn) as made:
        yield made


async def test_what_cannot_be_served_is_refused_and_leaves_nothing(room: Room) -> None:
    """Lines 1, 3 and 4: each refusal with its status, its headers, and words."""
    sending, watching = room.client("/whip/1", sends=True), room.client("/whep/1")
    offer, wish = await sending.offer(), await watching.offer()
    section = offer[offer.index("m=video") :]
    audio = "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=rtpmap:111 opus/48000/2\r\n"

    for client in (sending, watching):
        response = await client.post(offer, **{"Content-Type": "application/json"})
        assert (response.status_code, response.headers["Accept-Post"]) == (415, "application/sdp")
        for garbage in ("", "hello", "v=0\r\n", "\0" * 99, b"\xff\xfe"):
            assert (await client.post(garbage)).status_code == 400, garbage
        assert (await client.post(offer + "a=" + "x" * 65536)).status_code == 413
        for more in (section, audio + audio):
            response = await client.post(offer + more)
            assert (response.status_code, response.headers["Content-Type"]) == (422, "application/problem+json")
    assert (await sending.post(offer.replace("sendonly", "recvonly"))).status_code == 400
    for direction in ("sendonly", "inactive"):
        assert (await watching.post(wish.replace("recvonly", direction))).status_code == 400
    assert (await sending.post(re.sub("VP8|H264", "AV1", offer))).status_code == 422
    assert (await room.http.post("/whep/1?rendition=8k", content=wish, headers={**AS_VIEWER, **SDP})).status_code == 422

    response = await watching.post(wish)
    assert (response.status_code, response.json()["reason"]) == (409, "camera_offline")
    assert int(response.headers["Retry-After"]) > 0
    watching.endpoint = "/whep/nowhere"
    assert (await watching.post(wish)).status_code == 404
    assert (await room.http.head("/whep/nowhere", headers=AS_VIEWER)).status_code == 404
    sending.endpoint = "/whip/not%20an%20id!"
    assert (await sending.post(offer)).status_code == 400
    assert room.sessions() == 0


async def test_nothing_without_a_token(room: Room) -> None:
    """Line 4: on every request but the preflight."""
    urls = [f"/{door}/1{session}" for door in ("whip", "whep") for session in ("", "/abc")]
    for url in urls:
        for method in ("GET", "HEAD", "PATCH", "DELETE") if url.endswith("abc") else ("GET", "HEAD", "POST"):
            for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic eDp5"}):
                response = await room.http.request(method, url, headers=headers)
                assert response.status_code == 401, (method, url)
                assert response.headers["WWW-Authenticate"] == "Bearer"
        assert (await room.http.options(url)).status_code == 200
    assert (await room.http.get("/whep/1?token=" + VIEW)).status_code == 401


async def test_what_the_addresses_say_of_themselves(room: Room) -> None:
    """Lines 5 and 6: GET, HEAD, OPTIONS, other methods, and pages of other origins."""
    publisher = await room.publisher()
    viewer = await room.viewer()
    for url, headers in ((publisher.session, AS_PUBLISHER), (viewer.session, AS_VIEWER)):
        for path in (url, url.rpartition("/")[0]):
            response = await room.http.get(path, headers=headers)
            assert (response.status_code, response.content) == (204, b"")
        for path, method in ((url, "POST"), (url, "PUT"), (url.rpartition("/")[0], "PATCH"), (url[:6] + "1", "DELETE")):
            response = await room.http.request(method, path, headers=headers)
            allowed = response.headers["Allow"].split(", ")
            assert response.status_code == 405
            assert method not in allowed
            assert ("PATCH" if path == url else "POST") in allowed
    response = await room.http.head("/whep/1", headers=AS_VIEWER)
    assert (response.status_code, response.headers["Content-Type"]) == (200, "application/sdp")

    preflight = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,if-match"}
    for path in ("/whip/1", "/whep/1", publisher.session, viewer.session):
        response = await room.http.options(path, headers={"Origin": SCHOOL, **preflight})
        assert (response.status_code, response.headers["Accept-Post"]) == (200, "application/sdp")
        assert response.headers["Access-Control-Allow-Origin"] == SCHOOL
        assert response.headers["Access-Control-Allow-Methods"] == "OPTIONS, GET, HEAD, POST, PATCH, DELETE"
        assert response.headers["Access-Control-Allow-Headers"] == "Authorization, Content-Type, If-Match"
        stranger = await room.http.options(path, headers={"Origin": "https://elsewhere", **preflight})
        assert "Access-Control-Allow-Origin" not in stranger.headers
    refused = await room.http.post("/whep/1", headers={"Origin": SCHOOL})
    assert (refused.status_code, refused.headers["Access-Control-Allow-Origin"]) == (401, SCHOOL)
    exposed = "Location, ETag, Link, Accept-Post, Retry-After"
    assert refused.headers["Access-Control-Expose-Headers"] == exposed
    # The other session's door does not open to this one, nor another camera's.
    for wrong in (publisher.session.replace("whip", "whep"), viewer.session.replace("/1/", "/2/")):
        assert (await room.http.delete(wrong, headers=AS_VIEWER)).status_code == 404
    assert room.sessions() == 2


async def test_a_good_offer_is_answered_whole(room: Room) -> None:
    """Lines 2, 9 and 11."""
    publisher = room.client("/whip/1", sends=True)
    publisher.peer.addTransceiver("audio", "sendonly")
    offer = await publisher.offer()
    response = await publisher.take(await publisher.post(offer))
    assert response.headers["Content-Type"] == "application/sdp"
    assert re.fullmatch(r"/whip/1/[\w-]{20,}", publisher.session)
    assert re.fullmatch(r'"[!#-~]+"', publisher.etag)
    asked, answered = SessionDescription.parse(offer), SessionDescription.parse(response.text)
    assert [(each.kind, each.rtp.muxId) for each in answered.media] == [
        (each.kind, each.rtp.muxId) for each in asked.media
    ]
    assert [each.direction for each in answered.media] == ["recvonly", "inactive"]
    assert answered.media[0].ice_candidates
    assert answered.media[0].ice_candidates_complete
    assert all(each.rtcp_mux for each in answered.media)
    fingerprints = [line for line in response.text.splitlines() if line.startswith("a=fingerprint:")]
    assert fingerprints
    assert all(line.startswith("a=fingerprint:sha-256 ") for line in fingerprints), "OBS's library trips over others"

    links = response.headers.get_list("Link")
    assert [re.match("<(.*?)>", each)[1] for each in links] == list(TURN)  # type: ignore[index]
    username, credential = re.search('username="(.*?)"; credential="(.*?)"', links[0]).groups()  # type: ignore[union-attr]
    assert int(username.partition(":")[0]) > time.time()
    expected = base64.b64encode(hmac.new(SECRET.encode(), username.encode(), hashlib.sha1).digest()).decode()
    assert credential == expected
    assert all('rel="ice-server"' in each and 'credential-type="password"' in each for each in links)

    await until(lambda: room.server.parts.cameras.get("1").state == "online", 20)
    busy = room.client("/whip/1", sends=True)
    response = await busy.post(await busy.offer())
    assert (response.status_code, response.json()["reason"]) == (409, "camera_busy")

    viewer = room.client("/whep/1?rendition=360p&picture=clean")
    viewer.peer.addTransceiver("audio", "recvonly")
    response = await viewer.open()
    directions = [each.direction for each in SessionDescription.parse(response.text).media]
    assert directions == ["sendonly", "inactive"]
    await frames(viewer, 3)
    camera = await room.http.get("/api/cameras", headers=AS_VIEWER)
    assert camera.json()[0]["renditions"] == {"720p": 0, "360p": 1}
    assert camera.json()[0]["pictures"] == {"annotated": 0, "clean": 1}


async def test_candidates_come_later(room: Room) -> None:
    """Line 7: an offer that names no address connects by what is trickled; a restart is refused and nothing stops."""
    publisher = await room.publisher()
    viewer = room.client("/whep/1")
    whole = await viewer.offer()
    bare = "".join(each for each in whole.splitlines(keepends=True) if "candidate" not in each)
    await viewer.take(await viewer.post(bare))
    lines = [each for each in whole.splitlines() if each.startswith(("a=ice-", "a=mid", "a=candidate"))]
    fragment = "\r\n".join([*lines, "a=end-of-candidates", ""])

    assert (await viewer.patch(fragment)).status_code == 428
    assert (await viewer.patch(fragment, If_Match='"stale"')).status_code == 412
    assert (await viewer.patch(fragment, If_Match=f"W/{viewer.etag}")).status_code == 412
    wrong_type = await viewer.patch(fragment, If_Match=viewer.etag, Content_Type="application/sdp")
    assert wrong_type.status_code == 415
    for malformed in ("", "hello", "a=candidate:1", fragment.replace("typ host", "typ any")):
        assert (await viewer.patch(malformed, If_Match=viewer.etag)).status_code == 400, malformed
    for if_match in (viewer.etag, f'"stale", {viewer.etag}', "*"):
        good = await viewer.patch(fragment, If_Match=if_match)
        assert (good.status_code, good.content, "ETag" in good.headers) == (204, b"", False)
    await frames(viewer, 3)

    new_session = re.sub("a=ice-ufrag:.*", "a=ice-ufrag:another", fragment)
    for if_match in ("*", viewer.etag):
        refused = await viewer.patch(new_session, If_Match=if_match)
        assert (refused.status_code, refused.json()["reason"]) == (422, "ice_restart")
    await frames(viewer, 5)

    # Line 8, first half.
    assert (await viewer.delete(If_Match='"stale"')).status_code == 200
    assert room.sessions() == 1
    for again in (await viewer.delete(), await viewer.patch(fragment, If_Match="*")):
        assert again.status_code == 404
    assert (await publisher.delete()).status_code == 200
    assert room.sessions() == 0
    assert room.server.parts.cameras.get("1").state == "offline"


async def test_the_server_is_full_or_asked_too_often(tmp_path: Path) -> None:
    """Lines 3 and 10."""
    async with room_of(tmp_path, max_sessions=1) as room:
        publisher = await room.publisher()
        late = room.client("/whep/1")
        response = await late.post(await late.offer())
        assert response.status_code == 503
        assert int(response.headers["Retry-After"]) > 0
        parts = room.server.parts
        object.__setattr__(parts, "session_requests", Rate(0.01, 2))
        assert [(await publisher.patch("", If_Match="*")).status_code for _ in range(3)] == [400, 400, 429]
        for refused in (await publisher.delete(), await late.post(""), await publisher.patch("")):
            assert refused.status_code == 429
            assert int(refused.headers["Retry-After"]) > 0
        assert (await room.http.get("/whip/1", headers=AS_PUBLISHER)).status_code == 204
        assert room.sessions() == 1


async def test_a_handshake_that_fails_is_told_as_such(room: Room, caplog: pytest.LogCaptureFixture) -> None:
    """The operator should look at the other program then, not at the firewall."""
    publisher = room.client("/whip/1", sends=True)
    offer = await publisher.offer()
    another = ":".join(["AB"] * 32)
    with caplog.at_level(logging.INFO, "surveillx.sessions"):
        await publisher.take(await publisher.post(re.sub("(?<=sha-256 ).*", another, offer)))
        await until(lambda: room.sessions() == 0, 20, "the session is given up")
    assert "did not agree on the encryption (DTLS)" in caplog.text
