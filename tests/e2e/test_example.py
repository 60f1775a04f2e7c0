"""The example in docs/testing.md works as it stands there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from .stack import REPOSITORY, Stack

CODE = re.compile(r"```python\n(.*?)```", re.DOTALL)


def test_the_example_of_the_docs_passes(stack: Stack, tmp_path: Path) -> None:
    found = CODE.search((REPOSITORY / "docs" / "testing.md").read_text(encoding="utf-8"))
    assert found is not None
    file = tmp_path / "test_example.py"
    file.write_text(found[1], encoding="utf-8")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    environment = {**os.environ, "SURVEILLX_ADDRESS": stack.url, **({"CHROMIUM": chromium} if chromium else {})}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, str(file)]
    done = subprocess.run(
        command, check=False, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
