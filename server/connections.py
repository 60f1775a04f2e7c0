"""TCP connections of clients: how long one may say nothing, and how many one address may hold open.

uvicorn waits for ever for a request that does not come: some hundred silent connections would use up the files the
server may open. Reverse proxies that are trusted hold as many as they need, and watch their own clients.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, ClassVar
from weakref import WeakSet

from uvicorn.protocols.http.h11_impl import H11Protocol

from .rates import MAX_ADDRESSES, network_of

# A page needs a handful; a school behind one address has a hundred pages.
MAX_CONNECTIONS_PER_ADDRESS = 800
HEADERS_WITHIN_S = 15.0


def watched_protocol(trusted: Sequence[str]) -> type[H11Protocol]:
    """What uvicorn is to make of a connection, with one count for all that it accepts."""
    networks = tuple(ipaddress.ip_network(each, strict=False) for each in trusted)
    return type("Watched", (_Watched,), {"opened": defaultdict(WeakSet), "trusted": networks})


class _Watched(H11Protocol):
    """One connection. Event loop's thread only."""

    opened: ClassVar[defaultdict[str, WeakSet[asyncio.Transport]]]
    trusted: ClassVar[tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]]
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Close it at once where its address has too many."""
        super().connection_made(transport)
        if self._is_one_too_many((transport.get_extra_info("peername") or ("",))[0]):
            transport.abort()
        else:
            self._watch()

    def data_received(self, data: bytes) -> None:
        """Once a request has come whole, its answer may take as long as it takes."""
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for any more."""
        self._forget_deadline()
        super().connection_lost(exc)

    def _is_one_too_many(self, address: str) -> bool:
        if _is_within(address, self.trusted):
            return False
        network = network_of(address)
        # A WebSocket takes its connection over, and this class does not hear of its end.
        count = sum(not each.is_closing() for each in self.opened[network])
        if count >= MAX_CONNECTIONS_PER_ADDRESS:
            self.logger.debug("%s has %d connections, and gets no more", network, count)
            return True
        self.opened[network].add(self.transport)
        if len(self.opened) > MAX_ADDRESSES:
            self._forget_addresses()
        return False

    def _forget_addresses(self) -> None:
        for network in [each for each, transports in self.opened.items() if not transports]:
            del self.opened[network]

    def _watch(self) -> None:
        if not self._is_waiting():
            self._forget_deadline()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(HEADERS_WITHIN_S, self._expire)

    def _is_waiting(self) -> bool:
        """For a request, or for the rest of its headers."""
        transport: Any = self.transport
        is_idle = self.cycle is None or self.cycle.response_complete
        return is_idle and not transport.is_closing() and transport.get_protocol() is self

    def _expire(self) -> None:
        self._deadline = None
        if self._is_waiting():
            self.transport.close()

    def _forget_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def _is_within(address: str, networks: Sequence[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> bool:
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    return any(parsed in network for network in networks)
