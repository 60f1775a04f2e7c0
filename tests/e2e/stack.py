"""The product as a user runs it: server, publisher and legacy Flask app, each a process of its own on a free port."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import httpx

from server.sample import CLIP, PERSON_NAME, PHOTO

from ..wait import until_sync

REPOSITORY = Path(__file__).resolve().parents[2]
START_TIMEOUT_S = 60.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Program:
    """A process that can be killed and started again; its output goes to a file."""

    def __init__(self, name: str, folder: Path, module: str, *arguments: str, **environment: str) -> None:
        self.log = folder / f"{name}.log"
        self._command = [sys.executable, "-m", module, *arguments]
        self._environment = {**os.environ, "PYTHONUNBUFFERED": "1", **environment}
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                self._command, cwd=REPOSITORY, env=self._environment, stdout=output, stderr=subprocess.STDOUT
            )

    def stop(self, number: int = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(15)

    @staticmethod
    def is_listening(port: int) -> Callable[[], bool]:
        """Whether it accepts connections by now."""

        def accepts() -> bool:
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0

        return accepts

    def end(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


@cache
def enrolled() -> Path:
    """A data folder in which the command line enrolled the sample person; made once, to be copied."""
    folder = Path(tempfile.mkdtemp(prefix="surveillx-enrolled-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    enroll_into(str(folder))
    return folder


def enroll_into(data: str) -> None:
    command = [sys.executable, "-m", "server.cli", "enroll", PERSON_NAME, str(PHOTO), "--data", data]
    subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True)


class Stack:
    """A server with the sample camera, over loopback, its one known person enrolled."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        data = str(folder / "data")
        settings = {"SURVEILLX_INTERFACES": "127.0.0.1", **environment}
        self.server = Program(
            "server", folder, "server.cli", "serve", "--port", str(self.port), "--data", data, **settings
        )
        self.publisher = Program(
            "publisher", folder, "server.cli", "publish", "--server", self.url, "--source", str(CLIP), **settings
        )
        headers = {}
        if token := environment.get("SURVEILLX_VIEW_TOKEN"):
            headers["Authorization"] = f"Bearer {token}"
        self.http = httpx.Client(base_url=self.url, timeout=10, headers=headers)
        self._data = data

    def take_person(self) -> None:
        """Begin with the sample person enrolled; before the server starts."""
        shutil.copytree(enrolled(), self._data)

    def enroll(self) -> None:
        """Enrol the sample person by the command line."""
        enroll_into(self._data)

    def start(self, *, recognition: bool = True) -> None:
        self.server.start()
        self.wait_ready(recognition=recognition)
        self.publisher.start()
        until_sync(lambda: self.camera()["online"], START_TIMEOUT_S, "the sample camera is online")

    def wait_ready(self, *, recognition: bool) -> None:
        wanted = {"running"} if recognition else {"off", "starting", "running"}
        until_sync(lambda: self.recognition() in wanted, START_TIMEOUT_S, "the server is ready")

    def recognition(self) -> str | None:
        try:
            return str(self.http.get("/readyz").json()["recognition"])
        except (httpx.TransportError, KeyError):
            return None

    def camera(self, camera_id: str = "1") -> dict[str, Any]:
        return next(each for each in self.http.get("/api/cameras").json() if each["id"] == camera_id)

    def attendance(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.http.get("/api/attendance").json()
        return rows

    def metric(self, name: str) -> float:
        """A metric of camera 1, over all its encodings."""
        lines = self.http.get("/metrics").text.splitlines()
        wanted = f'surveillx_{name}{{camera="1"'
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(wanted))

    def close(self) -> None:
        self.http.close()
        for program in (self.publisher, self.server):
            program.end()
