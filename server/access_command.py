"""`surveillx user` and `surveillx token`: who may come in."""

from __future__ import annotations

import argparse
import getpass
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

from .accounts import Accounts, NewToken
from .callers import acting
from .config import Settings
from .database import open_database
from .errors import BadRequest
from .passwords import hash_password

Command = Callable[[Accounts, argparse.Namespace], None]


def run_user(options: argparse.Namespace, settings: Settings) -> int:
    """Run the chosen action on accounts; returns the exit status.

    Raises:
        SurveillxError: it cannot be done; says why.
    """
    return _run(_USER_ACTIONS[options.action], options, settings)


def run_token(options: argparse.Namespace, settings: Settings) -> int:
    """Run the chosen action on tokens; returns the exit status.

    Raises:
        SurveillxError: it cannot be done; says why.
    """
    return _run(_TOKEN_ACTIONS[options.action], options, settings)


def _run(command: Command, options: argparse.Namespace, settings: Settings) -> int:
    acting.set("command line")
    database = open_database(settings)
    try:
        command(Accounts(database), options)
    finally:
        database.close()
    return 0


def _add(accounts: Accounts, options: argparse.Namespace) -> None:
    if options.cameras and options.role != "viewer":
        raise BadRequest("--camera limits viewers only: staff and administrators see every camera.")
    accounts.add(options.name, hash_password(_new_password()), options.role, options.cameras)
    print(f"{options.name} may sign in now ({options.role}).")


def _list(accounts: Accounts, _options: argparse.Namespace) -> None:
    for account in accounts.accounts():
        print("\t".join((account.name, account.role, _which(account.cameras))))


def _remove(accounts: Accounts, options: argparse.Namespace) -> None:
    accounts.remove(options.name)
    print(f"{options.name} is removed.")


def _password(accounts: Accounts, options: argparse.Namespace) -> None:
    accounts.change_password(options.name, hash_password(_new_password()))
    print(f"{options.name} has another password and is signed out everywhere.")


def _sign_out(accounts: Accounts, options: argparse.Namespace) -> None:
    print(f"{options.name} is signed out of {accounts.sign_out_everywhere(options.name)} browser(s).")


def _add_token(accounts: Accounts, options: argparse.Namespace) -> None:
    if options.days is not None and options.days < 1:
        raise BadRequest("--days must be 1 or more.")
    until = None if options.days is None else datetime.now(UTC) + timedelta(days=options.days)
    secret = accounts.add_token(NewToken(options.name, options.scope, tuple(options.cameras), until))
    print(secret)
    # Beside the token, so that `surveillx token add ... > file` holds nothing else.
    print("Keep it now: it is not shown again.", file=sys.stderr)


def _list_tokens(accounts: Accounts, _options: argparse.Namespace) -> None:
    for token in accounts.tokens():
        expiry = "never expires" if token.expires_at is None else f"until {token.expires_at:%Y-%m-%d}"
        print("\t".join((str(token.id), token.label, token.scope, _which(token.cameras), expiry)))


def _revoke(accounts: Accounts, options: argparse.Namespace) -> None:
    print(f"Token {accounts.revoke_token(options.id)} is revoked.")


_USER_ACTIONS: Mapping[str, Command] = {
    "add": _add,
    "list": _list,
    "remove": _remove,
    "password": _password,
    "sign-out": _sign_out,
}
_TOKEN_ACTIONS: Mapping[str, Command] = {"add": _add_token, "list": _list_tokens, "revoke": _revoke}


def _which(cameras: str | None) -> str:
    return "all cameras" if cameras is None else f"cameras {cameras}"


def _new_password() -> str:
    """Typed twice; or the first line of what is piped in."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    password = getpass.getpass("Password: ")
    if getpass.getpass("Once more: ") != password:
        raise BadRequest("The two are not the same. Nothing was changed.")
    return password
