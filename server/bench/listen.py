"""Serves a small application of the bench the way `surveillx serve` serves the real one."""

from __future__ import annotations

import asyncio

import uvicorn
from fastapi import FastAPI

from .. import serving


def listen(app: FastAPI) -> None:
    """Serve on a free port of this machine until SIGTERM, after printing "Listening on URL"."""
    listener = serving.listen("127.0.0.1", 0)
    print(f"Listening on http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1)
    asyncio.run(uvicorn.Server(config).serve(sockets=[listener]))
