"""Who may publish and who may view: two bearer tokens, and the cookie a browser gets for one of them.

Every comparison takes the same time whatever was guessed, and an address that guesses too often has to wait. An empty
token setting means open to everybody, which `Settings.require_safe_address` allows on loopback only. A token in a URL
is never looked at: URLs end up in logs.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections import OrderedDict
from collections.abc import Callable

COOKIE = "surveillx_view"

# A publisher with a stale token retries twice a minute, a person mistypes a few times: both stay well below.
GUESSES = 20
GUESS_WINDOW_S = 60.0
MAX_ADDRESSES = 10_000


class Access:
    """Compares what a request shows with the tokens in force."""

    def __init__(self, publish_token: str, view_token: str) -> None:
        self._publish_token = publish_token
        self._view_token = view_token
        self.guesses = Guesses()

    @property
    def view_is_open(self) -> bool:
        """Whether viewing needs no token."""
        return not self._view_token

    def may_publish(self, authorization: str | None) -> bool:
        """Whether the `Authorization` header allows publishing."""
        return not self._publish_token or _same(bearer(authorization), self._publish_token)

    def may_view(self, authorization: str | None, cookie: str | None) -> bool:
        """Whether the `Authorization` header or the value of the cookie `COOKIE` allows viewing."""
        if self.view_is_open:
            return True
        by_header = _same(bearer(authorization), self._view_token)
        by_cookie = _same(cookie or "", self.view_cookie())
        return by_header or by_cookie

    def view_cookie(self) -> str:
        """The cookie's value: derived from the token, useless for finding it, and void once the token changes."""
        return hmac.new(self._view_token.encode(), b"surveillx view cookie", hashlib.sha256).hexdigest()


class Guesses:
    """Counts wrong tokens by client address. Holds at most `MAX_ADDRESSES`, forgetting the oldest."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._wrong: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def wait_s(self, address: str) -> float:
        """How long `address` has to wait before its next guess is looked at; 0 when it may try now."""
        count, since = self._wrong.get(address, (0, 0.0))
        left = since + GUESS_WINDOW_S - self._clock()
        if left <= 0:
            self._wrong.pop(address, None)
            return 0.0
        return left if count >= GUESSES else 0.0

    def add(self, address: str) -> None:
        """Count a wrong guess; the window starts with the first one."""
        count, since = self._wrong.get(address, (0, self._clock()))
        self._wrong[address] = (count + 1, since)
        if len(self._wrong) > MAX_ADDRESSES:
            self._wrong.popitem(last=False)


def bearer(authorization: str | None) -> str:
    """The token of an `Authorization: Bearer` header (RFC 6750 section 2.1); empty when there is none."""
    scheme, _, token = (authorization or "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _same(shown: str, expected: str) -> bool:
    # Digests of equal length, so that not even the token's length can be told from the time.
    return hmac.compare_digest(_digest(shown), _digest(expected))


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
