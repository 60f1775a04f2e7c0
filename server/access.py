"""Who is let in: what a request shows, compared with the accounts, tokens and settings in force.

A program shows a bearer token, a browser the cookie it got for signing in. Every comparison takes the same time
whatever was guessed, and an address that guesses too often has to wait. Where nothing is set up at all, whoever sits at
this very machine may do everything; `--insecure` extends that to the network. A token in a URL is never looked at: URLs
end up in logs.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ipaddress
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from starlette.datastructures import Headers

from .accounts import Accounts, Credentials, digest
from .callers import ANYONE, ROLES, Caller, Right
from .config import Settings
from .dashboards import DashboardTokens
from .errors import Unavailable
from .passwords import PasswordCheck
from .rates import network_of

COOKIE = "surveillx_view"
DAY_S = 24 * 3600.0

# A publisher with a stale token retries twice a minute, a person mistypes a few times: both stay well below.
GUESSES = 20
GUESS_WINDOW_S = 60.0
MAX_ADDRESSES = 10_000

# How soon a running server knows what the command line changed.
REFRESH_S = 1.0

NO_LONGER = "You have been signed out, or may not watch this camera any more. Sign in again."

logger = logging.getLogger("surveillx.access")


class Access:
    """Tells who a request comes from. `run` keeps up with the database; before, only the settings' tokens are known."""

    def __init__(self, settings: Settings, accounts: Accounts) -> None:
        self.accounts = accounts
        self.dashboards = DashboardTokens(settings)
        self.guesses = Guesses()
        self.passwords = PasswordCheck()
        self._settings = settings
        self._known = Credentials()
        self._refreshed = asyncio.Event()

    async def run(self, ready: asyncio.Event, on_refresh: Callable[[], None] = lambda: None) -> None:
        """Keep up with accounts and tokens until cancelled; `on_refresh` is called each time.

        While the database is away, what was known stays in force, and still expires.
        """
        await self.refresh()
        ready.set()
        keys = asyncio.create_task(self.dashboards.run(), name="surveillx-dashboard-keys")
        try:
            while True:
                await asyncio.sleep(REFRESH_S)
                try:
                    await self.refresh()
                except Unavailable:
                    self._wake()
                on_refresh()
        finally:
            keys.cancel()
            self.passwords.close()

    async def refresh(self) -> None:
        """Know what is in the database now.

        Raises:
            Unavailable: the database is away.
        """
        self._known = await self.accounts.load()
        self._wake()

    @property
    def has_accounts(self) -> bool:
        """Whether anybody can sign in with a name."""
        return bool(self._known.passwords)

    @property
    def has_view_token(self) -> bool:
        """Whether anybody can sign in with a token."""
        return bool(self._settings.view_token) or self._known.has("view")

    @property
    def view_is_open(self) -> bool:
        """Whether nothing is set up that watching could need."""
        return not (self.has_accounts or self.has_view_token or self.dashboards.is_on)

    @property
    def publish_is_open(self) -> bool:
        """Whether nothing is set up that publishing could need."""
        return not (self._settings.publish_token or self._known.has("publish"))

    def anyone(self, scope: Mapping[str, Any]) -> Caller:
        """What somebody may who shows nothing; `scope` is the request's, as ASGI has it."""
        rights: set[Right] = set()
        if self._settings.insecure or (self._settings.is_loopback and is_local(scope)):
            if self.publish_is_open:
                rights.add("publish")
            if self.view_is_open:
                rights |= ROLES["admin"] - {"publish"}
        return replace(ANYONE, rights=frozenset(rights))

    def by_token(self, token: str) -> Caller | None:
        """Who a bearer token stands for; None when it is not right."""
        settings, shown = self._settings, digest(token)
        found: Caller | None = None
        if settings.publish_token and hmac.compare_digest(shown, digest(settings.publish_token)):
            found = Caller("publish token", frozenset({"publish"}), None, "setting:publish")
        if settings.view_token and hmac.compare_digest(shown, digest(settings.view_token)):
            # With one and the same token for both, it opens both.
            rights = ROLES["staff"] | (found.rights if found else frozenset())
            found = Caller("view token", rights, None, "setting:view")
        # Looked up by digest: how long that takes tells nothing of a secret that nobody can aim for.
        return found or _unless_expired(self._known.tokens.get(shown)) or self.dashboards.caller(token)

    def by_cookie(self, cookies: Mapping[str, str]) -> Caller | None:
        """Whose browser this is; None when it is nobody's."""
        secret = cookies.get(COOKIE, "")
        if self._settings.view_token and hmac.compare_digest(
            digest(secret), digest(view_cookie(self._settings.view_token))
        ):
            return Caller("view token", ROLES["staff"], None, "setting:view")
        known = _unless_expired(self._known.sign_ins.get(digest(secret)))
        name = self._settings.jwt_cookie
        return known or (self.dashboards.caller(cookies.get(name, "")) if name else None)

    async def sign_in_by_name(self, name: str, password: str) -> str | None:
        """The secret for the cookie of a browser, kept by the server as well; None when name or password is wrong.

        Raises:
            Unavailable: too many sign in just now, or the database is away.
        """
        account_id, kept = self._known.passwords.get(" ".join(name.split()).casefold(), (None, None))
        if not await self.passwords.is_right(password, kept):
            return None
        return await self._remember(ANYONE, account_id)

    async def sign_in_by_token(self, token: str) -> str | None:
        """The same for a token that may watch."""
        caller = self.by_token(token)
        if caller is None or not caller.may("view"):
            return None
        if caller.credential == "setting:view":
            return view_cookie(self._settings.view_token)
        return await self._remember(caller, None) if caller.credential.startswith("token:") else None

    async def sign_out(self, secret: str, *, everywhere: bool) -> None:
        """Forget a browser, or all of the same account."""
        await self.accounts.sign_out(secret, everywhere=everywhere)
        await self.refresh()

    def still_may(self, caller: Caller, right: Right, camera_id: str | None = None) -> bool:
        """Whether somebody who was let in would be let in again."""
        if caller.is_expired:
            return False
        kind = caller.credential.partition(":")[0]
        if kind in ("token", "sign-in"):
            current = self._known.callers.get(caller.credential)
            return current is not None and current.may(right, camera_id)
        if kind == "":
            return self.view_is_open if right != "publish" else self.publish_is_open
        return caller.may(right, camera_id)

    async def until_lost(self, caller: Caller, right: Right, camera_id: str | None = None) -> None:
        """Wait until `caller` may no longer."""
        while self.still_may(caller, right, camera_id):
            await self._refreshed.wait()

    async def _remember(self, caller: Caller, account_id: int | None) -> str:
        secret = await self.accounts.sign_in(caller, self._settings.sign_in_days * DAY_S, account_id)
        await self.refresh()
        return secret

    def _wake(self) -> None:
        self._refreshed.set()
        self._refreshed = asyncio.Event()


