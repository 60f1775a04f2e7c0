"""`GET /api/system`: how the server is, and every problem in words with what to do about it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from av.video.frame import VideoFrame

from server.advice import DISK_LOW_BYTES, Facts, advise
from server.events import ServerChanged
from server.words import Words

from .live import live
from .wait import until

WELL = ServerChanged("running", "", "ok", 0)


def facts(server: ServerChanged = WELL, **others: Any) -> Facts:
    well: dict[str, Any] = {
        "cameras": (),
        "up_s": 3600.0,
        "disk_free_bytes": 10 * DISK_LOW_BYTES,
        "shortage": "",
        "database_words": "",
        "database_since": None,
        "sessions": 2,
        "max_sessions": 300,
        "waiting_limit": 3000,
    }
    return Facts(server=server, **{**well, **others})


@pytest.mark.parametrize(
    ("now", "kinds"),
    [
        (facts(), []),
        (
            facts(ServerChanged("running", "", "away", 3), database_words="It is locked."),
            ["database_away", "marks_waiting"],
        ),
        (facts(ServerChanged("running", "", "ok", 3000)), ["marks_refused"]),
        (facts(ServerChanged("restarting", "It hung.", "ok", 0)), ["recognition_away"]),
        (facts(ServerChanged("starting", "It starts.", "ok", 0), up_s=5.0), []),
        (facts(ServerChanged("starting", "It starts.", "ok", 0)), ["recognition_slow_start"]),
        (facts(ServerChanged("running", "", "ok", 0, "The server is busy.")), ["server_busy"]),
        (facts(shortage="it has 3 MB of memory left"), ["no_room"]),
        (facts(sessions=300), ["sessions_full"]),
        (facts(disk_free_bytes=5_000_000), ["disk_low"]),
    ],
)
def test_each_fault_is_told_with_what_to_do(now: Facts, kinds: list[str]) -> None:
    found = advise(now, Words("en"))
    assert [each.kind for each in found] == kinds
    for each in found:
        assert each.what.endswith(".")
        assert each.todo.endswith(".")
        assert "{" not in each.what + each.todo


async def test_a_cameras_life_and_nothing_secret(tmp_path: Path) -> None:
    async with live(tmp_path, view_token="seen", cameras=("1", "2")) as running:
        assert (await running.http.get("/api/system")).status_code == 401
        running.http.headers["Authorization"] = "Bearer seen"
        cameras = running.parts.cameras
        publisher = object()
        cameras.get("1").claim(publisher)
        cameras.get("1").offer(publisher, VideoFrame(640, 360, "yuv420p"))
        told = (await running.http.get("/api/system")).json()
        assert [(each["kind"], each["camera_id"]) for each in told["problems"]] == [("camera_awaited", "2")]
        first, second = told["cameras"]
        assert first["publisher_since"]
        assert second["publisher_since"] is None
        assert (told["database"]["kind"], told["database"]["state"]) == ("sqlite", "ok")
        assert told["recognition"] == {"state": "off", "words": told["recognition"]["words"], "restarts": 0}
        assert 0 < told["disk"]["free_bytes"] <= told["disk"]["total_bytes"]
        assert told["versions"]["surveillx"]
        assert not [word for word in ("seen", str(tmp_path)) if word in json.dumps(told)]

        async def kinds() -> list[str]:
            answer = (await running.http.get("/api/system")).json()
            return [each["kind"] for each in answer["problems"] if each["camera_id"] == "1"]

        async def is_stale() -> bool:
            return await kinds() == ["camera_stale"]

        await until(is_stale, 10, "the silent camera is told")
        cameras.get("1").release(publisher, "it left")
        assert await kinds() == ["camera_offline"]
