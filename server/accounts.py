"""Accounts, sign-ins and tokens, in the database; and the picture of them that requests are checked against.

Passwords are kept as argon2id hashes. Tokens and the cookies' secrets are random (256 bits): of those a SHA-256 is
enough, and is what is kept (RFC 6749 section 10.10; OWASP, Session Management).
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from .audit import note
from .callers import ROLES, SCOPES, Caller, Role
from .camera_id import require_camera_id
from .database import Database
from .errors import BadRequest, Conflict, NotFound
from .tables import AccessToken, Account, SignIn

TOKEN_PREFIX = "svx_"  # noqa: S105 - so that scanners for leaked secrets can know one
NAME_CHARACTERS = 100


@dataclass(frozen=True)
class Credentials:
    """All that opens something now. Keys are digests, or an account's name in lower case."""

    sign_ins: Mapping[bytes, Caller] = field(default_factory=dict)
    tokens: Mapping[bytes, Caller] = field(default_factory=dict)
    passwords: Mapping[str, tuple[int, str]] = field(default_factory=dict)  #: the account's id, and the hash

    @cached_property
    def callers(self) -> Mapping[str, Caller]:
        """Who each credential stands for now; what is gone is not there."""
        return {caller.credential: caller for caller in (*self.sign_ins.values(), *self.tokens.values())}

    def has(self, right: str) -> bool:
        """Whether any token is good for it."""
        return any(right in caller.rights for caller in self.tokens.values())


@dataclass(frozen=True)
class NewToken:
    """A token to be made. No cameras means all; `expires_at` is UTC."""

    label: str
    scope: str
    cameras: tuple[str, ...] = ()
    expires_at: datetime | None = None


def digest(secret: str) -> bytes:
    """What is kept of a secret."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


class Accounts:
    """The tables of who may come in."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self) -> Credentials:
        """Everything as it is now.

        Raises:
            Unavailable: the database is away.
        """
        return await self._database.read(_load)

    def load_sync(self) -> Credentials:
        """`load` for the command line."""
        return self._database.run_sync(_load)

    def add(self, name: str, password_hash: str, role: Role, cameras: Iterable[str]) -> None:
        """Make an account.

        Raises:
            BadRequest: the name or a camera's cannot be one. Conflict: there is such an account.
        """
        self._database.run_sync(lambda session: _add(session, name, password_hash, role, cameras))

    def accounts(self) -> list[Account]:
        """Every account, by name."""
        return self._database.run_sync(lambda session: list(session.scalars(select(Account).order_by(Account.name))))

    def remove(self, name: str) -> None:
        """Remove an account; whoever is signed in with it is out within seconds.

        Raises:
            NotFound: no such account.
        """
        self._database.run_sync(lambda session: _remove(session, name))

    def change_password(self, name: str, password_hash: str) -> None:
        """Set another password, and sign the account out everywhere.

        Raises:
            NotFound: no such account.
        """
        self._database.run_sync(lambda session: _change_password(session, name, password_hash))

    def sign_out_everywhere(self, name: str) -> int:
        """End every sign-in of the account; returns how many.

        Raises:
            NotFound: no such account.
        """
        return self._database.run_sync(lambda session: _sign_out_everywhere(session, _account(session, name).id))

    def add_token(self, new: NewToken) -> str:
        """Make a token; returns its secret, which is shown once and cannot be found again.

        Raises:
            BadRequest: the label, the scope or a camera cannot be one.
        """
        return self._database.run_sync(lambda session: _add_token(session, new))

    def tokens(self) -> list[AccessToken]:
        """Every token, the oldest first, those over among them."""
        return self._database.run_sync(lambda session: list(session.scalars(select(AccessToken))))

    def revoke_token(self, token_id: int) -> str:
        """Remove a token; returns its label. What it opened ends within seconds.

        Raises:
            NotFound: no such token.
        """
        return self._database.run_sync(lambda session: _revoke_token(session, token_id))

    async def sign_in(self, caller: Caller, lasts_s: float, account_id: int | None) -> str:
        """Remember a browser; returns the secret for its cookie. `caller` is whom it stands for: an account or a token.

        Raises:
            Unavailable: the database is away.
        """
        secret = secrets.token_urlsafe(32)
        token_id = None if account_id is not None else int(caller.credential.partition(":")[2])
        expires_at = min(time.time() + lasts_s, caller.expires_at or float("inf"))
        await self._database.run(lambda session: _sign_in(session, digest(secret), expires_at, account_id, token_id))
        return secret

    async def sign_out(self, secret: str, *, everywhere: bool) -> None:
        """Forget a browser; with `everywhere`, all browsers of its account or token."""
        await self._database.run(lambda session: _sign_out(session, digest(secret), everywhere=everywhere))


