"""A server for publishers: real HTTP, real peer connections, and counters. `python -m tests.answerer PORT` runs it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import av
import uvicorn
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse


class Answerer:
    """Takes publishers, counts what they send, and refuses with `refusal` (status, detail) while that is set."""

    def __init__(self) -> None:
        self.app = FastAPI()
        self.app.add_api_route("/webrtc/streamer", self.streamer, methods=["POST"])
        self.app.add_api_route("/webrtc/sessions/{session_id}", self.goodbye, methods=["DELETE"])
        self.app.add_api_route("/frames", self.count, methods=["GET"])
        self.port = 0
        self.refusal: tuple[int, str] | None = None
        self.offers: list[dict[str, Any]] = []
        self.tokens: list[str | None] = []
        self.deleted: list[str] = []
        self.peers: list[RTCPeerConnection] = []
        self.frames = 0
        self.size = (0, 0)
        self.pts: list[int] = []
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def streamer(self, request: Request) -> Response:
        self.tokens.append(request.headers.get("authorization"))
        if self.refusal:
            status, detail = self.refusal
            return JSONResponse({"detail": detail, "status": status}, status, media_type="application/problem+json")
        offer = await request.json()
        self.offers.append(offer)
        peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.peers.append(peer)
        peer.on("track", self._on_track)
        await peer.setRemoteDescription(RTCSessionDescription(offer["sdp"], "offer"))
        await peer.setLocalDescription(await peer.createAnswer())
        return JSONResponse(
            {"sdp": peer.localDescription.sdp, "type": "answer", "session_id": f"session-{len(self.peers)}"}
        )

    async def goodbye(self, session_id: str) -> Response:
        self.deleted.append(session_id)
        return Response(status_code=204)

    async def count(self) -> int:
        return self.frames

    def _on_track(self, track: MediaStreamTrack) -> None:
        task = asyncio.create_task(self._drain(track))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _drain(self, track: MediaStreamTrack) -> None:
        with contextlib.suppress(MediaStreamError):
            while True:
                frame = await track.recv()
                assert isinstance(frame, av.VideoFrame)
                assert frame.pts is not None
                self.frames += 1
                self.size = (frame.width, frame.height)
                self.pts.append(frame.pts)

    async def hang_up(self) -> None:
        for peer in self.peers:
            await peer.close()

    @asynccontextmanager
    async def serving(self, port: int = 0) -> AsyncIterator[Answerer]:
        listener = socket.create_server(("127.0.0.1", port))
        self.port = listener.getsockname()[1]
        config = uvicorn.Config(self.app, log_level="warning", lifespan="off", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield self
        finally:
            await self.hang_up()
            server.should_exit = True
            await serving
            listener.close()


async def main(port: int) -> None:
    async with Answerer().serving(port):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
