"""Whether a TURN server gives a relayed address for the credentials that the server hands out."""

from __future__ import annotations

import asyncio

from aioice import stun
from aioice.turn import create_turn_endpoint
from aiortc.rtcicetransport import parse_stun_turn_uri

from .steps import Failed

ANSWER_WITHIN_S = 5.0
_UNAUTHORIZED, _QUOTA = 401, 486


async def require_relay(url: str, username: str, credential: str) -> str:
    """Ask for an address, and give it back; returns words.

    Raises:
        Failed: it is refused, or nobody answers.
    """
    server = parse_stun_turn_uri(url)
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            transport, _ = await create_turn_endpoint(
                asyncio.DatagramProtocol,
                server_addr=(server["host"], server["port"]),
                username=username,
                password=credential,
                ssl=server["scheme"] == "turns",
                transport=server["transport"],
            )
    except stun.TransactionFailed as error:
        raise _refused(error.response.attributes.get("ERROR-CODE", (0, ""))) from error
    except (TimeoutError, stun.TransactionTimeout, OSError) as error:
        way = "TCP" if server["transport"] == "tcp" else "UDP"
        raise Failed(
            "The TURN server does not answer.",
            f"Is coturn running? Open {way} {server['port']} of {server['host']}, and check SURVEILLX_TURN_URLS.",
        ) from error
    host, port = transport.get_extra_info("sockname")[:2]
    transport.close()
    return f"it relays from {host}:{port}"


def _refused(error: tuple[int, str]) -> Failed:
    code, words = error
    if code == _UNAUTHORIZED:
        return Failed(
            "The TURN server refuses the credentials.",
            "SURVEILLX_TURN_SECRET must be coturn's static-auth-secret, and the two machines' clocks must agree.",
        )
    if code == _QUOTA:
        return Failed("The TURN server has no place left.", "Raise its total-quota and user-quota.")
    return Failed(f"The TURN server refuses: {code} {words}.", "Its log says why.")
