"""What other programs need of our side of DTLS: ciphers for RSA keys (GStreamer 1.22), one fingerprint.

aiortc answers with `a=setup:active`, so the peer is the DTLS server and its certificate decides which cipher suites can
be used; aiortc offers those for ECDSA only (aiortc/rtcdtlstransport.py RTCCertificate._create_ssl_context), and such a
peer finds none that it shares. RFC 8827 section 6.5 demands one of the ECDSA suites and leaves room for others.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from OpenSSL import SSL

_OTHER_HASH = re.compile(r"a=fingerprint:(?!sha-256 )", re.IGNORECASE)

# Upstream's own, in its order, then the same with RSA: forward secrecy in all.
_SUITES = (
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-ECDSA-AES128-SHA",
    "ECDHE-ECDSA-AES256-SHA",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-RSA-CHACHA20-POLY1305",
)


def name_one_fingerprint(sdp: str) -> str:
    """The answer with the SHA-256 fingerprint alone, which every WebRTC program knows (RFC 8122 section 5).

    aiortc names three (aiortc/rtcdtlstransport.py getFingerprints). libdatachannel 0.24, the library of OBS, refused
    about every third of those answers on this machine ("certificate verify failed"), and none with one.
    """
    return "".join(line for line in sdp.splitlines(keepends=True) if not _OTHER_HASH.match(line))


def with_rsa(stock: Callable[..., SSL.Context]) -> Callable[..., SSL.Context]:
    """`RTCCertificate._create_ssl_context` that speaks with RSA certificates too."""

    def create_ssl_context(*arguments: Any, **options: Any) -> SSL.Context:
        context = stock(*arguments, **options)
        context.set_cipher_list(":".join(_SUITES).encode())
        return context

    return create_ssl_context
