"""How the whole server is, for the System page: cameras, recognition, database, machine, versions, problems."""

from __future__ import annotations

import asyncio
import importlib.metadata
import platform
import shutil
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from . import __version__
from .advice import Facts, advise
from .camera import Cameras
from .config import Settings
from .database import Database
from .health import Health
from .recognition.worker import RecognitionWorker
from .room import shortage
from .sessions import SessionRegistry
from .words import Words

LIBRARIES = ("aiortc", "av", "dlib-bin", "fastapi")


class Overview:
    """Asks the parts; remembers nothing but when the server started. Event loop's thread only."""

    def __init__(
        self,
        settings: Settings,
        words: Words,
        health: Health,
        cameras: Cameras,
        sessions: SessionRegistry,
        recognition: RecognitionWorker,
        database: Database,
    ) -> None:
        self._settings = settings
        self._words = words
        self._health = health
        self._cameras = cameras
        self._sessions = sessions
        self._recognition = recognition
        self._database = database
        self._started_at = datetime.now(UTC)
        self._started = time.monotonic()
        self._versions = _versions()

    async def now(self) -> dict[str, Any]:
        """What `GET /api/system` answers. Holds no token, no address and nobody's data."""
        disk = await asyncio.to_thread(_disk, self._settings.data)
        up_s = time.monotonic() - self._started
        return {
            "problems": [asdict(each) for each in advise(self._facts(disk["free_bytes"], up_s), self._words)],
            "cameras": [camera.status() for camera in self._cameras.all()],
            "sessions": {**self._sessions.counts(), "limit": self._settings.max_sessions},
            "recognition": self._recognition_now(),
            "database": self._database_now(),
            "degraded": self._health.now().degraded,
            "disk": disk,
            "started_at": self._started_at.isoformat(timespec="seconds"),
            "up_s": round(up_s),
            "versions": self._versions,
        }

    def _facts(self, free_bytes: int, up_s: float) -> Facts:
        return Facts(
            server=self._health.now(),
            cameras=self._cameras.all(),
            up_s=up_s,
            disk_free_bytes=free_bytes,
            shortage=shortage(),
            database_words=self._database.state_words,
            database_since=_iso(self._database.away_since),
            sessions=self._sessions.counts().total(),
            max_sessions=self._settings.max_sessions,
            waiting_limit=self._settings.waiting_marks,
        )

    def _recognition_now(self) -> dict[str, Any]:
        return {
            "state": self._recognition.state,
            "words": self._recognition.state_words,
            "restarts": self._recognition.restarts,
        }

    def _database_now(self) -> dict[str, Any]:
        return {
            "kind": self._database.dialect,
            "state": self._database.state,
            "away_since": _iso(self._database.away_since),
            "waiting_marks": self._health.now().waiting_marks,
        }


def _disk(folder: Path) -> dict[str, int]:
    usage = shutil.disk_usage(folder)
    return {"free_bytes": usage.free, "total_bytes": usage.total}


def _versions() -> dict[str, str]:
    found = {"surveillx": __version__, "python": platform.python_version()}
    for library in LIBRARIES:
        try:
            found[library] = importlib.metadata.version(library)
        except importlib.metadata.PackageNotFoundError:  # such as dlib built from its source, under another name
            continue
    return found


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="seconds") if moment else None
