"""Writes measured figures into docs/performance.md, docs/reliability.md and the README: none is copied by hand.

`python -m tools.performance [FOLDER]` takes each `NAME.json` of `surveillx bench NAME --json NAME.json` in the folder
(default: docs/performance, where they are kept) and renders it between `<!-- NAME -->` and `<!-- end -->` of the page,
with the plot `NAME.svg` if it lies beside; between `<!-- goals -->` all their goals, in the README too. Several runs
are `NAME-1.json`, `NAME-2.json` ...: then each figure is the median of the runs, with the least and the greatest.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
PAGE, README = ROOT / "docs" / "performance.md", ROOT / "README.md"
RELIABILITY = PAGE.with_name("reliability.md")
KEPT = PAGE.with_suffix("")
BLOCK = re.compile(r"(<!-- (?P<name>[a-z]+(?:-[a-z]+)*) -->\n).*?(<!-- end -->)", re.DOTALL)
FIGURE = re.compile(r"(?P<sign>\+?)(?P<number>-?\d+(?:\.(?P<places>\d+))?)(?P<unit>\D*)")
ALL_GOALS = "goals"
EACH_ROW_A_GOAL = ["scenario", "goal", "found", "met"]
NOT_YET = "Not measured yet."

Run = dict[str, Any]


def page(text: str, folder: Path) -> str:
    """The page with every block rendered from the folder's results."""
    return BLOCK.sub(lambda match: f"{match[1]}{block(match['name'], folder)}\n{match[3]}", text)


def block(name: str, folder: Path) -> str:
    """One bench's results: the table, what is to be said of it, the circumstances and the plot; or all their goals."""
    if name == ALL_GOALS:
        return goals(folder)
    runs = runs_of(name, folder)
    if not runs:
        return NOT_YET
    newest = runs[-1]
    parts = [table(newest["header"], rows(runs))]
    parts += [_note(note) for note in newest["notes"] if note]
    parts.append(circumstances(runs))
    plots = [file for file in (folder / f"{name}.svg", folder / f"{name}-{len(runs)}.svg") if file.exists()]
    parts += [f"![{newest['title']}]({PAGE.stem}/{plots[0].name})"] if plots else []
    return "\n\n".join(parts)


def goals(folder: Path) -> str:
    """What became of every bench's goals, in the order of the page."""
    names = [match["name"] for match in BLOCK.finditer(PAGE.read_text(encoding="utf-8"))]
    body = [[f"`{name}`", *row] for name in names for row in judged(runs_of(name, folder))]
    return table(("bench", "goal", "found", "wanted", ""), body) if body else NOT_YET


def judged(runs: Sequence[Run]) -> list[list[str]]:
    """The goals of one bench: what, found, wanted, and in how many of the runs it was kept if not in all or none."""
    if runs and runs[-1]["header"] == EACH_ROW_A_GOAL:
        return [[what, figure, goal, "kept" if met == "yes" else "missed"] for what, goal, figure, met in rows(runs)]
    found = []
    for goal in runs[-1]["goals"] if runs else ():
        alike = [each for run in runs for each in run["goals"] if each["what"] == goal["what"]]
        what, _, wanted, judgement = goal["row"]
        kept = sum(each["is_kept"] for each in alike)
        if 0 < kept < len(alike):
            judgement = f"kept in {kept} of {len(alike)}"
        found.append([what, spread([each["row"][1] for each in alike]), wanted, judgement])
    return found


def runs_of(name: str, folder: Path) -> list[Run]:
    """The bench's runs, oldest first."""
    files = [file for file in folder.glob(f"{name}*.json") if re.fullmatch(rf"{name}(-\d+)?", file.stem)]
    runs: list[Run] = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    return sorted(runs, key=lambda run: str(run["at"]))


def rows(runs: Sequence[Run]) -> list[list[str]]:
    """The newest run's rows, each figure over all runs that have the same rows: those of a search may differ."""
    newest = runs[-1]["rows"]
    alike = [run["rows"] for run in runs if [row[0] for row in run["rows"]] == [row[0] for row in newest]]
    return [
        [spread([run[place][column] for run in alike]) for column in range(len(row))]
        for place, row in enumerate(newest)
    ]


def _note(note: str) -> str:
    """A note of several lines is a table of its own, laid out already."""
    return f"```text\n{note}\n```" if "\n" in note else note[0].upper() + note[1:]


class _Figure(NamedTuple):
    sign: str
    number: float
    places: int
    unit: str


def spread(cells: Sequence[str]) -> str:
    """One cell from those of several runs: "52 (50 to 57)". What are not figures of one unit stays the newest's."""
    figures = [_figure(cell) for cell in cells]
    known = [figure for figure in figures if figure is not None]
    if len(set(cells)) == 1 or len(known) < len(cells) or len({figure.unit for figure in known}) > 1:
        return cells[-1]
    _, _, places, unit = known[-1]
    sign = "+" if any(figure.sign for figure in known) else ""
    numbers = [figure.number for figure in known]
    middle, least, most = (f"{number:{sign}.{places}f}" for number in (median(numbers), min(numbers), max(numbers)))
    return f"{middle}{unit} ({least} to {most})"


def _figure(cell: str) -> _Figure | None:
    match = FIGURE.fullmatch(cell.strip())
    return match and _Figure(match["sign"], float(match["number"]), len(match["places"] or ""), match["unit"])


def table(header: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """In Markdown, the first column to the left, the others to the right."""
    ruler = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, ruler, *body))


def circumstances(runs: Sequence[Run]) -> str:
    """When, where and with what it was measured."""
    newest = runs[-1]
    versions = ", ".join((newest["versions"], *(f"{name} {number}" for name, number in newest["with"].items())))
    several = f"{len(runs)} runs: the median (least to greatest). " if len(runs) > 1 else ""
    return f"{several}{newest['at']}, {newest['machine']}; {versions}; load {newest['load']}."


def main(folder: Path = KEPT) -> None:
    """Render the pages and the README."""
    for file in (PAGE, RELIABILITY, README):
        file.write_text(page(file.read_text(encoding="utf-8"), folder), encoding="utf-8")


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:2]))
