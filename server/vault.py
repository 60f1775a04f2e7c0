"""Encryption at rest for faces: embeddings and pictures of faces pass through here on their way to the database's disk.

AES-256-GCM (NIST SP 800-38D) of the `cryptography` package, a fresh 96-bit nonce each time. Without a key everything
passes through unchanged. What was stored before there was a key stays readable.
"""

from __future__ import annotations

import base64
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from .errors import ConfigError, SurveillxError

KEY_BYTES = 32
NONCE_BYTES = 12
# No embedding and no JPEG begins like this: the former are finite float64 of moderate size, the latter begin with FFD8.
SEALED = b"\xffsealed1"


class Sealed(SurveillxError, ValueError):
    """Something stored is encrypted, and there is no key or another one, or it was damaged: GCM cannot tell.

    A ValueError too, so that one damaged row costs one photo wherever rows are read one by one.
    """

    title = "Encrypted"

    def __init__(self) -> None:
        super().__init__("Faces in the database are encrypted with a key that this server does not have.")


class Vault:
    """Seals and opens with one key, or with none."""

    def __init__(self, key: str = "") -> None:
        """`key` is 32 bytes in URL-safe base64, or empty.

        Raises:
            ConfigError: it is something else.
        """
        self._cipher = AESGCM(_key_bytes(key)) if key else None

    @property
    def has_key(self) -> bool:
        """Whether anything is encrypted."""
        return self._cipher is not None

    def seal(self, plain: bytes) -> bytes:
        """What to store."""
        if self._cipher is None:
            return plain
        nonce = os.urandom(NONCE_BYTES)
        return SEALED + nonce + self._cipher.encrypt(nonce, plain, SEALED)

    def open(self, stored: bytes) -> bytes:
        """What was sealed.

        Raises:
            Sealed: it is encrypted, and not with this key.
        """
        if not self.is_sealed(stored):
            return stored
        if self._cipher is None:
            raise Sealed
        nonce, rest = stored[len(SEALED) :][:NONCE_BYTES], stored[len(SEALED) + NONCE_BYTES :]
        try:
            return self._cipher.decrypt(nonce, rest, SEALED)
        except (InvalidTag, ValueError):  # ValueError: cut off within the nonce
            raise Sealed from None

    @staticmethod
    def is_sealed(stored: bytes) -> bool:
        """Whether a stored value is encrypted."""
        return stored.startswith(SEALED)


def _key_bytes(key: str) -> bytes:
    try:
        decoded = base64.b64decode(key + "=" * (-len(key) % 4), altchars=b"-_", validate=True)
    except ValueError:
        decoded = b""
    if len(decoded) != KEY_BYTES:
        raise ConfigError(
            "Setting encryption_key: it must be 32 bytes in URL-safe base64. Make one with "
            "`python -c 'import secrets; print(secrets.token_urlsafe(32))'` and keep a copy: "
            "without it the faces are lost."
        )
    return decoded
