"""The doctor names the right cause: against broken set-ups in a network of the test's own, with real coturn."""

from __future__ import annotations

import asyncio
import dataclasses
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from server.accounts import NewToken
from server.bench.namespaces import own_network
from server.config import Settings
from server.doctor.local import examine_settings
from server.doctor.remote import Target, examine
from server.doctor.steps import Report, Step
from tests.live import Live, live
from tests.peers import Client, PatternTrack
from tests.wait import until

SECRET = "the-relays-secret"
TURN_PORT = 3478


@pytest.fixture
def network() -> Iterator[None]:
    """This thread and what it starts in a network of its own, where packets can be dropped."""
    with own_network() as has_one:
        if not has_one:
            pytest.skip("needs root, iproute2, nftables and a kernel that lets root make networks")
        yield


def drop(rule: str = "") -> None:
    """Drop what fits the rule from now on, or nothing."""
    lines = ["type filter hook input priority 0", *([f"{rule} drop"] if rule else [])]
    chain = "chain doctor {\n" + "\n".join(lines) + "\n}"
    table = "table inet doctor"
    words = f"add {table}\ndelete {table}\n{table} {{\n{chain}\n}}\n"
    subprocess.run(["nft", "-f", "-"], input=words, text=True, check=True)


def add_address(address: str) -> None:
    subprocess.run(["ip", "address", "add", f"{address}/32", "dev", "lo"], check=True)


