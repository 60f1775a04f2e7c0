"""Process-wide hooks: which addresses are offered, whose datagrams are listened to, what a receiver is made of."""

from __future__ import annotations

import ipaddress
import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

import aioice.ice
import ifaddr
from aioice import stun
from aiortc import codecs, rtcdtlstransport, rtcpeerconnection, rtcrtpreceiver

from .ciphers import with_rsa
from .estimate import LateEstimator
from .playout import PLAYOUT_DELAY

logger = logging.getLogger("surveillx.rtc")

# Container bridges lead nowhere a peer could be (aioice/ice.py get_host_addresses lets them in).
_BRIDGES = ("docker", "br-", "veth", "virbr", "cni", "podman")


# RFC 7983 section 7, and RFC 5246 section 6.2.1.
_LAST_STUN_BYTE = 3
_DTLS_ALERT = 21

# Of checks in a row that a peer may leave unanswered, one in 4 to 6 s (aioice/ice.py query_consent), each waited for
# 0.5 s (stun.py RETRY_RTO): who vanished is known after 18 to 26 s. RFC 7675 section 5.1 allows 30, upstream takes 39.
CONSENT_FAILURES = 4


@contextmanager
def installed(interfaces: Sequence[str] = (), on_strange_datagram: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Put the process-wide hooks in place for the duration of the `with` block.

    `interfaces` are the IP addresses offered as host candidates; empty means all but loopback and container bridges.
    `on_strange_datagram` is called for every datagram that is ignored.
    """
    protocol, extensions = aioice.ice.StunProtocol, codecs.HEADER_EXTENSIONS
    certificate = rtcdtlstransport.RTCCertificate

    def host_addresses(use_ipv4: bool, use_ipv6: bool) -> list[str]:
        return choose_addresses(interfaces, use_ipv4, use_ipv6)

    hooks: list[tuple[Any, str, Any]] = [
        # aioice/ice.py Connection.gather_candidates looks the function up in its module each time.
        (aioice.ice, "get_host_addresses", host_addresses),
        (protocol, "datagram_received", _guarded(protocol.datagram_received, on_strange_datagram)),
        (protocol, "request", _timed(protocol.request)),
        (aioice.ice, "CONSENT_FAILURES", CONSENT_FAILURES),
        (certificate, "_create_ssl_context", with_rsa(certificate._create_ssl_context)),
        # aiortc/rtcrtpreceiver.py RTCRtpReceiver.__init__ too.
        (rtcrtpreceiver, "RemoteBitrateEstimator", LateEstimator),
        # aiortc/rtcpeerconnection.py createAnswer takes from the viewer's offer what stands there.
        (rtcpeerconnection, "HEADER_EXTENSIONS", {**extensions, "video": [*extensions["video"], PLAYOUT_DELAY]}),
    ]
    stock = [getattr(owner, name) for owner, name, _ in hooks]
    for owner, name, hook in hooks:
        setattr(owner, name, hook)
    try:
        yield
    finally:
        for (owner, name, _), original in zip(hooks, stock, strict=True):
            setattr(owner, name, original)


def choose_addresses(interfaces: Sequence[str], use_ipv4: bool = True, use_ipv6: bool = True) -> list[str]:
    """The addresses to offer for media: those named, or every address but loopback and bridges, or else loopback."""
    versions = {4: use_ipv4, 6: use_ipv6}
    if interfaces:
        return [each for each in interfaces if versions[ipaddress.ip_address(each).version]]
    found = []
    for adapter in ifaddr.get_adapters():
        if adapter.name.startswith(_BRIDGES):
            continue
        for ip in adapter.ips:
            # ifaddr gives IPv6 as (address, flow, scope); a scope is only there for link-local ones.
            text, scope = (ip.ip, 0) if isinstance(ip.ip, str) else (ip.ip[0], ip.ip[2])
            address = ipaddress.ip_address(text)
            if versions[address.version] and not address.is_loopback and not scope:
                found.append(text)
    return found or ["127.0.0.1"]


ROUND_TRIPS_KEPT = 8  # one check in five seconds (RFC 7675)
_round_trips: WeakKeyDictionary[aioice.ice.StunProtocol, deque[float]] = WeakKeyDictionary()


def _timed(stock: Callable[..., Any]) -> Callable[..., Any]:
    """Notes how long each check was on its way (aioice/ice.py StunProtocol.request), consent checks among them."""

    async def request(self: aioice.ice.StunProtocol, *arguments: Any, **options: Any) -> Any:
        begun_at = time.monotonic()
        answer = await stock(self, *arguments, **options)
        _round_trips.setdefault(self, deque(maxlen=ROUND_TRIPS_KEPT)).append(time.monotonic() - begun_at)
        return answer

    return request


def shortest_round_trip(protocol: aioice.ice.StunProtocol) -> float:
    """Seconds, of this socket's last checks; 0 when none has been answered."""
    return min(_round_trips.get(protocol, ()), default=0.0)


DatagramReceived = Callable[[aioice.ice.StunProtocol, Any, tuple[Any, ...]], None]


def _guarded(stock: DatagramReceived, on_strange: Callable[[], None]) -> DatagramReceived:
    """Trap 21: an empty datagram ends the data pump (aiortc/rtcdtlstransport.py _recv_next reads data[0]), and
    anything that is not STUN reaches DTLS whoever sent it (aioice/ice.py StunProtocol.datagram_received).

    RFC 7983 section 7: a first byte of 0 to 3 is STUN, which must show the session's credentials; all else must come
    from an address that a check has confirmed or the peer has named.
    """

    def datagram_received(self: aioice.ice.StunProtocol, data: bytes, addr: tuple[Any, ...]) -> None:
        try:
            if _is_welcome(self, data, addr):
                stock(self, data, addr)
                return
        except Exception:  # a stranger chose these bytes: whatever the parser makes of them must not reach the loop
            logger.debug("ignored a datagram that could not be parsed", exc_info=True)
        on_strange()

    return datagram_received


def _is_welcome(protocol: aioice.ice.StunProtocol, data: bytes, addr: tuple[Any, ...]) -> bool:
    if data and data[0] <= _LAST_STUN_BYTE:
        return _is_expected(protocol, stun.parse_message(data), addr)
    return bool(data) and _is_known(protocol.receiver, addr) and not _is_plain_alert(data)


def _is_expected(protocol: aioice.ice.StunProtocol, message: stun.Message, addr: tuple[Any, ...]) -> bool:
    """Whether a request shows this session's credentials, as aioice/ice.py Connection.request_received asks too.

    That would answer a stranger's with an error, which makes the port a mirror; nothing comes back from here. Answers
    are upstream's to judge: it knows with which key it asked.
    """
    connection = protocol.receiver
    if message.message_class != stun.Class.REQUEST:
        return message.transaction_id in protocol.transactions or _is_known(connection, addr)
    is_meant = connection._valid_username(message.attributes.get("USERNAME", ""))
    return is_meant and message.check_message_integrity(connection.local_password.encode())


def _is_plain_alert(data: bytes) -> bool:
    """A DTLS alert of epoch 0, which nothing protects: anybody can write a peer's address on one and end a handshake
    with it. RFC 6347 section 4.1.2.7 lets it be ignored; a peer that really gave up is known by its silence.
    """
    return data[0] == _DTLS_ALERT and data[3:5] == bytes(2)


def _is_known(connection: aioice.ice.Connection, addr: tuple[Any, ...]) -> bool:
    return any(
        candidate.port == addr[1] and candidate._network_host == addr[0] for candidate in connection._remote_candidates
    )


def clean_offer(sdp: str) -> str:
    """Trap 4: drop mDNS candidates, which aioice takes a second to resolve, and end-of-candidates, after which it
    would give up on a peer that named only those (aioice/ice.py Connection._prune_components).

    The peer's own checks arrive all the same and teach its address (RFC 8445 section 7.3.1.3).
    """
    return "".join(line for line in sdp.splitlines(keepends=True) if not _is_unwanted(line))


def _is_unwanted(line: str) -> bool:
    if line.startswith("a=end-of-candidates"):
        return True
    parts = line.split()
    return line.startswith("a=candidate:") and len(parts) > 4 and parts[4].lower().endswith(".local")


def add_public_address(sdp: str, public_address: str) -> str:
    """Trap 25: behind a 1:1 NAT (AWS), name the public address beside each private one of its family.

    aioice has no such setting; ports are the same on both sides of a 1:1 NAT, so a second candidate line suffices.
    """
    version = ipaddress.ip_address(public_address).version
    lines = []
    for line in sdp.splitlines(keepends=True):
        lines.append(line)
        parts = line.split()
        if line.startswith("a=candidate:") and "host" in parts and ipaddress.ip_address(parts[4]).version == version:
            ending = line[len(line.rstrip("\r\n")) :]
            parts[0] += "nat"  # another base address, hence another foundation (RFC 8445 section 5.1.1.3)
            parts[4] = public_address
            lines.append(" ".join(parts) + ending)
    return "".join(lines)
