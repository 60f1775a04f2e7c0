"""A bad line between a server and whoever connects to it: a UDP proxy that any publisher, page or player goes through.

    async with Link("http://127.0.0.1:8080") as link:
        link.up.impairment.loss = 0.05          # client to server
        link.down.impairment.rate_bps = 400_000  # server to client
        ...open link.url in a browser, or publish to it...

`link.url` stands for the server: HTTP and WebSockets pass, and of each offer and answer the candidates are replaced, so
that the media has no other way than through here. As a process, so that it takes no time of what is measured:

    python -m server.bench.link http://127.0.0.1:8080

It prints "Listening on URL", then obeys lines of JSON on stdin and answers each with one line, the datagrams and octets
that came and those that were lost: {"up": {"loss": 0.05, "delay_s": 0.025}, "down": {"rate_bps": 400000}}. The fields
are those of `Impairment`; a field keeps its value until it is changed. {"dark": true} is a blackout of media and HTTP
alike, until {"dark": false}; {"cut": true} makes all connections until now
lead nowhere for ever, as a change of network does; {"lose": "up"} loses the next video packet of that direction and all
that repeats it. In a network of the bench's own (`namespaces`) the kernel's packet filter loses what `loss` asks for.
It ends with its stdin, or on SIGTERM. Event loop's thread only.
"""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import asdict
from types import TracebackType
from typing import Any, Self

from . import namespaces
from .hop import Hop
from .impairment import Direction, LosePacketForGood

MAX_PATHS = 256
SOCKET_BUFFER_BYTES = 2_000_000

Address = tuple[str, int]


class Link:
    """A line to the server at `server`; use as an async context manager.

    `by_filter` leaves random loss to the kernel's packet filter, where it has been prepared (`namespaces.has_filter`).
    """

    def __init__(self, server: str, host: str = "127.0.0.1", seed: int = 1, *, by_filter: bool = False) -> None:
        marks = namespaces.MARKS if by_filter else {"up": 0, "down": 0}
        self.by_filter = by_filter
        self.up = Direction(seed, mark=marks["up"])
        self.down = Direction(seed + 1, mark=marks["down"])
        self._hop = Hop(server, host, self._offered, self._answered)
        self._paths: list[Path] = []

    async def __aenter__(self) -> Self:
        await self._hop.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._hop.close()
        self.cut()
        self.up.close()
        self.down.close()

    @property
    def url(self) -> str:
        """What stands for the server."""
        return self._hop.url

    def cut(self) -> None:
        """Lead every connection until now nowhere, for ever; new ones get through."""
        for path in self._paths:
            path.close()
        self._paths.clear()

    async def darken(self, dark: bool) -> None:
        """Let nothing pass, neither media nor HTTP, or all again."""
        self.up.impairment.dark = self.down.impairment.dark = dark
        if dark:
            self._hop.darken()
        else:
            await self._hop.open()

    def lose_packet_for_good(self, direction: Direction) -> LosePacketForGood:
        """Lose the next video packet of a direction, and whatever repeats it."""
        direction.lose = lost = LosePacketForGood()
        return lost

    def _offered(self, sdp: str) -> str:
        # The server learns of our address as it learns of any: from a connectivity check (RFC 8445 section 7.3.1.3).
        return without_candidates(sdp)

    async def _answered(self, sdp: str) -> str:
        server = first_candidate(sdp)
        if server is None:
            return sdp
        if len(self._paths) >= MAX_PATHS:
            self._paths.pop(0).close()
        path = await Path.open(server, self.up, self.down)
        self._paths.append(path)
        return with_candidate(sdp, path.address)


