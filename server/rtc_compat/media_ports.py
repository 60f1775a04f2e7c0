"""Which UDP ports the media of the sessions takes: of the system's choice, out of a range, or one for all.

aioice opens a socket for each session and address (aioice/ice.py Connection.get_component_candidates), on a port of
the system's choice. `PortRange` does so within a range; `SharedPort` is a module of its own. Event loop's thread only.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import random
import socket
import sys
from abc import abstractmethod
from typing import Any

import aioice.ice
from aioice.candidate import Candidate, candidate_foundation, candidate_priority
from aiortc import RTCPeerConnection

logger = logging.getLogger("surveillx.rtc")

SESSIONS_BUFFER_BYTES = 256 << 10  # aioice/turn.py UDP_SOCKET_BUFFER_SIZE
_SO_FORCE = {socket.SO_RCVBUF: 33, socket.SO_SNDBUF: 32}  # asm-generic/socket.h; as root, beyond net.core.*mem_max


class MediaPorts:
    """Ports of the system's choice."""

    async def open(self, addresses: list[str]) -> None:
        """Open what is shared on these addresses, before the first session."""

    def close(self) -> None:
        """Close what is shared."""

    def use(self, peer: RTCPeerConnection) -> None:
        """Let this peer connection use the ports; after `setRemoteDescription`, before `createAnswer`."""


class ChosenPorts(MediaPorts):
    """What gathers candidates in aioice's place, where there are neither STUN nor TURN servers."""

    def use(self, peer: RTCPeerConnection) -> None:
        """Let this peer connection use these ports."""
        # aiortc/rtcpeerconnection.py __createDtlsTransport, __gather; rtcicetransport.py RTCIceGatherer.
        for transport in vars(peer)["_RTCPeerConnection__iceTransports"]:
            connection = transport.iceGatherer._connection
            self._name(connection)
            vars(connection)["get_component_candidates"] = self._gatherer(connection)

    @abstractmethod
    def _name(self, connection: aioice.ice.Connection) -> None:
        """Give the connection another user name where the one it has cannot be."""

    @abstractmethod
    async def _protocol(self, connection: aioice.ice.Connection, address: str) -> aioice.ice.StunProtocol:
        """A way for this connection on one address; raises OSError."""

    def _gatherer(self, connection: aioice.ice.Connection) -> Any:
        async def gather(component: int, addresses: list[str], timeout: int = 5) -> list[Candidate]:  # noqa: ASYNC109, ARG001
            """In place of aioice/ice.py Connection.get_component_candidates, without STUN and TURN servers."""
            for address in addresses:
                try:
                    protocol = await self._protocol(connection, address)
                except OSError as error:
                    logger.warning("no media on %s: %s", address, error)
                    continue
                host, port = protocol.transport.get_extra_info("sockname")[:2]
                protocol.local_candidate = Candidate(
                    foundation=candidate_foundation("host", "udp", host),
                    component=component,
                    transport="udp",
                    priority=candidate_priority(component, "host"),
                    host=host,
                    port=port,
                    type="host",
                )
                connection._protocols.append(protocol)
            return [protocol.local_candidate for protocol in connection._protocols]

        return gather


class PortRange(ChosenPorts):
    """A port of its own for each session and address, out of a range."""

    def __init__(self, first: int, last: int) -> None:
        """From `first` to `last`, both included."""
        self._numbers = range(first, last + 1)

    def _name(self, connection: aioice.ice.Connection) -> None:
        pass

    async def _protocol(self, connection: aioice.ice.Connection, address: str) -> aioice.ice.StunProtocol:
        loop = asyncio.get_running_loop()
        for number in random.sample(self._numbers, len(self._numbers)):
            try:
                _, protocol = await loop.create_datagram_endpoint(
                    lambda: aioice.ice.StunProtocol(connection), local_addr=(address, number)
                )
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
            else:
                enlarge(protocol.transport.get_extra_info("socket"), socket.SO_RCVBUF, SESSIONS_BUFFER_BYTES)
                return protocol
        raise OSError(errno.EADDRINUSE, "every port of the range (SURVEILLX_MEDIA_PORTS) is taken")


def enlarge(shown: Any, option: int, size: int) -> None:
    """As large as wanted where we may (Linux's root), else as large as the system allows."""
    try:
        shown.setsockopt(socket.SOL_SOCKET, _SO_FORCE[option] if sys.platform == "linux" else option, size)
    except OSError:
        shown.setsockopt(socket.SOL_SOCKET, option, size)
