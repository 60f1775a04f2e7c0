"""The network that `surveillx bench loss` makes for itself: real, where there are the rights, and gone afterwards."""

from __future__ import annotations

import asyncio
import os
import pathlib
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from typing import cast

import pytest

from server.bench import namespaces
from server.bench.link import Link, Path, obey
from server.bench.namespaces import has_filter, lose, own_network, rules
from server.bench.processes import answering

from .wait import until, until_sync

OWN = pathlib.Path("/proc/thread-self/ns/net")


@pytest.fixture
def network() -> Iterator[str]:
    """A network of this thread's own, by its name in /proc."""
    with own_network() as has_one:
        if not has_one:
            pytest.skip("needs root, iproute2, nftables and a kernel that lets root make networks")
        yield str(OWN.readlink())


def members(network: str) -> list[int]:
    """The processes in a network."""
    found = []
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if str((process / "ns/net").readlink()) == network:
                found.append(int(process.name))
        except OSError:  # it has ended, or is not ours to ask
            continue
    return found


def arrived(mark: int, count: int = 2000) -> int:
    """Of `count` datagrams with a mark, how many arrive."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver,
    ):
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, mark)
        receiver.bind(("127.0.0.1", 0))
        receiver.setblocking(False)
        came = 0
        for _ in range(count):
            sender.sendto(b"datagram", receiver.getsockname())
            try:
                came += len(receiver.recv(100)) > 0
            except BlockingIOError:
                continue
    return came


async def test_each_direction_loses_what_it_was_told(network: str) -> None:
    assert has_filter()
    assert [arrived(mark, 100) for mark in (0, 1, 2)] == [100, 100, 100]
    await lose({"up": 0.1, "down": 0.0})
    assert 1700 < arrived(1) < 1900
    assert [arrived(mark, 200) for mark in (0, 2)] == [200, 200]
    await lose({"up": 0.0, "down": 0.5})
    assert arrived(1, 200) == 200
    assert 850 < arrived(2) < 1150


class Echo(asyncio.DatagramProtocol):
    """Answers each datagram, and counts them."""

    def __init__(self) -> None:
        self.came = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.came += 1
        self._transport.sendto(data, addr)


class Sender(asyncio.DatagramProtocol):
    """Counts what comes back."""

    def __init__(self) -> None:
        self.came = 0

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.came += 1


@pytest.mark.parametrize(("losing", "sent_on", "back"), [("up", 0, 0), ("down", 100, 0), ("none", 100, 100)])
async def test_a_line_leaves_its_losses_to_the_filter(network: str, losing: str, sent_on: int, back: int) -> None:
    """What is lost has been carried, and counted, before."""
    loop = asyncio.get_running_loop()
    server, echo = await loop.create_datagram_endpoint(Echo, local_addr=("127.0.0.1", 0))
    async with Link("http://127.0.0.1:9", by_filter=True) as link:
        await obey(link, {name: {"loss": float(name == losing)} for name in ("up", "down")})
        path = await Path.open(server.get_extra_info("sockname"), link.up, link.down)
        client, sender = await loop.create_datagram_endpoint(Sender, remote_addr=path.address)
        for _ in range(100):
            client.sendto(b"datagram")
        await until(lambda: link.up.counted.datagrams == 100 and link.down.counted.datagrams == sent_on)
        await until(lambda: sender.came == back)
        assert (echo.came, link.up.counted.lost, link.down.counted.lost) == (sent_on, 0, 0)
        path.close()
    client.close()
    server.close()


def test_a_line_in_a_process_of_its_own_knows_where_it_is(network: str) -> None:
    with answering("server.bench.link", "http://127.0.0.1:9") as line:
        line.ask({"down": {"loss": 0.05}})
        told = subprocess.run(["nft", "list", "ruleset"], capture_output=True, text=True, check=True).stdout
        assert told.count("drop") == 1
        assert "mark 0x00000002" in told


async def test_what_nft_refuses_is_an_error(network: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(OSError, match="not changed"):
        await lose({"up": -1.0})
    assert "Error" in capfd.readouterr().err


def test_everything_is_as_before_afterwards() -> None:
    before = OWN.readlink()
    with suppress(KeyboardInterrupt), own_network() as has_one:
        assert (OWN.readlink() != before) == has_one
        inside = str(OWN.readlink())
        raise KeyboardInterrupt  # as SIGTERM does
    assert OWN.readlink() == before
    assert not has_filter()
    if has_one:
        assert members(inside) == []


def test_it_goes_with_its_last_process_even_a_killed_one(network: str) -> None:
    """Nothing is left over that a later run would have to remove."""
    child = subprocess.Popen(["sleep", "60"])
    try:
        assert child.pid in members(network)
    finally:
        child.kill()
        child.wait()
    until_sync(lambda: child.pid not in members(network))
    assert not [name for name in _named() if name.startswith("surveillx")]


def _named() -> list[str]:
    named = pathlib.Path("/run/netns")
    return [each.name for each in named.iterdir()] if named.exists() else []


@pytest.mark.parametrize("missing", ["nft", "ip", "root", "right"])
def test_without_rights_or_programs_all_stays_where_it_is(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name: None if name == missing else found(name))
    monkeypatch.setattr(os, "geteuid", lambda: 1000 if missing == "root" else 0)
    if missing == "right":
        monkeypatch.setattr(namespaces, "_CLONE_NEWNET", 1)  # refused by the kernel, as root in a container may be
    before = OWN.readlink()
    with own_network() as has_one:
        assert not has_one
        assert OWN.readlink() == before


def test_only_what_is_lost_has_a_rule() -> None:
    told = rules({"up": 0.05, "down": 0.0})
    assert "meta mark 1 meta l4proto udp numgen random mod 1000 <= 49 counter drop" in told
    assert "mark 2" not in told
