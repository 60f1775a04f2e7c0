"""The same service made of nothing but aiortc and its MediaRelay, as its examples do it: each viewer gets an encoder.

`python -m server.bench.stock`
"""

from __future__ import annotations

from typing import Any

from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.contrib.media import MediaBlackhole, MediaRelay
from fastapi import FastAPI

from .listen import listen


class StockServer:
    """One camera, relayed."""

    def __init__(self) -> None:
        self._relay = MediaRelay()
        self._drain = MediaBlackhole()
        self._camera: MediaStreamTrack | None = None
        self._peers: list[RTCPeerConnection] = []

    async def camera(self, offer: dict[str, Any]) -> dict[str, Any]:
        """Take the camera's video."""
        peer = self._peer()
        peer.on("track", self._keep)
        return await self._answer(peer, offer)

    async def cameras(self) -> list[dict[str, Any]]:
        """Whether the camera is there, in the words of our server."""
        return [{"id": "1", "online": self._camera is not None}]

    async def viewer(self, offer: dict[str, Any]) -> dict[str, Any]:
        """Send a viewer the camera's video."""
        peer = self._peer()
        if self._camera:
            peer.addTrack(self._subscribe(self._camera))
        return await self._answer(peer, offer)

    async def _keep(self, track: MediaStreamTrack) -> None:
        self._camera = track
        # Somebody must take every picture, or aiortc keeps all of them (1.4 MB each) until the first viewer comes.
        self._drain.addTrack(self._subscribe(track))
        await self._drain.start()

    def _subscribe(self, track: MediaStreamTrack) -> MediaStreamTrack:
        # Buffered, the default, a server that is too slow would run out of memory instead of dropping pictures.
        return self._relay.subscribe(track, buffered=False)

    def _peer(self) -> RTCPeerConnection:
        self._peers.append(RTCPeerConnection(RTCConfiguration(iceServers=[])))
        return self._peers[-1]

    async def _answer(self, peer: RTCPeerConnection, offer: dict[str, Any]) -> dict[str, Any]:
        await peer.setRemoteDescription(RTCSessionDescription(offer["sdp"], "offer"))
        await peer.setLocalDescription(await peer.createAnswer())
        return {"sdp": peer.localDescription.sdp, "type": "answer", "session_id": str(len(self._peers))}


def create_app() -> FastAPI:
    """The routes that the camera, the viewers and the bench use of our own server."""
    server, app = StockServer(), FastAPI()
    app.add_api_route("/webrtc/streamer", server.camera, methods=["POST"])
    app.add_api_route("/webrtc/viewer", server.viewer, methods=["POST"])
    app.add_api_route("/api/cameras", server.cameras, methods=["GET"])
    return app


if __name__ == "__main__":
    listen(create_app())