def view_cookie(token: str) -> str:
    """The cookie for the setting's token: useless for finding that, and void once it changes."""
    return hmac.new(token.encode(), b"surveillx view cookie", hashlib.sha256).hexdigest()


class Guesses:
    """Counts wrong guesses by client address. Holds at most `MAX_ADDRESSES`, forgetting the oldest."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._wrong: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def wait_s(self, address: str) -> float:
        """How long `address` has to wait before its next guess is looked at; 0 when it may try now."""
        key = network_of(address)
        count, since = self._wrong.get(key, (0, 0.0))
        left = since + GUESS_WINDOW_S - self._clock()
        if left <= 0:
            self._wrong.pop(key, None)
            return 0.0
        return left if count >= GUESSES else 0.0

    def forgive(self, address: str) -> None:
        """Take one back: it was right."""
        key = network_of(address)
        if key in self._wrong:
            count, since = self._wrong[key]
            self._wrong[key] = (count - 1, since)

    def add(self, address: str) -> None:
        """Count a wrong guess; the window starts with the first one."""
        key = network_of(address)
        count, since = self._wrong.get(key, (0, self._clock()))
        self._wrong[key] = (count + 1, since)
        if len(self._wrong) > MAX_ADDRESSES:
            self._wrong.popitem(last=False)


def bearer(authorization: str | None) -> str:
    """The token of an `Authorization: Bearer` header (RFC 6750 section 2.1); empty when there is none."""
    scheme, _, token = (authorization or "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def client_address(scope: Mapping[str, Any]) -> str:
    """The address a request comes from; behind a trusted proxy, the one that the proxy names."""
    return (scope.get("client") or ("", 0))[0]


def signature(caller: Caller, scope: Mapping[str, Any]) -> str:
    """How the audit calls a caller: by name, and where there is none, by address."""
    return caller.name if caller.credential else f"{caller.name} ({client_address(scope)})"


def is_local(scope: Mapping[str, Any]) -> bool:
    """Whether a request comes from this machine, and to a name that can mean only this machine.

    A page of another site may point its own name at 127.0.0.1 (DNS rebinding): its browser is here, its `Host` is not.
    """
    host = Headers(scope=scope).get("host", "")  # type: ignore[arg-type]
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() else host
    named_here = name.lower() == "localhost" or _is_loopback(name.strip("[]"))
    return named_here and _is_loopback(client_address(scope))


def _is_loopback(address: str) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = parsed.ipv4_mapped if parsed.version == 6 else None
    return (mapped or parsed).is_loopback


def _unless_expired(caller: Caller | None) -> Caller | None:
    return None if caller is None or caller.is_expired else caller