@asynccontextmanager
async def relay(secret: str) -> AsyncIterator[None]:
    """Coturn on loopback."""
    process = await asyncio.create_subprocess_exec(
        *("turnserver", "-n", "--listening-ip=127.0.0.1", f"--listening-port={TURN_PORT}", "--realm=school"),
        *("--use-auth-secret", f"--static-auth-secret={secret}", "--allow-loopback-peers", "--no-tls", "--no-dtls"),
        *("--no-cli", "--log-file=stdout", "--simple-log", "--pidfile=/dev/null"),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        await until(answers, 10, "coturn answers")
        yield
    finally:
        process.terminate()
        await process.wait()


def answers() -> bool:
    with socket.socket() as knocking:
        return knocking.connect_ex(("127.0.0.1", TURN_PORT)) == 0


async def examined(server: Live, token: str = "", camera: str = "1") -> Report:
    report = Report()
    await examine(report, Target(server.url, token, camera))
    return report


def only_fault(report: Report) -> Step:
    [fault] = [step for step in report.steps if step.outcome == "failed"]
    assert fault.todo
    return fault


@asynccontextmanager
async def filming(server: Live) -> AsyncIterator[None]:
    client = Client(server.http)
    await client.publish(PatternTrack())
    await until(lambda: server.parts.cameras.get("1").state == "online", 20, "the camera is online")
    yield
    await client.close()


async def test_each_fault_on_the_way_is_named(network: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.doctor.remote.CONNECT_WITHIN_S", 1.0)
    monkeypatch.setattr("server.doctor.media.CONNECT_WITHIN_S", 3.0)
    async with live(tmp_path) as server:
        offline = only_fault(await examined(server))
        assert (offline.name, "surveillx publish" in offline.todo) == ("Camera 1", True)
        async with filming(server):
            well = await examined(server)
            assert well.is_well, well.steps
            assert [step.name for step in well.steps][-3:] == ["Picture", "Relays", "Relay (TURN)"]
            assert "a second" in well.steps[-3].words
            unknown = only_fault(await examined(server, camera="9"))
            assert "no camera 9" in unknown.words
            drop("meta l4proto udp")
            blocked = only_fault(await examined(server))
            assert (blocked.name, "firewall" in blocked.todo) == ("UDP", True)
            assert f"UDP {server.parts.sessions._ports.port} " in blocked.todo  # type: ignore[attr-defined]
            drop(f"tcp dport {server.url.rpartition(':')[2]}")
            silent = only_fault(await examined(server))
            assert ("No answer from TCP" in silent.words, "Open TCP" in silent.todo) == (True, True)
            drop()
            token = server.parts.access.accounts.add_token(NewToken("p", "publish"))
            view = server.parts.access.accounts.add_token(NewToken("v", "view"))
            await server.parts.access.refresh()
            for shown, words in ((token, "not for watching"), ("svx_wrong", "does not know"), ("", "asks for a token")):
                assert words in only_fault(await examined(server, shown)).words
            assert "you may watch" in " ".join(step.words for step in (await examined(server, view)).steps)
    gone = only_fault(await examined(server))
    assert ("nothing listens" in gone.words, "--host 0.0.0.0" in gone.todo) == (True, True)


async def test_another_program_and_an_unknown_name_are_named() -> None:
    async def hello(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi")
        await writer.drain()
        writer.close()

    other = await asyncio.start_server(hello, "127.0.0.1", 0)
    async with other:
        report = Report()
        await examine(report, Target(f"http://127.0.0.1:{other.sockets[0].getsockname()[1]}", "", "1"))
        assert only_fault(report).words == "Another program answers there."
    report = Report()
    await examine(report, Target("http://school.invalid:8080", "", "1"))
    assert only_fault(report).name == "Name"


async def test_a_connection_that_breaks_off_is_a_fault_like_others() -> None:
    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if b"/healthz" in await reader.readuntil(b"\r\n\r\n"):
            writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 15\r\nConnection: close\r\n\r\n{"status":"ok"}')
            await writer.drain()
        writer.close()

    falling = await asyncio.start_server(once, "127.0.0.1", 0)
    async with falling:
        report = Report()
        await examine(report, Target(f"http://127.0.0.1:{falling.sockets[0].getsockname()[1]}", "", "1"))
        assert "broke off" in only_fault(report).words


async def test_a_wrong_address_is_told_from_a_firewall(
    network: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that is reached at one address, and takes media at another that leads nowhere."""
    monkeypatch.setattr("server.doctor.media.CONNECT_WITHIN_S", 3.0)
    for address in ("10.1.2.3", "10.9.9.9"):
        add_address(address)
    async with live(tmp_path, host="10.1.2.3", interfaces=("10.9.9.9",), insecure=True) as server:
        drop("ip daddr 10.9.9.9")
        fault = {step.name: step for step in (await examined(server)).steps}["UDP"]
        assert "SURVEILLX_PUBLIC_ADDRESS=10.1.2.3" in fault.todo
        drop()


@pytest.mark.skipif(shutil.which("turnserver") is None, reason="needs coturn")
async def test_the_relays_fault_is_named(network: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.doctor.relays.ANSWER_WITHIN_S", 3.0)
    urls = tuple(f"turn:127.0.0.1:{TURN_PORT}?transport={way}" for way in ("udp", "tcp"))
    async with live(tmp_path, turn_urls=urls, turn_secret=SECRET) as server, filming(server):
        async with relay(SECRET):
            well = await examined(server)
            assert well.is_well, well.steps
            assert [step.words.startswith("it relays from") for step in well.steps[-2:]] == [True, True]
        async with relay("another"):
            for step in (await examined(server)).steps[-2:]:
                assert (step.outcome, "static-auth-secret" in step.todo) == ("failed", True)
        for step in (await examined(server)).steps[-2:]:
            assert (step.outcome, "coturn running" in step.todo) == ("failed", True)


def test_the_settings_of_a_server_to_be_are_examined(tmp_path: Path) -> None:
    with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
        tcp.bind(("127.0.0.1", 0))
        udp.bind(("", 0))
        free, taken = Settings(data=tmp_path, port=tcp.getsockname()[1], media_ports="0"), udp.getsockname()[1]
        report = Report()
        assert examine_settings(report, free) == ""
        assert report.is_well, report.steps
        report = Report()
        examine_settings(report, dataclasses.replace(free, media_ports=str(taken)))
        assert only_fault(report).name == "UDP port"
        tcp.listen()
        report = Report()
        assert examine_settings(report, free) == f"http://127.0.0.1:{free.port}"
    (tmp_path / "file").write_text("no folder")
    for settings, name in (
        (dataclasses.replace(free, data=tmp_path / "file" / "data"), "Data folder"),
        (dataclasses.replace(free, host="0.0.0.0"), "Credentials"),
    ):
        report = Report()
        examine_settings(report, settings)
        assert only_fault(report).name == name
