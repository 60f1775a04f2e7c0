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

# RFC 8656 section 7.4, RFC 8489 section 9.2.5.
_REFUSALS = {
    401: "it refuses the credential. Its secret is not the server's, the credential has expired, or a clock is wrong.",
    486: "it has as many users as it takes (its quota).",
    508: "it has no port left.",
}

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
    """Whether no way has been found yet, and there is still time (ice.py check_complete, close)."""
    return not (connection._check_list_done or connection._closing)


async def _try(connection: ice.Connection, relay: Relay) -> None:
    try:
        candidate, protocol = await _allocate(connection, relay)
    except asyncio.CancelledError:
        if _is_searching(connection):  # time is up; else another way has been found, and nobody misses this one
            logger.warning("The relay %s cannot be used: it does not answer.", relay.url)
        raise
    except (OSError, ValueError, stun.TransactionError) as error:
        # A refused credential is worth a line: somebody has to change something.
        logger.warning("The relay %s cannot be used: %s", relay.url, _why(error))
        return
    if not _is_searching(connection):
        await protocol.close()
        return
    # As gathering does with it (ice.py get_component_candidates, gather_candidates).
    connection._protocols.append(protocol)
    connection._local_candidates.append(candidate)
    for pair in _pairs(connection, protocol):
        # connect() may have begun all checks it had and waits for their end (ice.py connect, _check_periodic).
        connection.check_start_task(pair)


def _why(error: OSError | ValueError | stun.TransactionError) -> str:
    """In words for whom it concerns; coturn says 401 to a wrong secret and to an expired user alike."""
    if isinstance(error, stun.TransactionTimeout):
        return "it does not answer."
    if not isinstance(error, stun.TransactionFailed):
        return str(error)
    code, reason = error.response.attributes.get("ERROR-CODE", (0, "no reason given"))
    return _REFUSALS.get(code, f"it refuses with {code} ({reason}).")


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
    """What can now be tried in addition (ice.py _pair_remote_candidate, add_remote_candidate)."""
    for remote in connection.remote_candidates:
        connection._pair_remote_candidate(remote)
        pair = connection._find_pair(protocol, remote)
        if pair is not None:
            yield pair
    connection.sort_check_list()
