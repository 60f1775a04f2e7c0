"""What leaves the server beside the pictures: headers, logs, and the addresses it believes."""

from __future__ import annotations

import asyncio
import logging
import re
from pathlib import Path

import pytest

from server.access import GUESSES
from server.passwords import hash_password
from tests.faces import astronaut, jpeg
from tests.live import live
from tests.peers import Client, PatternTrack
from tests.wait import until

PASSWORD = "a password nobody knows"
ADMIN = "Ada Admin"  # not in a line of code below: a blocked event loop is logged with the line it stands at


@pytest.mark.parametrize("allowed", [(), ("http://dashboard.school:5000",)])
async def test_every_answer_has_the_secure_headers(tmp_path: Path, allowed: tuple[str, ...]) -> None:
    async with live(tmp_path, view_token="view", allowed_origins=allowed) as server:
        answers = [
            await server.http.get("/login"),
            await server.http.get("/"),
            await server.http.get("/static/viewer.js"),
            await server.http.get("/static/nothing.js"),
            await server.http.get("/healthz"),
            await server.http.get("/api/people"),
            await server.http.post("/webrtc/viewer", content=b"x" * 70_000),
            await server.http.options("/whip/1"),
            await server.http.get("/docs"),
            await server.http.get("/socket.io/?EIO=4&transport=polling"),
            await server.http.get("/login", headers={"Origin": "https://evil.example"}),
        ]
        assert [each.status_code for each in answers] == [200, 303, 200, 404, 200, 401, 413, 200, 404, 200, 200]
        for answer in answers:
            assert answer.headers["x-content-type-options"] == "nosniff", answer.url
            assert answer.headers["referrer-policy"] == "same-origin"
            policy = answer.headers["content-security-policy"]
            assert policy.startswith("default-src 'none'")
            assert "unsafe" not in policy
            assert "frame-ancestors 'self'" in policy
            assert "server" not in answer.headers
            assert "access-control-allow-origin" not in answer.headers
        forged = await server.http.get("/login", headers={"Host": "evil; script-src *"})
        assert "evil" not in forged.headers["content-security-policy"]


async def test_nothing_secret_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    tokens = {"publish_token": "publish-s3cret", "view_token": "view-s3cret"}
    async with live(tmp_path, recognition_every=5, **tokens) as server:
        kept = await asyncio.to_thread(hash_password, PASSWORD)
        server.parts.access.accounts.add(ADMIN, kept, "admin", [])
        await server.parts.access.refresh()
        for password in ("wr0ng-guess", PASSWORD):
            await server.http.post("/login", json={"name": ADMIN, "password": password})
        cookie = server.http.cookies["surveillx_view"]
        server.http.headers["Authorization"] = f"Bearer {tokens['view_token']}"
        await until(lambda: server.parts.recognition.state == "running", 60, "recognition runs")
        added = await server.http.post(
            "/api/people", data={"name": "Xenia Geheim"}, files={"photo": ("x.jpg", jpeg(astronaut()))}, timeout=60
        )
        assert added.status_code == 201, added.text
        viewer = Client(server.http)
        received = await viewer.view()
        server.http.headers["Authorization"] = f"Bearer {tokens['publish_token']}"
        publisher = Client(server.http)
        await publisher.publish(PatternTrack())
        await until(lambda: received.frames > 5, 20, "a picture")
        spoilt = re.sub(r"a=setup:\w+", "a=setup:none", publisher.peer.localDescription.sdp)
        await server.http.post("/webrtc/streamer", json={"sdp": spoilt, "type": "offer", "camera_id": "9"})
        secrets = [*tokens.values(), PASSWORD, "wr0ng-guess", cookie, "Xenia", "Geheim", ADMIN]
        for description in (publisher.peer.localDescription, publisher.peer.remoteDescription):
            secrets += re.findall(r"a=(?:ice-pwd:|fingerprint:\S+ )(\S+)", description.sdp)
        await viewer.peer.close()
        await publisher.peer.close()
    assert "connected" in caplog.text
    assert len(secrets) > 10
    # The clients of this test speak over the same loggers as the server: only the server's count.
    said = "\n".join(record.getMessage() for record in caplog.records if record.name.startswith("surveillx"))
    assert [each for each in secrets if each in said] == []


async def test_only_a_trusted_proxy_tells_the_clients_address(tmp_path: Path) -> None:
    wrong = {"Authorization": "Bearer wrong"}
    async with live(tmp_path / "a", view_token="v", trusted_proxies=("127.0.0.1",)) as server:
        for _ in range(GUESSES):
            await server.http.get("/api/cameras", headers={**wrong, "X-Forwarded-For": "10.0.0.7"})
        guesser = await server.http.get("/api/cameras", headers={**wrong, "X-Forwarded-For": "10.0.0.7"})
        other = await server.http.get("/api/cameras", headers={**wrong, "X-Forwarded-For": "10.0.0.8"})
        assert (guesser.status_code, other.status_code) == (429, 401)
    async with live(tmp_path / "b", view_token="v", trusted_proxies=("10.9.9.9",)) as server:
        for each in range(GUESSES):
            await server.http.get("/api/cameras", headers={**wrong, "X-Forwarded-For": f"10.0.0.{each}"})
        guesser = await server.http.get("/api/cameras", headers={**wrong, "X-Forwarded-For": "10.0.0.99"})
        assert guesser.status_code == 429, "it made the addresses up"
    async with live(tmp_path / "c") as server:
        assert (await server.http.get("/api/people")).status_code == 200
        through_proxy = await server.http.get("/api/people", headers={"X-Forwarded-For": "192.168.1.9"})
        assert through_proxy.status_code == 401, "open to this machine only"
        rebound = await server.http.get("/api/people", headers={"Host": "evil.example:8080"})
        assert rebound.status_code == 401
