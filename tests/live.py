"""The whole application in the test's own process: real HTTP on a free port, real media over loopback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from server.api.parts import Parts
from server.app import create_app
from server.config import Settings
from server.serving import listen, server_config

from .wait import until


@dataclass(frozen=True)
class Live:
    """A running application."""

    url: str
    http: httpx.AsyncClient
    parts: Parts

    async def camera(self, camera_id: str = "1") -> dict[str, Any]:
        response = await self.http.get("/api/cameras")
        return next(each for each in response.json() if each["id"] == camera_id)


@asynccontextmanager
async def live(data: Path, **settings: Any) -> AsyncIterator[Live]:
    """Serve with recognition off unless told otherwise; everything is gone when the block ends."""
    at = settings.get("host", "127.0.0.1")
    chosen: dict[str, Any] = {
        "data": data,
        "interfaces": ("127.0.0.1",),
        "recognition_every": 0,
        "media_ports": "0",
        **settings,
    }
    made = Settings(**chosen)
    app = create_app(made)
    listening = listen(at, 0)
    url = f"http://{at}:{listening.getsockname()[1]}"
    server = uvicorn.Server(server_config(app, made))
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    task = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        await until(lambda: server.started or task.done(), what="the server starts")
        async with httpx.AsyncClient(base_url=url, timeout=15) as http:
            yield Live(url, http, app.state.parts)
    finally:
        server.should_exit = True
        await task
        listening.close()
