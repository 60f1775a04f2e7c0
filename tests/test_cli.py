"""The `surveillx` command as its users run it: a process of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import IO

import httpx
import pytest
from PIL import Image

from server import __version__
from server.cli import main

from .disks import small_disk
from .faces import astronaut, six_people
from .test_sdp import FIREFOX
from .wait import until_sync

REPOSITORY = Path(__file__).resolve().parent.parent


def run(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "server.cli", *map(str, arguments)]
    return subprocess.run(
        command,
        cwd=REPOSITORY,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@contextmanager
def serving(data: Path, *arguments: str, **environment: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    with logging_to(None, data, *arguments, **environment) as running:
        yield running


@contextmanager
def logging_to(
    stderr: int | IO[bytes] | None, data: Path, *arguments: str, **environment: str
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    command = [sys.executable, "-m", "server.cli", "serve", "--port", "0", "--data", str(data), *arguments]
    process = subprocess.Popen(
        command, cwd=REPOSITORY, env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=stderr, text=True
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("Listening on http://"), line
        yield process, line.split()[-1]
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()


def test_version() -> None:
    assert run("--version").stdout.strip() == f"surveillx {__version__}"


def test_every_command_explains_itself() -> None:
    for command in ("serve", "demo", "enroll", "publish", "bench", "user", "token"):
        result = run(command, "--help")
        assert result.returncode == 0
        assert command in result.stdout


def test_a_public_address_without_tokens_is_refused_with_advice(tmp_path: Path) -> None:
    result = run("serve", "--host", "0.0.0.0", "--data", tmp_path)
    assert result.returncode == 2
    for word in ("surveillx user add", "surveillx token add", "--insecure", "127.0.0.1"):
        assert word in result.stderr
    assert "Traceback" not in result.stderr


def test_a_public_address_with_tokens_or_insecure_is_served(tmp_path: Path) -> None:
    tokens = {"SURVEILLX_PUBLISH_TOKEN": "p", "SURVEILLX_VIEW_TOKEN": "v", "SURVEILLX_RECOGNITION_EVERY": "0"}
    with serving(tmp_path, "--host", "0.0.0.0", **tokens) as (_, url):
        assert httpx.get(f"{url}/healthz").json() == {"status": "ok"}
        assert httpx.get(f"{url}/api/cameras").status_code == 401
        assert httpx.get(f"{url}/api/cameras", headers={"Authorization": "Bearer v"}).status_code == 200
    with serving(tmp_path, "--host", "0.0.0.0", "--insecure", SURVEILLX_RECOGNITION_EVERY="0") as (process, url):
        assert process.stdout is not None
        assert "Everybody who reaches this server" in process.stdout.readline()
        assert httpx.get(f"{url}/api/cameras").status_code == 200


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"SURVEILLX_PROT": "1"}, "Did you mean port"),
        ({"SURVEILLX_MAX_SESSIONS": "many"}, "whole number"),
        ({"SURVEILLX_JPEG_QUALITY": "0"}, "from 1 to 100"),
        ({"SURVEILLX_DATABASE_URL": "sqlite:////dev/null/all.db"}, "database"),
        ({"SURVEILLX_INTERFACES": "eth0"}, "IP address"),
    ],
)
def test_a_wrong_setting_is_named(environment: dict[str, str], words: str, tmp_path: Path) -> None:
    result = run("serve", "--port", "0", "--data", tmp_path, **environment)
    assert result.returncode == 2
    assert words.lower() in result.stderr.lower()
    assert "Traceback" not in result.stderr


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        result = run("serve", "--port", port, "--data", tmp_path)
    assert result.returncode == 2
    assert port in result.stderr
    assert "--port" in result.stderr
    assert "Traceback" not in result.stderr


LOGGING = {"SURVEILLX_RECOGNITION_EVERY": "0", "SURVEILLX_CAMERAS": "1"}


def open_and_close_a_session(url: str) -> None:
    """What the server logs a line about."""
    opened = httpx.post(f"{url}/webrtc/viewer", json={"sdp": FIREFOX, "type": "offer"}, timeout=10)
    assert opened.status_code == 200, opened.text
    assert httpx.delete(f"{url}/webrtc/sessions/{opened.json()['session_id']}", timeout=10).status_code == 204


def test_it_goes_on_when_nobody_reads_what_it_says(tmp_path: Path) -> None:
    """Its output is a pipe whose reader is gone, as after `surveillx serve | head`."""
    with logging_to(subprocess.PIPE, tmp_path, **LOGGING) as (process, url):
        assert process.stdout is not None
        assert process.stderr is not None
        assert "surveillx" in process.stderr.readline()
        process.stdout.close()
        process.stderr.close()
        open_and_close_a_session(url)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


def test_it_goes_on_when_the_disk_of_its_log_is_full(tmp_path: Path) -> None:
    with small_disk(tmp_path / "logs") as disk:
        log = disk.folder / "surveillx.log"
        with log.open("ab") as output, logging_to(output, tmp_path / "data", **LOGGING) as (process, url):
            output.write(b"." * (4096 - log.stat().st_size % 4096))  # to the end of its page: the next line needs room
            output.flush()
            disk.fill()
            full = log.stat().st_size
            open_and_close_a_session(url)
            assert log.stat().st_size == full, "the disk is really full"
            disk.free()
            open_and_close_a_session(url)
            until_sync(lambda: log.stat().st_size > full, what="what is said is in the log again")
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_well(number: signal.Signals, tmp_path: Path) -> None:
    with serving(tmp_path) as (process, url):
        until_sync(lambda: httpx.get(f"{url}/readyz").json()["recognition"] == "running", 60, "recognition runs")
        process.send_signal(number)
        assert process.wait(10) == 0


def test_enrolling_and_its_refusals(tmp_path: Path) -> None:
    one, many, text = tmp_path / "ada.jpg", tmp_path / "six.jpg", tmp_path / "notes.jpg"
    Image.fromarray(astronaut()).save(one)
    Image.fromarray(six_people()).save(many)
    text.write_text("not a picture")
    added = run("enroll", "Ada", one, "--roll-no", "7", "--data", tmp_path)
    assert added.returncode == 0, added.stderr
    assert "Ada is enrolled with 1 photo" in added.stdout
    for file, words in ((many, "face"), (text, "picture"), (tmp_path / "absent.jpg", "cannot be read")):
        refused = run("enroll", "Bob", one, file, "--data", tmp_path)
        assert refused.returncode == 1
        assert file.name in refused.stderr
        assert words in refused.stderr
        assert "Traceback" not in refused.stderr


def test_accounts_and_tokens_by_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def surveillx(*arguments: str, typed: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr("sys.stdin", StringIO(typed))
        status = main([*arguments, "--data", str(tmp_path)])
        said = capsys.readouterr()
        return status, said.out, said.err

    made = surveillx("user", "add", "Ada", "--role", "viewer", "--camera", "1", typed="ten letters and more\n")
    assert made[:2] == (0, "Ada may sign in now (viewer).\n")
    status, _, words = surveillx("user", "add", "Bob", typed="short\n")
    assert status == 1
    assert "10 characters" in words
    assert surveillx("user", "list")[1] == "Ada\tviewer\tcameras 1\n"
    _, token, words = surveillx("token", "add", "PC 12", "--camera", "12", "--days", "7")
    assert token.startswith("svx_")
    assert "not shown again" in words
    listed = surveillx("token", "list")[1]
    assert listed.startswith("1\tPC 12\tpublish\tcameras 12\tuntil 20")
    assert token.strip() not in listed
    assert surveillx("token", "revoke", "1")[1] == "Token PC 12 is revoked.\n"
    assert "no account" in surveillx("user", "remove", "Eve")[2]
    assert surveillx("user", "remove", "ada")[1] == "ada is removed.\n"
