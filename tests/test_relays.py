"""A real relay (coturn, as deploy/turnserver.conf sets it up) between publishers, viewers and the server.

All of them are in a network of this test's own, in which the packet filter drops what a firewall would. The server is
at one address of it, the relay at another, and everybody else at a third; none of them is loopback.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import logging
import re
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import httpx
import pytest
from aioice import stun, turn
from playwright.async_api import async_playwright

from server.bench.namespaces import own_network
from server.publisher import Publisher, PublisherSettings
from server.publisher.peer import IceServers
from server.sample import CLIP

from .e2e.conftest import CHROMIUM_ARGUMENTS
from .e2e.stack import START_TIMEOUT_S, Program
from .wait import until, until_sync

CONFIGURATION = Path(__file__).parents[1] / "deploy" / "turnserver.conf"
OTHER, SERVER, RELAY = "10.77.0.1", "10.77.0.2", "10.77.0.3"
URL = f"http://{SERVER}:8080"
SECRET = "a-secret-of-the-test"
# The port of all media of the server, and those of the relay towards it.
MEDIA, RELAYED = 8189, "49160-49359"
UDP, TCP = f"turn:{RELAY}:3478?transport=udp", f"turn:{RELAY}:3478?transport=tcp"
DIRECTLY = f"udp dport {MEDIA} udp sport != {RELAYED} drop"
PATIENCE_S = 30.0


def filtered(*rules: str) -> None:
    """From now on, only this is dropped; a rule is one of nft(8)."""
    table = "inet surveillx_relays"
    chain = "\n".join(["type filter hook input priority 0", *rules])
    words = f"add table {table}\ndelete table {table}\ntable {table} {{\nchain firewall {{\n{chain}\n}}\n}}\n"
    subprocess.run(["nft", "-f", "-"], input=words, text=True, check=True)


def configuration(folder: Path) -> Path:
    """The file that schools are given, with the four things changed that it tells them to change."""
    text = CONFIGURATION.read_text(encoding="utf-8")
    for name, value in {
        "static-auth-secret": SECRET,
        "realm": "turn.test",
        "listening-ip": RELAY,
        "allowed-peer-ip": SERVER,
    }.items():
        text, found = re.subn(rf"^{name}=.*$", f"{name}={value}", text, flags=re.MULTILINE)
        assert found == 1, name
    changed = folder / "turnserver.conf"
    changed.write_text(text, encoding="utf-8")
    return changed


def listens(address: str, port: int) -> bool:
    try:
        httpx.get(f"http://{address}:{port}/", timeout=2)
    except (httpx.ConnectError, httpx.ConnectTimeout):
        return False
    except httpx.TransportError:  # a relay speaks no HTTP
        return True
    return True


@pytest.fixture(scope="module")
def network() -> Iterator[None]:
    """A network with three addresses; the relay and the server run in it."""
    if shutil.which("turnserver") is None:
        pytest.skip("needs coturn (turnserver)")
    with own_network() as has_one:
        if not has_one:
            pytest.skip("needs root, iproute2, nftables and a kernel that lets root make networks")
        commands = ["link add cam0 type veth peer name cam1", "link set cam0 up", "link set cam1 up"]
        commands += [f"address add {address}/24 dev cam0" for address in (OTHER, SERVER, RELAY)]
        for command in [*commands, f"route add default via {OTHER}"]:
            subprocess.run(["ip", *command.split()], check=True)
        yield


@pytest.fixture(scope="module")
def relay(network: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """coturn."""
    folder = tmp_path_factory.mktemp("relay")
    command = ["turnserver", "-c", str(configuration(folder)), "--pidfile", str(folder / "pid")]
    with (folder / "relay.log").open("wb") as output:
        process = subprocess.Popen([*command, "--userdb", str(folder / "db")], stdout=output, stderr=subprocess.STDOUT)
    try:
        until_sync(lambda: listens(RELAY, 3478), what="coturn listens")
        yield
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def server(network: None, relay: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A server that names the relay; open, as everybody in this network is the test."""
    folder = tmp_path_factory.mktemp("server")
    settings = {"INTERFACES": SERVER, "MEDIA_PORTS": str(MEDIA), "RECOGNITION_EVERY": "0", "TURN_SECRET": SECRET}
    settings["TURN_URLS"] = f"{UDP},{TCP}"
    arguments = ["serve", "--host", SERVER, "--port", "8080", "--insecure", "--data", str(folder / "data")]
    program = Program(
        "server", folder, "server.cli", *arguments, **{f"SURVEILLX_{name}": value for name, value in settings.items()}
    )
    program.start()
    try:
        until_sync(lambda: listens(SERVER, 8080), START_TIMEOUT_S, "the server listens")
        with httpx.Client(base_url=URL, timeout=10) as http:
            yield http
    finally:
        program.end()


@asynccontextmanager
async def publishing(camera: str, url: str = "", user: str = "", password: str = "") -> AsyncIterator[None]:
    """A publisher with the relay that is named, else with those that the server names."""
    ice_servers = IceServers(turn=url, turn_user=user, turn_password=password)
    publisher = Publisher(PublisherSettings(server=URL, camera_id=camera, source=str(CLIP), ice_servers=ice_servers))
    running = asyncio.create_task(publisher.run())
    try:
        yield
    finally:
        publisher.stop()
        await running


