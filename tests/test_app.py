"""The application as a whole, before it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fastapi.routing
import httpx
import pytest

from server.app import create_app
from server.config import Settings


async def test_no_route_is_built_while_pictures_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = create_app(Settings(data=tmp_path))

    def too_late(*_: Any, **__: Any) -> None:
        raise AssertionError("a route is built during a request")

    monkeypatch.setattr(fastapi.routing, "get_request_handler", too_late)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        assert (await client.get("/healthz")).status_code == 200
    app.state.parts.database.close()
