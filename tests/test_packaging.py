"""What a camera PC installs: the publisher's lock file and the project, without the server's packages."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
UV = str(Path(sys.executable).parent / "uv")
LOCKS = sorted((REPOSITORY / "requirements").glob("*.txt"))


@pytest.mark.timeout(300)
def test_the_publisher_installs_and_runs_without_the_server(tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    subprocess.run([UV, "venv", "--quiet", "--python", sys.executable, str(venv)], check=True)
    python = venv / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    environment = {**os.environ, "VIRTUAL_ENV": str(venv)}
    install = [UV, "pip", "install", "--quiet", "--python", str(python), "--no-deps"]
    lock = str(REPOSITORY / "requirements" / "publisher.txt")
    subprocess.run([*install, "--require-hashes", "-r", lock], check=True, env=environment)
    subprocess.run([*install, str(REPOSITORY)], check=True, env=environment)

    def surveillx(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(python), "-m", "server.cli", *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)

    listed = surveillx("publish", "--list")
    assert listed.returncode == 0, listed.stderr
    refused = surveillx("serve")
    assert refused.returncode == 1
    assert "the server needs `make setup`" in refused.stderr


def test_the_lock_files_are_hashed_and_name_no_registry() -> None:
    assert LOCKS
    for lock in LOCKS:
        text = lock.read_text()
        pins = re.findall(r"^[a-z0-9][a-z0-9._-]*==", text, re.MULTILINE)
        assert pins
        assert text.count("==") <= text.count("--hash=sha256:")
        assert "://" not in text, lock.name
    assert '"resolved"' not in (REPOSITORY / "package-lock.json").read_text()


def test_the_lock_files_hold_everything_the_project_asks_for() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    server = (REPOSITORY / "requirements" / "server.txt").read_text()
    asked = [*project["dependencies"], *project["optional-dependencies"]["server"]]
    for requirement in asked:
        name = re.split(r"[<>=\[; ]", requirement)[0].lower().replace("_", "-")
        assert f"\n{name}==" in f"\n{server}", name
    for banned in ("\ndlib==", "\nface-recognition-models=="):
        assert banned not in f"\n{server}", "needs a compiler"
