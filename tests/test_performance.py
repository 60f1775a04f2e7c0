"""docs/performance.md says what the kept results say, and nothing that was typed in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tools.performance import BLOCK, KEPT, NOT_YET, PAGE, README, RELIABILITY, goals, judged, page, spread

RUN: dict[str, Any] = {
    "bench": "join",
    "title": "Joining",
    "at": "2026-11-23 01:00 UTC",
    "machine": "2 x CPU, Linux 6",
    "versions": "Python 3.11",
    "load": "0.01 before the start",
    "with": {"Chromium": "1.2"},
    "header": ["what", "n", "median ms"],
    "rows": [["offer to answer", "40", "52"]],
    "notes": ["", "about it:", "a  b\n1  2"],
    "goals": [{"what": "joins", "row": ["joins", "52 ms", "at most 55 ms", "kept"], "is_kept": True}],
    "figures": {},
}
MISSED = {"what": "joins", "row": ["joins", "57 ms", "at most 55 ms", "missed"], "is_kept": False}
TEMPLATE = "# Page\n\n<!-- join -->\nold\n<!-- end -->\n\nWords.\n\n<!-- soak -->\n<!-- end -->\n"


@pytest.mark.parametrize("file", [PAGE, RELIABILITY, README], ids=lambda file: file.name)
def test_the_pages_hold_the_kept_results(file: Path) -> None:
    written = file.read_text(encoding="utf-8")
    assert written == page(written, KEPT), "run `python -m tools.performance`"


def test_where_each_row_is_a_goal_the_rows_are_told() -> None:
    row = ["blackout", "picture <= 1 s after", "0.2 s", "yes"]
    run = {**RUN, "header": ["scenario", "goal", "found", "met"], "rows": [row], "goals": []}
    assert judged([run]) == [["blackout", "0.2 s", "picture <= 1 s after", "kept"]]


def test_every_kept_result_has_its_place_and_every_bench_too() -> None:
    pages = (PAGE.read_text(encoding="utf-8"), RELIABILITY.read_text(encoding="utf-8"))
    places = {match["name"] for text in pages for match in BLOCK.finditer(text)}
    assert places >= {file.stem.rstrip("-0123456789") for file in KEPT.glob("*.*")}


def test_a_result_is_rendered_between_its_marks(tmp_path: Path) -> None:
    (tmp_path / "join.json").write_text(json.dumps(RUN))
    (tmp_path / "join.svg").write_text("<svg/>")
    rendered = page(TEMPLATE, tmp_path)
    assert page(rendered, tmp_path) == rendered
    assert rendered.split("<!-- end -->")[0].splitlines() == [
        "# Page",
        "",
        "<!-- join -->",
        "| what | n | median ms |",
        "| --- | ---: | ---: |",
        "| offer to answer | 40 | 52 |",
        "",
        "About it:",
        "",
        "```text",
        "a  b",
        "1  2",
        "```",
        "",
        "2026-11-23 01:00 UTC, 2 x CPU, Linux 6; Python 3.11, Chromium 1.2; load 0.01 before the start.",
        "",
        "![Joining](performance/join.svg)",
    ]
    assert f"Words.\n\n<!-- soak -->\n{NOT_YET}\n<!-- end -->" in rendered


def test_several_runs_are_a_median_and_its_spread(tmp_path: Path) -> None:
    for number, value in enumerate(("52", "57", "50"), 1):
        run = {**RUN, "at": f"2026-11-23 0{number}:00 UTC", "rows": [["offer to answer", "40", value]]}
        (tmp_path / f"join-{number}.json").write_text(json.dumps(run))
    rendered = page(TEMPLATE, tmp_path)
    assert "| offer to answer | 40 | 52 (50 to 57) |" in rendered
    assert "3 runs: the median (least to greatest). 2026-11-23 03:00 UTC" in rendered


def test_the_goals_of_all_benches_in_one_table(tmp_path: Path) -> None:
    (tmp_path / "join-1.json").write_text(json.dumps(RUN))
    assert "| `join` | joins | 52 ms | at most 55 ms | kept |" in goals(tmp_path)
    (tmp_path / "join-2.json").write_text(json.dumps({**RUN, "goals": [MISSED]}))
    assert "| `join` | joins | 54 ms (52 to 57) | at most 55 ms | kept in 1 of 2 |" in goals(tmp_path)
    assert goals(tmp_path / "none") == NOT_YET


@pytest.mark.parametrize(
    ("cells", "shown"),
    [
        (["29.5", "29.5"], "29.5"),
        (["+8", "-2", "+3"], "+3 (-2 to +8)"),
        (["0.01 s", "0.03 s"], "0.02 s (0.01 to 0.03)"),
        (["none", "3"], "3"),
        (["0 (0.0 s)", "1 (0.2 s)"], "1 (0.2 s)"),
    ],
)
def test_the_spread_of_a_figure(cells: list[str], shown: str) -> None:
    assert spread(cells) == shown
