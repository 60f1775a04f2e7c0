"""The dashboard's tokens: signed with a shared secret, or with keys that a real HTTP server hands out."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from server.callers import Caller
from server.config import Settings
from server.dashboards import DashboardTokens
from server.errors import ConfigError
from tests.wait import until

SECRET = "the-dashboards-secret-of-32-bytes-or-more"


def signed(key: Any = SECRET, algorithm: str = "HS256", kid: str | None = None, **claims: Any) -> str:
    content = {"sub": "ada", "role": "staff", "exp": time.time() + 60, **claims}
    given = {name: value for name, value in content.items() if value is not None}
    return jwt.encode(given, key, algorithm, headers={"kid": kid} if kid else None)


def caller(token: str, **settings: Any) -> Caller | None:
    return DashboardTokens(Settings(jwt_secret=SECRET, **settings)).caller(token)


def test_a_token_of_the_dashboard_says_who_and_what() -> None:
    found = caller(signed(name="Ada L.", cameras=[1, "gate"]))
    assert found is not None
    assert found.name == "Ada L."
    assert found.cameras == frozenset({"1", "gate"})
    assert found.may("staff")
    assert not found.may("admin")
    assert found.expires_at == pytest.approx(time.time() + 60, abs=10)
    assert found.credential.startswith("dashboard:")
    by_number = caller(signed(sub=7))
    assert by_number is not None
    assert by_number.name == "7"


@pytest.mark.parametrize(
    "token",
    [
        "",
        "a.b.c",
        "svx_abc",
        signed(exp=None),
        signed(exp=time.time() - 60),
        signed(exp=0),
        signed(nbf=time.time() + 600),
        signed(SECRET + "x"),
        signed(role="cleaner"),
        signed(role=None),
        signed(role=["a", 7]),
        signed(algorithm="HS512", key=SECRET * 2),
        jwt.encode({"sub": "ada", "role": "admin", "exp": time.time() + 60}, "", "none"),
    ],
)
def test_any_other_token_is_nobodys(token: str) -> None:
    assert caller(token) is None


def test_roles_are_mapped() -> None:
    roles = ("teacher=staff", "head=admin", "*=viewer")
    found = [caller(signed(role=role), jwt_roles=roles) for role in ("teacher", "head", "pupil", ["x", "head"])]
    assert [each is not None and each.may("admin") for each in found] == [False, True, False, True]
    assert [each is not None and each.may("staff") for each in found] == [True, True, False, True]
    assert all(each is not None and each.may("view") for each in found)
    assert caller(signed(role=None, groups="head"), jwt_role_claim="groups", jwt_roles=roles) is not None


def test_issuer_and_audience_are_checked_where_set() -> None:
    chosen = {"jwt_issuer": "https://school", "jwt_audience": "surveillx"}
    assert caller(signed(iss="https://school", aud="surveillx"), **chosen) is not None
    assert caller(signed(iss="https://school", aud=["x", "surveillx"]), **chosen) is not None
    assert caller(signed(iss="https://other", aud="surveillx"), **chosen) is None
    assert caller(signed(iss="https://school", aud="other"), **chosen) is None
    assert caller(signed(iss="https://school"), **chosen) is None
    assert caller(signed(aud="whatever")) is not None


@asynccontextmanager
async def key_server(answer: dict[str, Any]) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    """Hands out `answer`'s keys; whoever tests may change it."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = json.dumps(answer).encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        writer.write(head.encode() + b"Connection: close\r\n\r\n" + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/jwks", answer


async def test_public_keys_come_from_the_dashboard() -> None:
    rsa_key = rsa.generate_private_key(65537, 2048)
    curve_key = ec.generate_private_key(ec.SECP256R1())
    keys = [
        {**jwt.algorithms.RSAAlgorithm.to_jwk(rsa_key.public_key(), as_dict=True), "kid": "a", "alg": "RS256"},
        {**jwt.algorithms.ECAlgorithm.to_jwk(curve_key.public_key(), as_dict=True), "kid": "b", "alg": "ES256"},
    ]
    async with key_server({"keys": keys}) as (url, _):
        tokens = DashboardTokens(Settings(jwt_jwks_url=url))
        running = asyncio.create_task(tokens.run())
        await until(lambda: tokens._keys, 10, "the keys are there")
        assert tokens.is_on
        assert tokens.caller(signed(rsa_key, "RS256", "a")) is not None
        assert tokens.caller(signed(curve_key, "ES256", "b")) is not None
        stranger = rsa.generate_private_key(65537, 2048)
        assert tokens.caller(signed(stranger, "RS256", "a")) is None
        assert tokens.caller(signed()) is None, "no secret is set"
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_keys_that_cannot_be_had_are_told_and_asked_for_again(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.dashboards.RETRY_S", 0.05)
    key = rsa.generate_private_key(65537, 2048)
    async with key_server({"nothing": True}) as (url, answer):
        tokens = DashboardTokens(Settings(jwt_jwks_url=url))
        running = asyncio.create_task(tokens.run())
        await until(lambda: "cannot be fetched" in caplog.text, 10, "it is told")
        answer["keys"] = [{**jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True), "alg": "RS256"}]
        await until(lambda: tokens.caller(signed(key, "RS256")), 10, "the keys are there")
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"jwt_secret": "short"}, "32 bytes"),
        ({"jwt_jwks_url": "file:///etc/passwd"}, "http or https"),
        ({"jwt_roles": ("teacher",)}, "teacher=staff"),
        ({"jwt_roles": ("teacher=king",)}, "teacher=staff"),
        ({"jwt_cookie": "session"}, "jwt_secret or jwt_jwks_url"),
        ({"trusted_proxies": ("proxy.school",)}, "IP address"),
    ],
)
def test_settings_that_cannot_be_are_named(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Settings(**settings)
