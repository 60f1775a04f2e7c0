"""The real server, and when each picture of camera 1 was there for its viewers.

`python -m server.bench.arrivals DATA` prints "Listening on URL"; each line on stdin is answered with one of JSON: the
moments (seconds of a monotonic clock) at which new pictures came since the line before, and how many were received.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import time
from pathlib import Path

import uvicorn

from ..api.parts import Parts
from ..app import create_app
from ..camera import Camera
from ..config import Settings

CAMERA_ID = "1"
# An hour at 30 fps: nobody asks for that long only when something is wrong.
MOST_ARRIVALS = 108_000


class Arrivals:
    """Notes when a picture is there to be shown; the picture itself is let go."""

    def __init__(self, camera: Camera) -> None:
        self._camera = camera
        self._moments: list[float] = []

    async def run(self) -> None:
        """Watch the camera until cancelled."""
        with self._camera.tap(1) as tap:
            while True:
                await tap.next()
                if self._camera.state == "online" and len(self._moments) < MOST_ARRIVALS:
                    self._moments.append(time.monotonic())

    def take(self) -> dict[str, object]:
        """What came since the last time this was asked."""
        moments, self._moments = self._moments, []
        return {"moments": moments, **self._camera.status()}


async def serve(data: str) -> None:
    """Serve until stdin ends."""
    app = create_app(Settings(data=Path(data), interfaces=("127.0.0.1",), recognition_every=0, cameras=(CAMERA_ID,)))
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started and not serving.done():  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.02)
    parts: Parts = app.state.parts
    arrivals = Arrivals(parts.cameras.get(CAMERA_ID))
    watching = asyncio.create_task(arrivals.run())
    print(f"Listening on http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    while await asyncio.to_thread(sys.stdin.readline):
        print(json.dumps(arrivals.take()), flush=True)
    watching.cancel()
    server.should_exit = True
    await serving


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1]))
