"""Janus (https://janus.conf.meetecho.com), a WebRTC server written in C, with its streaming plugin, as a measure.

It is fed the RTP packets that our own server sent, from a recording (`tape`), and runs with a configuration of its own
in a temporary folder, on this machine's address: it does not serve 127.0.0.1.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from aiortc import RTCPeerConnection, RTCSessionDescription

from ..rtc_compat import choose_addresses
from .processes import START_TIMEOUT_S, STOP_TIMEOUT_S, BenchError, Serving
from .tape import PAYLOAD_TYPE

MOUNTPOINT = 1

CORE = """
general: {{ debug_level = 1, session_timeout = 0 }}
nat: {{ ice_enforce_list = "{address}" }}
"""
HTTP = """
general: {{ json = "compact", base_path = "/janus", http = true, port = {port}, ip = "127.0.0.1", https = false }}
admin: {{ admin_http = false }}
"""
STREAMING = """
camera: {{
  type = "rtp", id = {mountpoint}, audio = false, video = true
  videoport = {port}, videoiface = "127.0.0.1", videopt = {payload_type}, videocodec = "vp8"
}}
"""


def free_port(kind: socket.SocketKind) -> int:
    """A port of 127.0.0.1 that nobody uses now."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def version() -> str:
    """Of the Janus that is installed, from its first line: "Janus version: 1102 (1.1.2)"."""
    command = [shutil.which("janus") or "janus", "--help"]
    text = subprocess.run(command, capture_output=True, text=True, check=False).stdout  # noqa: S603
    return text.partition("(")[2].partition(")")[0] or "unknown"


def is_installed() -> bool:
    """Whether there is a Janus to compare with."""
    return shutil.which("janus") is not None


@contextmanager
def janus(rtp_port: int) -> Iterator[Serving]:
    """Run Janus inside the block; its viewers are sent what comes to this UDP port of 127.0.0.1.

    Raises:
        BenchError: it does not start.
    """
    http_port = free_port(socket.SOCK_STREAM)
    with tempfile.TemporaryDirectory(prefix="surveillx-janus-") as folder:
        configure(Path(folder), choose_addresses([], use_ipv6=False)[0], http_port, rtp_port)
        with _running(folder) as process:
            url = f"http://127.0.0.1:{http_port}/janus"
            _wait_until_up(url)
            yield Serving(process.pid, url)


def configure(folder: Path, address: str, http_port: int, rtp_port: int) -> None:
    """Write what Janus reads: media on `address`, its API and the camera's RTP on 127.0.0.1."""
    (folder / "janus.jcfg").write_text(CORE.format(address=address))
    (folder / "janus.transport.http.jcfg").write_text(HTTP.format(port=http_port))
    camera = STREAMING.format(mountpoint=MOUNTPOINT, port=rtp_port, payload_type=PAYLOAD_TYPE)
    (folder / "janus.plugin.streaming.jcfg").write_text(camera)


@contextmanager
def _running(folder: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [shutil.which("janus") or "janus", "--configs-folder", folder, "--disable-colors"]
    # Its other plugins miss their configuration, at length.
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_up(url: str) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        try:
            httpx.get(f"{url}/info").raise_for_status()
        except httpx.HTTPError:
            time.sleep(0.1)
        else:
            return
    raise BenchError("Janus did not start; `janus` in a terminal says why.")


async def join_janus(client: httpx.AsyncClient, peer: RTCPeerConnection) -> None:
    """How a viewer joins: Janus offers, the viewer answers (the streaming plugin's "watch" and "start").

    Raises:
        httpx.HTTPError, BenchError: Janus refuses.
    """
    session = f"/{(await _ask(client, '', janus='create'))['data']['id']}"
    attached = await _ask(client, session, janus="attach", plugin="janus.plugin.streaming")
    handle = f"{session}/{attached['data']['id']}"
    await _ask(client, handle, janus="message", body={"request": "watch", "id": MOUNTPOINT})
    offer = await _offer(client, session)
    await peer.setRemoteDescription(RTCSessionDescription(offer, "offer"))
    await peer.setLocalDescription(await peer.createAnswer())
    answer = {"type": "answer", "sdp": peer.localDescription.sdp}
    await _ask(client, handle, janus="message", body={"request": "start"}, jsep=answer)


async def _ask(client: httpx.AsyncClient, path: str, **request: Any) -> dict[str, Any]:
    response = await client.post(f"{client.base_url}".rstrip("/") + path, json={"transaction": "bench", **request})
    response.raise_for_status()
    answer: dict[str, Any] = response.json()
    if answer["janus"] == "error":
        raise BenchError(f"Janus: {answer['error']['reason']}")
    return answer


async def _offer(client: httpx.AsyncClient, session: str) -> str:
    """Events come by long poll, one an answer; a "keepalive" when there was none for 30 s."""
    while True:
        response = await client.get(f"{client.base_url}".rstrip("/") + session, params={"maxev": 1})
        response.raise_for_status()
        events = response.json()
        for event in events if isinstance(events, list) else [events]:
            if "jsep" in event:
                return str(event["jsep"]["sdp"])
            if "error_code" in event.get("plugindata", {}).get("data", {}):
                raise BenchError(f"Janus: {event['plugindata']['data']['error']}")
