"""One UDP port for the media of all sessions, so that a firewall needs one rule.

Each address of this machine has one socket. What arrives is told apart as RFC 8445 section 7.3 allows: a check names
the session by its user name (`ours:theirs`), whoever has proved to know that session's password may send from its
address, and an answer belongs to whoever asked. Nothing else is looked at, and nobody else is answered.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
import time
from collections.abc import Callable
from typing import Any, cast

import aioice.ice
from aioice import stun
from aioice.utils import random_string

from .media_ports import ChosenPorts, enlarge

logger = logging.getLogger("surveillx.rtc")

Address = tuple[str, int]

# Datagrams read each time the socket is ready; asyncio itself reads one and then asks the system again.
READ_AT_ONCE = 64
LARGEST_DATAGRAM = 65_536
BUFFER_BYTES = 4 << 20

# A peer has a handful of addresses: its own, those of its routers. Each is remembered by aioice as well.
ADDRESSES_OF_ONE_SESSION = 32
# Whoever sends from an address keeps it: browsers check every 2.5 s or so (RFC 7675 section 5.1).
OWNED_FOR_S = 10.0

_BINDING_REQUEST = b"\x00\x01"
_LAST_STUN_BYTE = 3  # RFC 7983 section 7


class SharedPort(ChosenPorts):
    """One port for all sessions, on each address; opened when it is first needed."""

    def __init__(self, port: int, on_strange_datagram: Callable[[], None]) -> None:
        """Use `port` on every address; 0 is one that is free."""
        self.port = port
        self._on_strange = on_strange_datagram
        self._ports: dict[str, _Port] = {}

    async def open(self, addresses: list[str]) -> None:
        """Open the port on these addresses now. One that another program has is replaced by a free one, with a word."""
        for address in addresses:
            await self._at(address)

    def close(self) -> None:
        """Close every socket."""
        for each in self._ports.values():
            each.transport.close()
        self._ports.clear()

    def _name(self, connection: aioice.ice.Connection) -> None:
        # Four random letters: rarely, another session has the same.
        while any(port.has(connection.local_username) for port in self._ports.values()):
            connection._local_username += random_string(1)

    async def _protocol(self, connection: aioice.ice.Connection, address: str) -> aioice.ice.StunProtocol:
        return (await self._at(address)).add(connection)

    async def _at(self, address: str) -> _Port:
        if address not in self._ports:
            port = _Port(self._on_strange)
            try:
                await _bind(port, address, self.port)
            except OSError as error:
                if not self.port:
                    raise
                await _bind(port, address, 0)
                logger.warning(
                    "UDP port %d of %s cannot be had (%s): media takes port %d. Where a firewall is in between, end "
                    "the other program, or set SURVEILLX_MEDIA_PORTS and open that one.",
                    self.port, address, error.strerror or error, port.number,
                )  # fmt: skip
            self._ports[address] = port
            self.port = self.port or port.number
        return self._ports[address]


async def _bind(port: _Port, address: str, number: int) -> None:
    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(lambda: port, local_addr=(address, number))


class _Port(asyncio.DatagramProtocol):
    """One socket, and the sessions behind it."""

    transport: asyncio.DatagramTransport

    def __init__(self, on_strange: Callable[[], None]) -> None:
        self.number = 0
        self._on_strange = on_strange
        self._protocols: dict[str, aioice.ice.StunProtocol] = {}  #: by our part of the checks' user name
        self._owners: dict[Address, _Owner] = {}
        self._socket: socket.socket | None = None
        self._reading = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Know the socket, and let the system keep more of what has arrived than it usually does."""
        self.transport = cast("asyncio.DatagramTransport", transport)
        self.number = transport.get_extra_info("sockname")[1]
        shown = transport.get_extra_info("socket")
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            enlarge(shown, option, BUFFER_BYTES)
        # asyncio/trsock.py TransportSocket has no recvfrom. Windows' transports read by themselves.
        self._socket = getattr(shown, "_sock", None) if sys.platform != "win32" else None

    def has(self, name: str) -> bool:
        """Whether a session goes by this name."""
        return name in self._protocols

    def add(self, connection: aioice.ice.Connection) -> aioice.ice.StunProtocol:
        """A protocol of this connection's on the shared socket."""
        protocol = aioice.ice.StunProtocol(connection)
        protocol.connection_made(_SharedTransport(self, connection.local_username, protocol))
        self._protocols[connection.local_username] = protocol
        return protocol

    def remove(self, name: str, protocol: aioice.ice.StunProtocol) -> None:
        """Forget a session."""
        self._protocols.pop(name, None)
        self._owners = {address: owner for address, owner in self._owners.items() if owner.protocol is not protocol}

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        """Hand on what has arrived, and what waits behind it."""
        self._take(data, addr)
        if self._socket is None or self._reading:
            return
        self._reading = True
        try:
            for _ in range(READ_AT_ONCE - 1):
                more, sender = self._socket.recvfrom(LARGEST_DATAGRAM)
                self._take(more, sender)
        except (BlockingIOError, InterruptedError):
            pass
        except OSError as error:  # as asyncio does: an answer to something that was sent, such as "no such port"
            logger.debug("the socket says: %s", error)
        finally:
            self._reading = False

    def _take(self, data: bytes, addr: tuple[Any, ...]) -> None:
        address = (addr[0], addr[1])
        protocol = self._receiver(data, address)
        if protocol is None:
            self._on_strange()
        else:
            protocol.datagram_received(data, address)

    def _receiver(self, data: bytes, address: Address) -> aioice.ice.StunProtocol | None:
        """Whom a datagram is for; None for a stranger's."""
        if data and data[0] > _LAST_STUN_BYTE:
            owner = self._owners.get(address)
            return None if owner is None else owner.protocol
        try:
            message = stun.parse_message(data)
        except Exception:  # noqa: BLE001 - a stranger chose these bytes: whatever the parser makes of them ends here
            return None
        return self._of_check(message, address) if data[:2] == _BINDING_REQUEST else self._of_answer(message, address)

    def _of_check(self, message: stun.Message, address: Address) -> aioice.ice.StunProtocol | None:
        name = str(message.attributes.get("USERNAME", "")).partition(":")[0]
        protocol = self._protocols.get(name)
        if protocol is None:
            return None
        may_pass = _is_signed(message, protocol.receiver.local_password) and self._own(address, protocol)
        return protocol if may_pass else None

    def _of_answer(self, message: stun.Message, address: Address) -> aioice.ice.StunProtocol | None:
        """Whoever asked; an answer that proves to know the peer's password makes its sender known as well."""
        asked = (each for each in self._protocols.values() if message.transaction_id in each.transactions)
        protocol = next(asked, None)
        if protocol is None:
            return None
        if _is_signed(message, protocol.receiver.remote_password):
            self._own(address, protocol)
        return protocol

    def _own(self, address: Address, protocol: aioice.ice.StunProtocol) -> bool:
        """Let what comes from `address` be this session's, unless it is another's that is alive, or has too many."""
        now, owner = time.monotonic(), self._owners.get(address)
        if owner is not None and owner.protocol is protocol:
            owner.heard_at = now
            return True
        if owner is not None and now - owner.heard_at < OWNED_FOR_S and not owner.protocol.transport.is_closing():
            return False
        if sum(each.protocol is protocol for each in self._owners.values()) >= ADDRESSES_OF_ONE_SESSION:
            return False
        self._owners[address] = _Owner(protocol, now)
        return True


