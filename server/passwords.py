"""Passwords: argon2id, one at a time, so that guessing can take neither the processors nor the memory."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from .errors import BadRequest, Unavailable

LEAST_CHARACTERS = 10
# Hashing takes 0.1 s of a processor and no longer with more text, but the text has to be read.
MOST_CHARACTERS = 1000
WAITING_MOST = 20

_hasher = PasswordHasher()  # RFC 9106 section 4, the second recommended set: 64 MiB, three passes
# What is verified for a name that does not exist, so that such a name takes as long as one that does.
_NOBODYS = _hasher.hash("nobody has this password")


def hash_password(password: str) -> str:
    """The hash to keep.

    Raises:
        BadRequest: the password is too short or too long.
    """
    if not LEAST_CHARACTERS <= len(password) <= MOST_CHARACTERS:
        raise BadRequest(f"A password has {LEAST_CHARACTERS} characters or more (at most {MOST_CHARACTERS}).")
    return _hasher.hash(password)


class PasswordCheck:
    """Verifies in a thread of its own."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="surveillx-passwords")
        self._waiting = 0

    async def is_right(self, password: str, kept: str | None) -> bool:
        """Whether it is the password of which `kept` is the hash; None takes as long, and is never right.

        Raises:
            Unavailable: too many wait already.
        """
        if self._waiting >= WAITING_MOST:
            raise Unavailable("Too many sign in just now. Try again in a moment.", headers={"Retry-After": "2"})
        self._waiting += 1
        try:
            verified = asyncio.get_running_loop().run_in_executor(self._thread, _verify, password, kept or _NOBODYS)
            return await verified and kept is not None
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """End the thread; what is being verified finishes."""
        self._thread.shutdown(wait=False, cancel_futures=True)


def _verify(password: str, kept: str) -> bool:
    try:
        return _hasher.verify(kept, password[:MOST_CHARACTERS])
    except (VerificationError, InvalidHashError, UnicodeEncodeError):
        return False