class Path:
    """The media of one session: a socket that stands for the server, and one that stands for its client."""

    def __init__(self, near: asyncio.DatagramTransport, far: asyncio.DatagramTransport) -> None:
        self._near, self._far = near, far

    @classmethod
    async def open(cls, server: Address, up: Direction, down: Direction) -> Path:
        """Sockets at the server's own address: what reaches the one reaches the other."""
        loop = asyncio.get_running_loop()
        client: list[Address] = []

        def to_server(data: bytes) -> None:
            if not far.is_closing():  # what was on its way when the line was cut
                far.sendto(data, server)

        def to_client(data: bytes) -> None:
            if client and not near.is_closing():
                near.sendto(data, client[0])

        def from_client(data: bytes, address: Address) -> None:
            client[:] = [address]
            up.carry(data, to_server)

        def from_server(data: bytes, _address: Address) -> None:
            down.carry(data, to_client)

        near, _ = await loop.create_datagram_endpoint(
            lambda: _Datagrams(from_client), sock=_socket(server[0], down.mark)
        )
        far, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(from_server), sock=_socket(server[0], up.mark))
        return cls(near, far)

    @property
    def address(self) -> Address:
        """Where the client sends to."""
        host, port = self._near.get_extra_info("sockname")[:2]
        return host, port

    def close(self) -> None:
        """Lead nowhere from now on."""
        self._near.close()
        self._far.close()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, take: Callable[[bytes, Address], None]) -> None:
        self._take = take

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        self._take(data, (addr[0], addr[1]))

    def error_received(self, exc: Exception) -> None:  # the other end has gone; datagrams to it are lost as they were
        pass


def _socket(host: str, mark: int) -> socket.socket:
    own = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    # A keyframe comes in one go.
    own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SOCKET_BUFFER_BYTES)
    if mark:
        own.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, mark)
    own.bind((host, 0))
    own.setblocking(False)
    return own


def without_candidates(sdp: str) -> str:
    """The description without candidates, and without the promise that there will be no more."""
    return "".join(
        line for line in sdp.splitlines(keepends=True) if not line.startswith(("a=candidate:", "a=end-of-candidates"))
    )


def first_candidate(sdp: str) -> Address | None:
    """The first UDP candidate that is an IPv4 address, or else any address."""
    fields = [line.split() for line in sdp.splitlines() if line.startswith("a=candidate:")]
    found = [(each[4], int(each[5])) for each in fields if each[2].lower() == "udp" and not each[4].endswith(".local")]
    return next((each for each in found if ":" not in each[0]), found[0] if found else None)


def with_candidate(sdp: str, address: Address) -> str:
    """The description with `address` as the only candidate of each section."""
    host, port = address
    version = "IP6" if ":" in host else "IP4"
    candidate = f"a=candidate:1 1 udp 2130706431 {host} {port} typ host\r\n"
    lines: list[str] = []
    for line in without_candidates(sdp).splitlines(keepends=True):
        lines.append(line)
        if line.startswith("m="):
            kind, _, rest = line.split(" ", 2)
            # A section of port 0 is refused or bundle-only (RFC 9143 section 6): it has no candidates.
            if line.split(" ")[1] != "0":
                lines[-1] = f"{kind} {port} {rest}"
                lines += [f"c=IN {version} {host}\r\n", candidate]
        elif line.startswith("c=") and any(each.startswith("m=") for each in lines):
            lines.pop()
    return "".join(lines)


async def serve(server: str) -> None:
    """Obey stdin until it ends or SIGTERM comes."""
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    loop.add_signal_handler(signal.SIGTERM, lines.feed_eof)
    async with Link(server, by_filter=namespaces.has_filter()) as link:
        print(f"Listening on {link.url}", flush=True)
        while line := await lines.readline():
            print(json.dumps(await obey(link, json.loads(line))), flush=True)


async def obey(link: Link, wish: dict[str, Any]) -> dict[str, Any]:
    """Carry out one line of stdin; what to answer.

    Raises:
        AttributeError: a field that no `Impairment` has.
        OSError: the packet filter refuses a loss.
    """
    directions = {"up": link.up, "down": link.down}
    for name, direction in directions.items():
        for key, value in wish.get(name, {}).items():
            if not hasattr(direction.impairment, key):
                raise AttributeError(f"a line has no {key}")
            setattr(direction.impairment, key, value)
    if link.by_filter and any("loss" in wish.get(name, {}) for name in directions):
        await namespaces.lose({name: direction.impairment.loss for name, direction in directions.items()})
    if "dark" in wish:
        await link.darken(wish["dark"])
    if wish.get("cut"):
        link.cut()
    if "lose" in wish:
        link.lose_packet_for_good(directions[wish["lose"]])
    return {name: asdict(direction.counted) for name, direction in directions.items()}


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1]))
