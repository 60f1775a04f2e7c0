"""Who a token, a cookie or an address stands for; accounts, sign-ins and tokens in a real database."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import server.access
from server.access import (
    COOKIE,
    GUESS_WINDOW_S,
    GUESSES,
    Access,
    Guesses,
    bearer,
    client_address,
    is_local,
    view_cookie,
)
from server.accounts import Accounts, NewToken, digest
from server.audit import AuditStore
from server.callers import ANYONE, Caller, allow, allow_owner
from server.config import Settings
from server.database import Database
from server.errors import BadRequest, Conflict, Forbidden, NotFound, Unauthorized, Unavailable
from server.passwords import WAITING_MOST, PasswordCheck, hash_password

PASSWORD = "correct horse battery"


@pytest.fixture
def accounts(tmp_path: Path) -> Iterator[Accounts]:
    database = Database(f"sqlite:///{tmp_path / 'surveillx.db'}")
    yield Accounts(database)
    database.close()


@pytest.fixture(scope="module")
def password_hash() -> str:
    return hash_password(PASSWORD)


def here(host: str = "localhost:8080", address: str = "127.0.0.1") -> dict[str, Any]:
    return {"type": "http", "client": (address, 5), "headers": [(b"host", host.encode())]}


def everything_in(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir() if path.is_file())


@asynccontextmanager
async def in_force(accounts: Accounts, **settings: Any) -> Any:
    """Access that keeps up with the database."""
    access, ready = Access(Settings(**settings), accounts), asyncio.Event()
    running = asyncio.create_task(access.run(ready))
    await ready.wait()
    try:
        yield access
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def test_with_nothing_set_up_this_machine_may_do_everything(accounts: Accounts) -> None:
    access = Access(Settings(), accounts)
    assert access.anyone(here()).rights == ANYONE.rights
    assert access.anyone(here("127.0.0.1:8080")).may("admin")
    assert access.anyone(here("[::1]:8080", "::1")).may("publish")
    for host, address in [
        ("localhost:8080", "192.168.1.7"),  # through a proxy that tells the client's address
        ("evil.example:8080", "127.0.0.1"),  # a page that points its own name at this machine
        ("127.0.0.1.evil.example", "127.0.0.1"),
        ("", "127.0.0.1"),
        ("localhost", ""),
    ]:
        assert not access.anyone(here(host, address)).rights, (host, address)
    assert not Access(Settings(host="0.0.0.0"), accounts).anyone(here()).rights
    everybody = Access(Settings(host="0.0.0.0", insecure=True), accounts).anyone(here("school", "192.168.1.7"))
    assert everybody.rights == ANYONE.rights


def test_what_is_set_up_closes_its_door(accounts: Accounts) -> None:
    only_view = Access(Settings(view_token="v"), accounts).anyone(here())
    assert only_view.rights == {"publish"}
    only_publish = Access(Settings(publish_token="p"), accounts).anyone(here())
    assert only_publish.may("staff")
    assert not only_publish.may("publish")
    assert not Access(Settings(jwt_secret="s" * 32), accounts).anyone(here()).may("view")


@pytest.mark.parametrize("header", ["Bearer pub-1", "bearer pub-1", "BEARER  pub-1 "])
def test_the_settings_tokens_open_their_doors(accounts: Accounts, header: str) -> None:
    access = Access(Settings(publish_token="pub-1", view_token="view-1"), accounts)
    publisher, viewer = access.by_token(bearer(header)), access.by_token("view-1")
    assert publisher is not None
    assert viewer is not None
    assert publisher.rights == {"publish"}
    assert viewer.may("staff")
    assert not viewer.may("publish")
    assert not viewer.may("admin")


@pytest.mark.parametrize("shown", ["", "pub-", "pub-1x", "\udcff€", "view-1 "])
def test_anything_else_does_not(accounts: Accounts, shown: str) -> None:
    assert Access(Settings(publish_token="pub-1", view_token="view-1"), accounts).by_token(shown) is None


def test_one_token_for_both_doors_opens_both(accounts: Accounts) -> None:
    caller = Access(Settings(publish_token="same", view_token="same"), accounts).by_token("same")
    assert caller is not None
    assert caller.may("publish")
    assert caller.may("view")


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "pub-1", "Basic pub-1"])
def test_what_is_no_bearer_token(header: str | None) -> None:
    assert bearer(header) == ""


def test_the_settings_cookie_opens_viewing_and_hides_the_token(accounts: Accounts) -> None:
    access = Access(Settings(view_token="view-1"), accounts)
    cookie = view_cookie("view-1")
    assert access.by_cookie({COOKIE: cookie}) == access.by_token("view-1")
    assert "view-1" not in cookie
    assert access.by_cookie({COOKIE: "view-1"}) is None
    assert access.by_token(cookie) is None
    assert Access(Settings(view_token="view-2"), accounts).by_cookie({COOKIE: cookie}) is None
    assert Access(Settings(), accounts).by_cookie({COOKIE: view_cookie("")}) is None


async def test_an_account_signs_in_and_out(accounts: Accounts, password_hash: str, tmp_path: Path) -> None:
    accounts.add("Ada  Lovelace", password_hash, "viewer", ["1", "gate"])
    async with in_force(accounts) as access:
        assert access.has_accounts
        assert not access.view_is_open
        secret = await access.sign_in_by_name("ada lovelace", PASSWORD)
        caller = access.by_cookie({COOKIE: secret})
        assert (caller.name, caller.cameras) == ("Ada Lovelace", {"1", "gate"})
        assert caller.expires_at == pytest.approx(time.time() + 30 * 24 * 3600, abs=60)
        assert caller.may("view", "gate")
        assert not caller.may("view", "2")
        assert not caller.may("staff")
        assert access.by_token(secret) is None, "a cookie is no token"
        for name, password in [("Ada Lovelace", "wrong"), ("Nobody", PASSWORD), ("", ""), ("Ada Lovelace", "\udc00")]:
            assert await access.sign_in_by_name(name, password) is None
        other = await access.sign_in_by_name("Ada Lovelace", PASSWORD)
        await access.sign_out(secret, everywhere=False)
        assert access.by_cookie({COOKIE: secret}) is None
        assert access.by_cookie({COOKIE: other}) is not None
        third = await access.sign_in_by_name("Ada Lovelace", PASSWORD)
        await access.sign_out(third, everywhere=True)
        assert access.by_cookie({COOKIE: other}) is None
    stored = everything_in(tmp_path)
    assert b"Ada Lovelace" in stored
    for kept_secret in (PASSWORD, secret, other):
        assert kept_secret.encode() not in stored


async def test_tokens_are_for_what_they_were_made(accounts: Accounts) -> None:
    publish = accounts.add_token(NewToken("PC 12", "publish", ("12",)))
    screen = accounts.add_token(NewToken("Hall", "view", expires_at=datetime.now(UTC) + timedelta(days=1)))
    over = accounts.add_token(NewToken("Old", "admin", expires_at=datetime.now(UTC) - timedelta(seconds=1)))
    async with in_force(accounts) as access:
        caller = access.by_token(publish)
        assert (caller.name, caller.rights, caller.cameras) == ("token PC 12", {"publish"}, {"12"})
        assert access.by_token(over) is None
        assert not access.publish_is_open
        assert await access.sign_in_by_token(publish) is None, "it may not watch"
        cookie = await access.sign_in_by_token(screen)
        signed_in = access.by_cookie({COOKIE: cookie})
        assert signed_in.rights == {"view"}
        assert signed_in.expires_at < time.time() + 25 * 3600, "no longer than the token"
        [first, second, _third] = accounts.tokens()
        assert (first.label, first.digest) == ("PC 12", digest(publish))
        assert accounts.revoke_token(second.id) == "Hall"
        await asyncio.wait_for(access.until_lost(signed_in, "view"), 10)
        assert access.by_token(screen) is None
        assert access.by_cookie({COOKIE: cookie}) is None
        assert access.still_may(caller, "publish", "12")
        assert not access.still_may(caller, "publish", "13")


async def test_whoever_is_removed_is_out_within_seconds(accounts: Accounts, password_hash: str) -> None:
    accounts.add("Bob", password_hash, "staff", [])
    accounts.add("Eve", password_hash, "staff", [])
    async with in_force(accounts) as access:
        bob = access.by_cookie({COOKIE: await access.sign_in_by_name("bob", PASSWORD)})
        eve = access.by_cookie({COOKIE: await access.sign_in_by_name("eve", PASSWORD)})
        accounts.remove("BOB")
        await asyncio.wait_for(access.until_lost(bob, "view", "1"), 10)
        accounts.change_password("Eve", hash_password("another one entirely"))
        await asyncio.wait_for(access.until_lost(eve, "view", "1"), 10)
        assert await access.sign_in_by_name("bob", PASSWORD) is None
        assert await access.sign_in_by_name("eve", PASSWORD) is None
        assert await access.sign_in_by_name("eve", "another one entirely")
        accounts.add("Bob", password_hash, "viewer", [])
        assert accounts.sign_out_everywhere("eve") == 1
    lines = await AuditStore(accounts._database).recent(50)
    assert [line.action for line in reversed(lines)] == [
        "account_added", "account_added", "account_removed", "password_changed", "account_added",
    ]  # fmt: skip


async def test_what_expires_ends_although_the_database_is_away(
    accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=3)
    token = accounts.add_token(NewToken("short", "view", expires_at=soon))
    async with in_force(accounts) as access:

        async def away() -> None:
            raise Unavailable("locked")

        monkeypatch.setattr(access, "refresh", away)
        caller = access.by_token(token)
        await asyncio.wait_for(access.until_lost(caller, "view"), 10)
        assert time.time() >= soon.timestamp()


def test_accounts_and_tokens_want_proper_names(accounts: Accounts, password_hash: str) -> None:
    accounts.add("Ada", password_hash, "admin", [])
    with pytest.raises(Conflict, match="already"):
        accounts.add("ADA", password_hash, "viewer", [])
    for name in ("", " ", "x" * 101, "a\nb\x00"):
        with pytest.raises(BadRequest, match="printable"):
            accounts.add(name, password_hash, "viewer", [])
    with pytest.raises(BadRequest, match="camera id"):
        accounts.add("Bob", password_hash, "viewer", ["a,b"])
    with pytest.raises(BadRequest, match="printable"):
        accounts.add_token(NewToken("", "view"))
    for missing in (lambda: accounts.remove("nobody"), lambda: accounts.revoke_token(7)):
        with pytest.raises(NotFound, match="list"):
            missing()
    assert [account.name for account in accounts.accounts()] == ["Ada"]


def test_a_password_has_a_length() -> None:
    for password in ("short", "x" * 1001):
        with pytest.raises(BadRequest, match="10 characters"):
            hash_password(password)
    assert hash_password(PASSWORD).startswith("$argon2id$")


async def test_only_so_many_passwords_wait(password_hash: str) -> None:
    check = PasswordCheck()
    checks = [asyncio.create_task(check.is_right("x", password_hash)) for _ in range(WAITING_MOST)]
    await asyncio.sleep(0)
    with pytest.raises(Unavailable):
        await check.is_right(PASSWORD, password_hash)
    for each in checks[1:]:
        each.cancel()
    await asyncio.gather(*checks, return_exceptions=True)
    check.close()


def test_one_helper_says_no() -> None:
    viewer = Caller("v", frozenset({"view"}), frozenset({"1"}), "token:1")
    allow(viewer, "view")
    allow(viewer, "view", "1")
    with pytest.raises(Forbidden, match="watch"):
        allow(viewer, "view", "2")
    with pytest.raises(Forbidden, match="staff"):
        allow(viewer, "staff")
    with pytest.raises(Unauthorized, match="Sign in"):
        allow(Caller("anyone", frozenset()), "view", "1")
    with pytest.raises(Unauthorized, match="surveillx token add"):
        allow(Caller("anyone", frozenset({"view"})), "publish")


def test_a_session_is_its_owners() -> None:
    mine, another = Caller("a", frozenset({"view"}), None, "token:1"), Caller("b", frozenset({"view"}), None, "token:2")
    allow_owner(mine, mine)
    allow_owner(Caller("c", ANYONE.rights, None, "token:3"), mine)
    with pytest.raises(Forbidden, match="another's"):
        allow_owner(another, mine)
    with pytest.raises(Unauthorized):
        allow_owner(Caller("anyone", frozenset()), mine)


def test_guessing_too_often_means_waiting() -> None:
    now = 100.0
    guesses = Guesses(lambda: now)
    for _ in range(GUESSES):
        assert guesses.wait_s("10.0.0.1") == 0
        guesses.add("10.0.0.1")
    assert guesses.wait_s("10.0.0.1") == GUESS_WINDOW_S
    assert guesses.wait_s("10.0.0.2") == 0, "others do not wait"
    now += GUESS_WINDOW_S
    assert guesses.wait_s("10.0.0.1") == 0
    guesses.add("10.0.0.1")
    assert guesses.wait_s("10.0.0.1") == 0


def test_what_was_right_is_no_guess_and_a_network_guesses_as_one() -> None:
    guesses = Guesses()
    for each in range(GUESSES):
        guesses.add(f"2001:db8::{each:x}")
    assert guesses.wait_s("2001:db8::ffff:ffff:1") > 0
    assert guesses.wait_s("2001:db8:0:1::1") == 0
    guesses.forgive("2001:db8::1")
    assert guesses.wait_s("2001:db8::7") == 0


def test_guesses_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server.access, "MAX_ADDRESSES", 3)
    guesses = Guesses()
    for each in range(10):
        guesses.add(str(each))
    assert len(guesses._wrong) == 3


def test_an_address_that_is_none_is_not_here() -> None:
    assert client_address({"client": None}) == ""
    assert not is_local({"type": "http", "client": None, "headers": []})