def online(server: httpx.Client, camera: str) -> bool:
    """Whether pictures of it arrive at the server."""
    return any(each["id"] == camera and each["online"] for each in server.get("/api/cameras").json())


def credential(secret: str = SECRET, valid_s: float = 600) -> tuple[str, str]:
    """User and password as coturn's `use-auth-secret` wants them."""
    user = f"{int(time.time() + valid_s)}:test"
    return user, base64.b64encode(hmac.new(secret.encode(), user.encode(), hashlib.sha1).digest()).decode()


@pytest.mark.parametrize(
    ("camera", "blocked"), [("over-udp", "tcp dport 3478 drop"), ("over-tcp", "udp dport 3478 drop")]
)
async def test_the_picture_arrives_through_the_relay(server: httpx.Client, camera: str, blocked: str) -> None:
    """Of the two relays that the server names one is a black hole, and does not keep the other from working."""
    filtered(DIRECTLY, blocked)
    async with publishing(camera):
        await until(lambda: online(server, camera), PATIENCE_S)


async def test_a_relay_that_cannot_be_used_is_named_with_the_reason(
    server: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    filtered(DIRECTLY, "tcp dport 9 drop")
    caplog.set_level(logging.WARNING, "surveillx.publisher")
    silent = f"turn:{RELAY}:9?transport=tcp"
    async with (
        publishing("wrong", UDP, *credential("another secret")),
        publishing("expired", TCP, *credential(valid_s=-60)),
        publishing("silent", silent, *credential()),
    ):
        await until(lambda: caplog.text.count("the video finds no way to it") == 3, PATIENCE_S)
        assert not any(online(server, camera) for camera in ("wrong", "expired", "silent"))
    for url in (UDP, TCP):
        assert f"The relay {url} cannot be used: it refuses the credential." in caplog.text
    assert f"The relay {silent} cannot be used: it does not answer." in caplog.text


@pytest.mark.parametrize("relay_is", ["a closed port", "a black hole"])
async def test_a_relay_that_is_down_delays_no_direct_way(server: httpx.Client, relay_is: str) -> None:
    """aioice alone would wait five seconds for it, each time, before there is an offer."""
    filtered("udp dport 3478 drop", "tcp dport 3478 drop")
    url = f"turn:{RELAY}:9" if relay_is == "a closed port" else UDP
    taken: list[float] = []
    while not taken or (min(taken) > 4 and len(taken) < 3):  # a busy machine may be slow, but not three times
        camera, started = f"{relay_is} {len(taken)}".replace(" ", "-"), time.monotonic()
        async with publishing(camera, url, *credential()):
            await until(partial(online, server, camera), PATIENCE_S)
            taken.append(time.monotonic() - started)
    assert min(taken) <= 4


class Peer(asyncio.DatagramProtocol):
    """What comes, and what went wrong with sending."""

    def __init__(self) -> None:
        self.came = b""
        self.errors: list[Exception] = []

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.came += data

    def error_received(self, exc: Exception) -> None:
        self.errors.append(exc)


FORBIDDEN = ("169.254.169.254", "127.0.0.1", OTHER, RELAY, "192.168.1.1", "224.0.0.1", "0.0.0.0", "8.8.8.8")


async def test_it_leads_to_the_server_and_nowhere_else(relay: None) -> None:
    filtered()
    loop = asyncio.get_running_loop()
    target, arrived = await loop.create_datagram_endpoint(Peer, local_addr=(SERVER, 0))
    user, password = credential()
    transport, protocol = await turn.create_turn_endpoint(Peer, (RELAY, 3478), user, password)
    for address in FORBIDDEN:
        transport.sendto(b"secret", (address, 80))
    transport.sendto(b"picture", target.get_extra_info("sockname"))
    await until(lambda: arrived.came == b"picture" and len(protocol.errors) == len(FORBIDDEN))
    codes = [error.response.error_code for error in protocol.errors if isinstance(error, stun.TransactionFailed)]
    assert codes == [403] * len(FORBIDDEN)
    transport.close()
    target.close()


# A browser that may use relays only, as behind a firewall; those that the server names.
RELAY_ONLY = """
const Real = RTCPeerConnection;
window.RTCPeerConnection = class extends Real {
  constructor(configuration) { super({ ...configuration, iceTransportPolicy: "relay" }); }
};
"""


async def test_a_browser_sees_the_picture_when_both_ends_are_behind_a_firewall(server: httpx.Client) -> None:
    installed = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    filtered(DIRECTLY)
    async with publishing("browser"), async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=installed, args=CHROMIUM_ARGUMENTS)
        page = await browser.new_page()
        await page.add_init_script(RELAY_ONLY)
        await page.goto(f"{URL}/?camera=browser")
        await page.wait_for_selector(
            "surveillx-viewer[data-state=live][data-transport=webrtc]", state="attached", timeout=PATIENCE_S * 1000
        )
        await browser.close()
