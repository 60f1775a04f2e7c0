"""A receiver's datagrams before aiortc has them, for viewers that measure; the server itself does not use it."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from aiortc import RTCRtpReceiver
from aiortc.rtp import AnyRtcpPacket, RtpPacket

_RECEIVE_BUFFER_BYTES = 1 << 20  # a process that plays many viewers cannot empty all sockets in time


def tap_packets(receiver: RTCRtpReceiver, take: Callable[[RtpPacket], None]) -> None:
    """Hand decrypted RTP to `take`, not to jitter buffer and decoder (rtcdtlstransport.py _handle_rtp_data)."""

    async def handle(packet: RtpPacket, **_arrival_time_ms: int) -> None:
        take(packet)

    vars(receiver).update(_handle_rtp_packet=handle)


def tap_datagrams(receiver: RTCRtpReceiver, is_taken: Callable[[bytes], bool]) -> None:
    """Show each datagram to `is_taken` first; what it takes goes no further (aioice/ice.py StunProtocol)."""
    for protocol in receiver.transport.transport._connection._protocols:
        vars(protocol).update(datagram_received=_passing(protocol.datagram_received, is_taken))


def widen(receiver: RTCRtpReceiver) -> None:
    """Let the system keep more of what has arrived than it usually does."""
    for protocol in receiver.transport.transport._connection._protocols:
        sock: Any = protocol.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)


async def send_rtcp(receiver: RTCRtpReceiver, packet: AnyRtcpPacket) -> None:
    """Send a packet of one's own; raises ConnectionError (rtcdtlstransport.py _send_rtp)."""
    await receiver.transport._send_rtp(bytes(packet))


def _passing(
    stock: Callable[[bytes, tuple[Any, ...]], None], is_taken: Callable[[bytes], bool]
) -> Callable[[bytes, tuple[Any, ...]], None]:
    def received(data: bytes, address: tuple[Any, ...]) -> None:
        if not is_taken(data):
            stock(data, address)

    return received