def _is_signed(message: stun.Message, password: str | None) -> bool:
    if password is None or "MESSAGE-INTEGRITY" not in message.attributes:
        return False
    return message.check_message_integrity(password.encode())


class _Owner:
    """Whose an address is, and when it last proved to be."""

    __slots__ = ("heard_at", "protocol")

    def __init__(self, protocol: aioice.ice.StunProtocol, heard_at: float) -> None:
        self.protocol = protocol
        self.heard_at = heard_at


class _SharedTransport(asyncio.DatagramTransport):
    """One session's side of a shared socket; closing it leaves the socket to the others."""

    def __init__(self, port: _Port, name: str, protocol: aioice.ice.StunProtocol) -> None:
        super().__init__()
        self._port = port
        self._name = name
        self._protocol = protocol
        self._closing = False

    def sendto(self, data: Any, addr: Any = None) -> None:
        """Send a datagram."""
        if not self._closing:
            self._port.transport.sendto(data, addr)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Of the shared socket."""
        return self._port.transport.get_extra_info(name, default)

    def get_write_buffer_size(self) -> int:
        """Bytes that wait for the shared socket."""
        size: int = self._port.transport.get_write_buffer_size()  # type: ignore[attr-defined]
        return size

    def is_closing(self) -> bool:
        """Whether this side, or the socket, is closed."""
        return self._closing or self._port.transport.is_closing()

    def close(self) -> None:
        """Give the session's place back; its protocol hears of it as from asyncio's own transports."""
        if not self._closing:
            self._closing = True
            self._port.remove(self._name, self._protocol)
            asyncio.get_running_loop().call_soon(self._protocol.connection_lost, None)

    def abort(self) -> None:
        """Close."""
        self.close()
