"""Records the RTP packets that a server sends a viewer, and plays them to another server, over and over at 30
pictures a second.

`python -m server.bench.tape record URL FILE SECONDS`; `python -m server.bench.tape play FILE PORT`
"""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import cycle, groupby
from operator import attrgetter
from pathlib import Path

import httpx
from aiortc import RTCConfiguration, RTCPeerConnection
from aiortc.rtp import RtpPacket

from ..publisher.peer import allow_loopback
from ..rtc_compat import tap_packets
from .counting import CONNECT_TIMEOUT_S, joining
from .processes import BenchError, started

PAYLOAD_TYPE = 96
CLOCK_RATE = 90_000
FPS = 30
_SSRC = 1
_LENGTH = struct.Struct("!H")


def record(url: str, file: Path, seconds: float) -> None:
    """Record in a process of its own; the tape begins with a keyframe, as every viewer's pictures do.

    Raises:
        BenchError: nothing came.
    """
    with started("server.bench.tape", "record", url, str(file), str(seconds)) as recorder:
        recorder.output.read()
    if not file.exists() or not file.stat().st_size:
        raise BenchError("No packets could be recorded; the messages are above.")


@contextmanager
def playing(file: Path, port: int) -> Iterator[None]:
    """Play a tape to this UDP port inside the block."""
    with started("server.bench.tape", "play", str(file), str(port)):
        yield


async def _record(url: str, seconds: float) -> list[RtpPacket]:
    allow_loopback()
    packets: list[RtpPacket] = []

    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    peer.on("track", lambda _track: tap_packets(peer.getReceivers()[0], packets.append))
    async with httpx.AsyncClient(base_url=url, timeout=CONNECT_TIMEOUT_S) as client:
        await joining("1")(client, peer)
        await asyncio.sleep(seconds)
    await peer.close()
    return packets[: max((place + 1 for place, packet in enumerate(packets) if packet.marker), default=0)]


def write(file: Path, packets: Sequence[RtpPacket]) -> None:
    """Keep whole pictures."""
    file.write_bytes(b"".join(_LENGTH.pack(len(data)) + data for data in (each.serialize() for each in packets)))


def read(file: Path) -> list[list[RtpPacket]]:
    """The pictures of a tape."""
    data, packets = file.read_bytes(), []
    while data:
        (length,) = _LENGTH.unpack_from(data)
        packets.append(RtpPacket.parse(data[2 : 2 + length]))
        data = data[2 + length :]
    return [list(picture) for _, picture in groupby(packets, key=attrgetter("timestamp"))]


def _play(pictures: Sequence[Sequence[RtpPacket]], port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        out.connect(("127.0.0.1", port))
        began, number = time.monotonic(), 0
        for index, picture in enumerate(cycle(pictures)):
            time.sleep(max(0.0, began + index / FPS - time.monotonic()))
            for packet in picture:
                _send(out, packet, number, index * CLOCK_RATE // FPS)
                number += 1


def _send(out: socket.socket, packet: RtpPacket, number: int, timestamp: int) -> None:
    packet.payload_type, packet.ssrc = PAYLOAD_TYPE, _SSRC
    packet.sequence_number, packet.timestamp = number & 0xFFFF, timestamp & 0xFFFFFFFF
    with suppress(ConnectionRefusedError):  # Janus has ended, or not begun
        out.send(packet.serialize())


if __name__ == "__main__":
    if sys.argv[1] == "record":
        write(Path(sys.argv[3]), asyncio.run(_record(sys.argv[2], float(sys.argv[4]))))
    else:
        _play(read(Path(sys.argv[2])), int(sys.argv[3]))
