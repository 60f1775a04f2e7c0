"""`surveillx demo`: the server and a sample camera, which is a real publisher process playing a packaged clip."""

from __future__ import annotations

import dataclasses
import logging
import subprocess
import sys

from .config import Settings
from .database import open_database
from .recognition.people import PeopleStore
from .sample import CLIP, PERSON_NAME, PHOTO
from .serving import serve

logger = logging.getLogger("surveillx.demo")

STOP_TIMEOUT_S = 5.0

_SURVEILLX = [sys.executable, "-m", "server.cli"]


def demo(settings: Settings, *, own_data: bool) -> int:
    """Serve with the sample camera. Without `own_data` it keeps to a folder of its own, away from real people."""
    if not own_data:
        settings = dataclasses.replace(settings, data=settings.data / "demo")
    _enroll_sample(settings)
    publishers: list[subprocess.Popen[bytes]] = []

    def start_camera(url: str) -> None:
        publishers.append(_start_publisher(url, settings))
        logger.info("The sample camera is starting. Open %s", url)

    try:
        return serve(settings, start_camera)
    finally:
        for publisher in publishers:
            publisher.terminate()
            publisher.wait(STOP_TIMEOUT_S)


def _enroll_sample(settings: Settings) -> None:
    database = open_database(settings)
    try:
        known = PERSON_NAME in {person.name for person in PeopleStore(database).list_sync()}
    finally:
        database.close()
    if not known:
        logger.info("Enrolling the sample person from %s", PHOTO.name)
        # A process of its own: the models would stay in this one's memory.
        command = [*_SURVEILLX, "enroll", PERSON_NAME, str(PHOTO), "--roll-no", "DEMO-1", "--data", str(settings.data)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - our own command


def _start_publisher(url: str, settings: Settings) -> subprocess.Popen[bytes]:
    command = [*_SURVEILLX, "publish", "--server", url, "--source", str(CLIP)]
    return subprocess.Popen(command, env=settings.publisher_environment())  # noqa: S603 - our own command
