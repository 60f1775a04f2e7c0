"""Short-lived credentials for the school's TURN server, a relay for those whose way to the server is blocked.

coturn checks them with `use-auth-secret`: it and this server share a secret, and no user is stored anywhere
(draft-uberti-behave-turn-rest-00 section 2.2). The server itself needs no relay: whoever cannot reach it comes through
one.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass, field

from .config import Settings


@dataclass(frozen=True)
class IceServer:
    """What an `RTCIceServer` of a browser is made of."""

    urls: tuple[str, ...]
    username: str
    credential: str = field(repr=False)


def ice_servers(settings: Settings, who: str, now: float) -> list[IceServer]:
    """The relays that `who` may use from `now` (seconds since 1970) for `turn_ttl_s`; none where none is set.

    coturn counts what one `who` has in use (`user-quota`) and writes it into its log: an id, never a name.
    """
    if not settings.turn_urls:
        return []
    username = f"{int(now + settings.turn_ttl_s)}:{who}"
    digest = hmac.new(settings.turn_secret.encode(), username.encode(), hashlib.sha1).digest()
    return [IceServer(settings.turn_urls, username, base64.b64encode(digest).decode())]
