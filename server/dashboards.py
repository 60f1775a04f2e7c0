"""JSON Web Tokens of the school's own dashboard, so that whoever is signed in there needs no second sign-in here.

RFC 7519, with the advice of RFC 8725: the algorithm is what the setting says, never what the token says; HS256 with
`jwt_secret`, or RS256, ES256 and EdDSA with the keys at `jwt_jwks_url` (RFC 7517). A token without expiry is refused.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from typing import Any, cast

import httpx
import jwt

from .callers import ROLES, Caller, Role
from .config import Settings

PUBLIC_KEY_ALGORITHMS = ["RS256", "ES256", "EdDSA"]
LEEWAY_S = 5  # two machines' clocks
KEYS_EVERY_S = 300.0
RETRY_S = 10.0
FETCH_WITHIN_S = 10.0
MAX_KEYS_BYTES = 256 * 1024
NAME_CHARACTERS = 100

logger = logging.getLogger("surveillx.access")


class DashboardTokens:
    """Reads the dashboard's tokens; knows nobody where neither setting is there."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._roles = cast("dict[str, Role]", settings.roles_of_dashboard)
        self._keys: list[jwt.PyJWK] = []

    @property
    def is_on(self) -> bool:
        """Whether any are accepted."""
        return bool(self._settings.jwt_secret or self._settings.jwt_jwks_url)

    async def run(self) -> None:
        """Keep the public keys fresh, until cancelled; keys that cannot be fetched stay as they were."""
        while self._settings.jwt_jwks_url:
            try:
                self._keys = await _fetch_keys(self._settings.jwt_jwks_url)
            except (httpx.HTTPError, jwt.PyJWTError, ValueError) as error:
                logger.warning("The keys of the dashboard's tokens (jwt_jwks_url) cannot be fetched: %s", error)
                await asyncio.sleep(RETRY_S)
            else:
                await asyncio.sleep(KEYS_EVERY_S)

    def caller(self, token: str) -> Caller | None:
        """Who a token stands for; None when it is no valid one."""
        if token.count(".") != 2:
            return None
        claims = self._claims(token)
        role = None if claims is None else self._role(claims)
        if claims is None or role is None:
            return None
        return Caller(
            _shown(claims.get("name") or claims.get("sub") or "dashboard"),
            ROLES[role],
            _cameras(claims),
            "dashboard:" + hashlib.sha256(token.encode()).hexdigest()[:16],
            float(claims["exp"]),
        )

    def _claims(self, token: str) -> dict[str, Any] | None:
        """What a token says, if one of the keys has signed it."""
        keys: list[tuple[Any, list[str]]] = [(key, PUBLIC_KEY_ALGORITHMS) for key in self._keys]
        if self._settings.jwt_secret:
            keys.append((self._settings.jwt_secret, ["HS256"]))
        for key, algorithms in keys:
            try:
                return jwt.decode(
                    token,
                    key,
                    algorithms=algorithms,
                    issuer=self._settings.jwt_issuer or None,
                    audience=self._settings.jwt_audience or None,
                    leeway=LEEWAY_S,
                    options={
                        "require": ["exp"],
                        "verify_aud": bool(self._settings.jwt_audience),
                        "verify_sub": False,  # the dashboards' own are often numbers
                    },
                )
            except (jwt.PyJWTError, ValueError, OverflowError):
                continue
        return None

    def _role(self, claims: dict[str, Any]) -> Role | None:
        said = claims.get(self._settings.jwt_role_claim)
        for each in said if isinstance(said, list) else [said]:
            if isinstance(each, str) and each in self._roles:
                return self._roles[each]
        return self._roles.get("*")


def _cameras(claims: dict[str, Any]) -> frozenset[str] | None:
    """The claim `cameras`, a list of ids; without one, all."""
    said = claims.get("cameras")
    return frozenset(str(each) for each in said) if isinstance(said, list) else None


def _shown(name: object) -> str:
    return "".join(each for each in str(name) if each.isprintable())[:NAME_CHARACTERS]


async def _fetch_keys(url: str) -> list[jwt.PyJWK]:
    async with httpx.AsyncClient(timeout=FETCH_WITHIN_S, follow_redirects=False) as client:
        response = await client.get(url)
    response.raise_for_status()
    if len(response.content) > MAX_KEYS_BYTES:
        raise ValueError("the answer is too large")
    return jwt.PyJWKSet.from_dict(response.json()).keys
