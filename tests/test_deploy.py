"""deploy/supervisord.conf under the real supervisord: both programs come up, come back, and end in order."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx
import pytest

from .wait import until_sync

ROOT = Path(__file__).parents[1]
CONFIGURATION = ROOT / "deploy" / "supervisord.conf"
BIN = Path(sys.executable).parent
START_TIMEOUT_S = 40.0

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


class Supervisor:
    """The real one, with the committed file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = {"surveillx": free_port(), "flask": free_port()}
        (folder / "data").mkdir()
        self.environment = {
            "PATH": os.environ["PATH"],
            "FASTRTC_HOME": str(ROOT),
            "FASTRTC_DATA": str(folder / "data"),
            "FASTRTC_LOGS": str(folder),
            "FASTRTC_HOST": "0.0.0.0",
            "FASTRTC_PORT": str(self.ports["surveillx"]),
            "FLASK_HOME": str(ROOT),
            "FLASK_COMMAND": f'"{sys.executable}" -m tests.legacy_app {self.ports["flask"]}',
            "SURVEILLX_LEGACY_URL": f"http://127.0.0.1:{self.ports['flask']}",
            "SURVEILLX_PUBLISH_TOKEN": "publish-secret",
            "SURVEILLX_VIEW_TOKEN": "view-secret",
        }
        self.process = subprocess.Popen(self.command("supervisord"), env=self.environment, stdout=subprocess.DEVNULL)

    def command(self, program: str, *words: str) -> list[str]:
        return [str(BIN / program), "-c", str(CONFIGURATION), *words]

    def control(self, *words: str) -> str:
        command = self.command("supervisorctl", *words)
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False).stdout

    def pid(self, program: str) -> int:
        answer = self.control("pid", program).strip()
        return int(answer) if answer.isdigit() else 0

    def answers(self, program: str) -> bool:
        path = {"surveillx": "/healthz", "flask": "/counts"}[program]
        try:
            return httpx.get(f"http://127.0.0.1:{self.ports[program]}{path}", timeout=2).is_success
        except httpx.TransportError:
            return False

    def until_up(self) -> None:
        for program in self.ports:
            until_sync(partial(self.answers, program), START_TIMEOUT_S, f"{program} to answer")

    def came_back(self, program: str, before: int) -> bool:
        return self.pid(program) not in (0, before)


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    running = Supervisor(tmp_path)
    try:
        yield running
    finally:
        running.control("shutdown")
        until_sync(lambda: running.process.poll() is not None, 30)


def test_both_programs_come_up_come_back_and_end(supervisor: Supervisor) -> None:
    supervisor.until_up()
    for program in supervisor.ports:
        before = supervisor.pid(program)
        os.kill(before, signal.SIGKILL)
        until_sync(partial(supervisor.came_back, program, before), START_TIMEOUT_S, f"{program} to be restarted")
    supervisor.until_up()
    supervisor.process.send_signal(signal.SIGTERM)
    assert supervisor.process.wait(30) == 0
    assert not any(supervisor.answers(program) for program in supervisor.ports)
    log = (supervisor.folder / "supervisord.log").read_text()
    assert "stopped: surveillx (exit status 0)" in log


def test_the_tokens_reach_the_server_and_not_the_school_app(supervisor: Supervisor) -> None:
    supervisor.until_up()
    url = f"http://127.0.0.1:{supervisor.ports['surveillx']}/api/cameras"
    assert httpx.get(url).status_code == 401
    assert httpx.get(url, headers={"Authorization": "Bearer view-secret"}).status_code == 200
    environment = Path(f"/proc/{supervisor.pid('flask')}/environ").read_bytes()
    assert b"publish-secret" not in environment


def test_a_missing_token_is_named(tmp_path: Path) -> None:
    result = subprocess.run(
        [str(BIN / "supervisord"), "-c", str(CONFIGURATION)],
        env={"FASTRTC_LOGS": str(tmp_path), "FASTRTC_HOME": str(ROOT), "FLASK_COMMAND": "x", "FLASK_HOME": "/"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 2
    assert "ENV_FASTRTC_" in result.stderr + result.stdout
