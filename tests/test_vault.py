"""Sealing: what goes in comes out, with the right key only; what no key ever sealed stays readable."""

from __future__ import annotations

import base64
import os
import secrets

import numpy as np
import pytest

from server.errors import ConfigError
from server.vault import SEALED, Sealed, Vault
from tests.faces import astronaut, jpeg

KEY = secrets.token_urlsafe(32)
EMBEDDING = np.random.default_rng(1).normal(size=128).astype("<f8").tobytes()


@pytest.mark.parametrize("plain", [b"", EMBEDDING, jpeg(astronaut())], ids=["nothing", "embedding", "picture"])
def test_round_trip(plain: bytes) -> None:
    vault = Vault(KEY)
    stored = vault.seal(plain)
    assert vault.is_sealed(stored)
    assert plain == b"" or plain[:16] not in stored
    assert Vault(KEY).open(stored) == plain
    assert vault.seal(plain) != stored, "a nonce is never used twice"


def test_without_a_key_everything_passes() -> None:
    vault = Vault()
    assert not vault.has_key
    assert vault.open(vault.seal(EMBEDDING)) == EMBEDDING == vault.seal(EMBEDDING)


def test_what_was_stored_before_there_was_a_key_stays_readable() -> None:
    picture = jpeg(astronaut())
    assert Vault(KEY).open(EMBEDDING) == EMBEDDING
    assert Vault(KEY).open(picture) == picture


@pytest.mark.parametrize("vault", [Vault(), Vault(secrets.token_urlsafe(32))], ids=["no key", "another key"])
def test_without_the_key_nothing_opens(vault: Vault) -> None:
    with pytest.raises(Sealed, match="a key that this server does not have") as caught:
        vault.open(Vault(KEY).seal(EMBEDDING))
    assert isinstance(caught.value, ValueError), "costs whoever reads row by row only this row"


def test_tampering_shows() -> None:
    vault = Vault(KEY)
    stored = vault.seal(EMBEDDING)
    for position in (len(SEALED), len(SEALED) + 12, len(stored) - 1):
        changed = bytearray(stored)
        changed[position] ^= 1
        with pytest.raises(Sealed):
            vault.open(bytes(changed))
    for length in range(len(SEALED), len(SEALED) + 30):
        with pytest.raises(Sealed):
            vault.open(stored[:length])


@pytest.mark.parametrize(
    "key",
    [
        "password1",
        secrets.token_urlsafe(31),
        secrets.token_urlsafe(33),
        KEY[:-4] + "ä!%&",
        KEY + " " * 4,
        base64.b64encode(os.urandom(16)).decode(),
    ],
    ids=["word", "short", "long", "signs", "spaces", "half"],
)
def test_a_key_that_is_none(key: str) -> None:
    with pytest.raises(ConfigError, match="Setting encryption_key: it must be 32 bytes in URL-safe base64") as caught:
        Vault(key)
    assert key not in caught.value.detail


def test_a_key_with_its_padding() -> None:
    padded = base64.urlsafe_b64encode(base64.urlsafe_b64decode(KEY + "=")).decode()
    assert padded.endswith("=")
    assert Vault(padded).open(Vault(KEY).seal(EMBEDDING)) == EMBEDDING
