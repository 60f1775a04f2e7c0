"""The benches that look through Chromium, for a moment, as the command runs them, with their JSON and their plot.

The others have their own short runs in `test_bench_NAME.py`. No figure is judged: that is for a quiet machine.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from server.bench import browser
from server.cli import main

SHORT = {"latency": ["--seconds", "0.5"], "join": ["--count", "1", "--viewers", "3"], "page": ["--count", "1"]}
TEXTS = ("bench", "title", "at", "machine", "versions", "load")


@pytest.mark.timeout(110)
@pytest.mark.parametrize("name", SHORT)
def test_a_short_run(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(browser, "PICTURES_UNTIL_WARM", 5)
    monkeypatch.setattr(browser, "UNREADABLE_SHARE", 0.5)  # the first pictures are coarse
    kept, plot = tmp_path / "result.json", tmp_path / "result.svg"
    assert main(["bench", name, *SHORT[name], "--json", str(kept), "--plot", str(plot)]) == 0
    told = capsys.readouterr()
    result = json.loads(kept.read_text(), parse_constant=_refuse)
    assert result["bench"] == name
    assert all(isinstance(result[each], str) and result[each] for each in TEXTS)
    assert told.out.startswith(result["title"])
    assert result["rows"]
    assert all(len(row) == len(result["header"]) for row in result["rows"])
    assert all(isinstance(cell, str) for row in result["rows"] for cell in row)
    assert all(cell in told.out for row in result["rows"] for cell in row)
    assert all(isinstance(note, str) for note in result["notes"])
    assert all(isinstance(goal["is_kept"], bool) and len(goal["row"]) == 4 for goal in result["goals"])
    assert result["figures"]
    assert "</svg>" in plot.read_text()


def _refuse(constant: str) -> Any:
    raise AssertionError(f"{constant} is no JSON")
