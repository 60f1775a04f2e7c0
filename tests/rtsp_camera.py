"""A network camera: RTSP (RFC 2326) with RTP interleaved on the TCP connection, VP8, one client after the other."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from fractions import Fraction

import av
import numpy as np
from aiortc.codecs.vpx import Vp8Encoder

SDP = """v=0
o=- 1 1 IN IP4 127.0.0.1
s=Camera
t=0 0
m=video 0 RTP/AVP 96
a=rtpmap:96 VP8/90000
a=control:video
"""
PAYLOAD_TYPE = 96


class RtspCamera:
    """Sends a changing grey picture at 30 fps to whoever asks."""

    def __init__(self) -> None:
        self.port = 0
        self.status = "200 OK"
        self.transports: list[str] = []
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        return f"rtsp://127.0.0.1:{self.port}/live"

    def hang_up(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[RtspCamera]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            self.hang_up()
            await server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        playing: asyncio.Task[None] | None = None
        try:
            while request := await reader.readuntil(b"\r\n\r\n"):
                method, headers = self._parsed(request)
                writer.write(self._response(method, headers))
                if method == "PLAY" and playing is None:
                    playing = asyncio.create_task(self._play(writer))
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            if playing:
                playing.cancel()
            self._writers.discard(writer)
            writer.close()

    def _parsed(self, request: bytes) -> tuple[str, dict[str, str]]:
        first, *lines = request.decode().strip().splitlines()
        headers = dict(line.split(": ", 1) for line in lines)
        return first.split()[0], headers

    def _response(self, method: str, headers: dict[str, str]) -> bytes:
        body, more = "", ["Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN"]
        if method == "DESCRIBE":
            body, more = SDP, ["Content-Type: application/sdp", f"Content-Length: {len(SDP)}"]
        if method == "SETUP":
            self.transports.append(headers["Transport"])
            more = ["Transport: RTP/AVP/TCP;unicast;interleaved=0-1", "Session: 7"]
        lines = [f"RTSP/1.0 {self.status}", f"CSeq: {headers['CSeq']}", *more, "", body]
        return "\r\n".join(lines).encode()

    async def _play(self, writer: asyncio.StreamWriter) -> None:
        encoder, sequence, number = Vp8Encoder(), 0, 0
        while True:
            pixels = np.full((240, 320, 3), number % 200, np.uint8)
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = number * 3000, Fraction(1, 90_000)
            payloads, timestamp = encoder.encode(frame, force_keyframe=number % 10 == 0)
            for payload in payloads:
                marker = 0x80 if payload is payloads[-1] else 0
                rtp = struct.pack("!BBHII", 0x80, PAYLOAD_TYPE | marker, sequence & 0xFFFF, timestamp, 7) + payload
                writer.write(struct.pack("!cBH", b"$", 0, len(rtp)) + rtp)
                sequence += 1
            number += 1
            await asyncio.sleep(1 / 30)
