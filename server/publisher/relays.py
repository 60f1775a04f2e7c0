"""Relays (TURN): the way to the server where none leads there directly.

aioice gathers relayed candidates before an offer can be made (ice.py get_component_candidates), and a relay that does
not answer holds it up for five seconds. Here the offer leaves at once; only when no direct way has been found for
`DIRECT_FIRST_S` are relays asked, all at the same time, and each is tried as it answers. The server need not be told:
it learns a relay's address from the checks that come through it (RFC 8445 section 7.3.1.3).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field

from aioice import Candidate, ice, stun
from aiortc import RTCRtpSender
from aiortc.rtcicetransport import parse_stun_turn_uri

# Checks start 20 ms apart, and on any line that can carry video one is answered within this.
DIRECT_FIRST_S = 0.5

logger = logging.getLogger("surveillx.publisher")


@dataclass(frozen=True)
class Relay:
    """A TURN server, such as turn:turn.school:3478?transport=tcp (RFC 7065)."""

    url: str
    user: str
    password: str = field(repr=False)


async def relay_when_needed(sender: RTCRtpSender, find_relays: Callable[[], Awaitable[Iterable[Relay]]]) -> None:
    """Try each relay where there is no direct way; returns when all have answered or failed."""
    connection = sender.transport.transport._connection
    await asyncio.sleep(DIRECT_FIRST_S)
    if not _is_searching(connection):
        return
    async with asyncio.TaskGroup() as attempts:
        for relay in await find_relays():
            attempts.create_task(_try(connection, relay), name="publisher-relay")


def _is_searching(connection: ice.Connection) -> bool:
    return not (connection._check_list_done or connection._closing)


async def _try(connection: ice.Connection, relay: Relay) -> None:
    try:
        candidate, protocol = await _allocate(connection, relay)
    except (OSError, ValueError, stun.TransactionError) as error:
        # A refused credential is worth a line: somebody has to change something.
        logger.warning("The relay %s cannot be used: %s", relay.url, error)
        return
    if not _is_searching(connection):
        await protocol.close()
        return
    connection._protocols.append(protocol)
    connection._local_candidates.append(candidate)
    for pair in _pairs(connection, protocol):
        # connect() may have begun all checks it had and waits for their end (ice.py connect, _check_periodic).
        connection.check_start_task(pair)


async def _allocate(connection: ice.Connection, relay: Relay) -> tuple[Candidate, ice.StunProtocol]:
    """Ask for a relayed address.

    Raises:
        ValueError: a URL that aiortc does not know. OSError, TransactionError: unreachable, or refused.
    """
    server = parse_stun_turn_uri(relay.url)
    return await ice.relayed_candidate(
        component=1,
        hide_related_address=False,
        protocol_factory=lambda: ice.StunProtocol(connection),
        turn_server=(server["host"], server["port"]),
        turn_username=relay.user,
        turn_password=relay.password,
        turn_ssl=server["scheme"] == "turns",
        turn_transport=server["transport"],
    )


def _pairs(connection: ice.Connection, protocol: ice.StunProtocol) -> Iterator[ice.CandidatePair]:
    """What can now be tried in addition."""
    for remote in connection.remote_candidates:
        connection._pair_remote_candidate(remote)
        pair = connection._find_pair(protocol, remote)
        if pair is not None:
            yield pair
    connection.sort_check_list()