def _load(session: Session) -> Credentials:
    accounts = {row.id: row for row in session.scalars(select(Account))}
    tokens = {row.id: row for row in session.scalars(select(AccessToken))}
    sign_ins = {}
    for row in session.scalars(select(SignIn)):
        if row.account_id in accounts:
            caller = _account_caller(accounts[row.account_id], row)
        elif row.token_id in tokens:
            caller = _token_caller(tokens[row.token_id], f"sign-in:{row.id}", row.expires_at)
        else:
            continue
        sign_ins[row.digest] = caller
    return Credentials(
        sign_ins,
        {row.digest: _token_caller(row, f"token:{row.id}", row.expires_at) for row in tokens.values()},
        {row.name.casefold(): (row.id, row.password_hash) for row in accounts.values()},
    )


def _account_caller(account: Account, sign_in: SignIn) -> Caller:
    rights = ROLES[account.role]
    return Caller(
        account.name, rights, _cameras(account.cameras), f"sign-in:{sign_in.id}", sign_in.expires_at.timestamp()
    )


def _token_caller(token: AccessToken, credential: str, expires_at: datetime | None) -> Caller:
    until = None if expires_at is None else expires_at.timestamp()
    return Caller(f"token {token.label}", SCOPES[token.scope], _cameras(token.cameras), credential, until)


def _cameras(stored: str | None) -> frozenset[str] | None:
    return None if stored is None else frozenset(stored.split(","))


def _stored(cameras: Iterable[str]) -> str | None:
    return ",".join(require_camera_id(camera) for camera in cameras) or None


def _named(name: str, what: str) -> str:
    shown = " ".join(name.split())
    if not shown or len(shown) > NAME_CHARACTERS or not shown.isprintable():
        raise BadRequest(f"{what} needs a name of 1 to {NAME_CHARACTERS} printable characters.")
    return shown


def _account(session: Session, name: str) -> Account:
    key = " ".join(name.split()).casefold()
    found = next((each for each in session.scalars(select(Account)) if each.name.casefold() == key), None)
    if found is None:
        raise NotFound(f"There is no account {name}. `surveillx user list` shows all.")
    return found


def _add(session: Session, name: str, password_hash: str, role: Role, cameras: Iterable[str]) -> None:
    shown = _named(name, "An account")
    if any(each.casefold() == shown.casefold() for each in session.scalars(select(Account.name))):
        raise Conflict(f"There is an account {shown} already. `surveillx user password` changes its password.")
    session.add(
        Account(
            name=shown, password_hash=password_hash, role=role, cameras=_stored(cameras), created_at=datetime.now(UTC)
        )
    )
    note(session, "account_added", f"Account {shown} added as {role}.")


def _remove(session: Session, name: str) -> None:
    account = _account(session, name)
    _sign_out_everywhere(session, account.id)
    session.delete(account)
    note(session, "account_removed", f"Account {account.name} removed.")


def _change_password(session: Session, name: str, password_hash: str) -> None:
    account = _account(session, name)
    account.password_hash = password_hash
    _sign_out_everywhere(session, account.id)
    note(session, "password_changed", f"Account {account.name} has another password, and is signed out everywhere.")


def _sign_out_everywhere(session: Session, account_id: int) -> int:
    return len(session.scalars(delete(SignIn).where(SignIn.account_id == account_id).returning(SignIn.id)).all())


def _add_token(session: Session, new: NewToken) -> str:
    label = _named(new.label, "A token")
    secret = TOKEN_PREFIX + secrets.token_urlsafe(32)
    session.add(
        AccessToken(
            label=label,
            digest=digest(secret),
            scope=new.scope,
            cameras=_stored(new.cameras),
            created_at=datetime.now(UTC),
            expires_at=new.expires_at,
        )
    )
    note(session, "token_added", f"Token {label} made, good for: {new.scope}.")
    return secret


def _revoke_token(session: Session, token_id: int) -> str:
    token = session.get(AccessToken, token_id)
    if token is None:
        raise NotFound(f"There is no token {token_id}. `surveillx token list` shows all.")
    session.execute(delete(SignIn).where(SignIn.token_id == token_id))
    session.delete(token)
    note(session, "token_revoked", f"Token {token.label} revoked.")
    return token.label


def _sign_in(session: Session, kept: bytes, expires_at: float, account_id: int | None, token_id: int | None) -> None:
    now = datetime.now(UTC)
    session.execute(delete(SignIn).where(SignIn.expires_at < now))
    until = datetime.fromtimestamp(expires_at, UTC)
    session.add(SignIn(digest=kept, account_id=account_id, token_id=token_id, created_at=now, expires_at=until))


def _sign_out(session: Session, kept: bytes, *, everywhere: bool) -> None:
    found = session.scalar(select(SignIn).where(SignIn.digest == kept))
    if found is None:
        return
    if everywhere and found.account_id is not None:
        _sign_out_everywhere(session, found.account_id)
    elif everywhere:
        session.execute(delete(SignIn).where(SignIn.token_id == found.token_id))
    else:
        session.delete(found)
