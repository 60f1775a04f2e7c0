"""Embeddings as bytes: 128 little-endian float64 whatever the machine, so that a data folder can move."""

from __future__ import annotations

import numpy as np

from ..vault import Vault
from .gallery import Embedding, as_embedding

_STORED = np.dtype("<f8")


def to_bytes(embedding: Embedding) -> bytes:
    """What to seal and store."""
    return as_embedding(embedding).astype(_STORED).tobytes()


def to_embedding(stored: bytes, vault: Vault) -> Embedding | None:
    """What was stored, or None where it is damaged.

    Raises:
        Sealed: it is encrypted with another key.
    """
    try:
        return as_embedding(np.frombuffer(vault.open(stored), _STORED))
    except ValueError:
        return None
