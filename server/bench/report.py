"""What a measurement prints: the machine and the versions first, so that a figure can be judged."""

from __future__ import annotations

import json
import math
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any, Literal

from .processes import BenchError

# Others' use of the processors, per processor, that a measurement can stand.
BUSY_LOAD = 0.25

GOALS_HEADER = ("goal", "found", "wanted", "")


def circumstances(*packages: str, **more: str) -> dict[str, str]:
    """When, where and with which versions something is measured; `packages` and `more` are added to the versions."""
    versions = {name: version(name) for name in ("surveillx-fastrtc", "aiortc", "av", *packages)} | more
    return {
        "at": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "machine": f"{os.cpu_count()} x {_processor()}, {platform.system()} {platform.release()}",
        "versions": f"Python {platform.python_version()}, "
        + ", ".join(f"{name} {number}" for name, number in versions.items()),
        "load": _load(),
    }


def heading(title: str, facts: Mapping[str, str]) -> str:
    """Title and circumstances, in lines."""
    lines = (f"  {name:<9} {value}" for name, value in facts.items())
    return "\n".join((title, *lines))


def _load() -> str:
    if not hasattr(os, "getloadavg"):
        return "unknown"
    load = os.getloadavg()[0]
    busy = load > BUSY_LOAD * (os.cpu_count() or 1)
    return f"{load:.2f} before the start" + (": too busy, the figures will be worse than they are" if busy else "")


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


@dataclass(frozen=True)
class Chart:
    """What a measurement looks like: named series of (x, y), as lines, points, or bars beside or upon each other.

    `categories` name the places 0, 1, 2 ... on the x axis, where it has no numbers.
    """

    title: str
    x_label: str
    y_label: str
    series: Mapping[str, Sequence[tuple[float, float]]]
    kind: Literal["lines", "points", "bars", "stacked"] = "lines"
    categories: Sequence[str] = ()


@dataclass(frozen=True)
class Goal:
    """What a bench aims at, and what it found: `value` should be at most `limit`, or at least where `is_least`."""

    what: str
    value: float
    limit: float
    unit: str = ""
    is_least: bool = False

    @property
    def is_kept(self) -> bool:
        """Whether the value is within its limit."""
        return self.value >= self.limit if self.is_least else self.value <= self.limit

    @property
    def row(self) -> tuple[str, str, str, str]:
        """What, found, goal, judgement; in words."""
        unit = f" {self.unit}" if self.unit else ""
        limit = f"at {'least' if self.is_least else 'most'} {_brief(self.limit)}{unit}"
        return self.what, f"{_brief(self.value)}{unit}", limit, "kept" if self.is_kept else "missed"


def _brief(value: float) -> str:
    """Three figures, or all before the point."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


@dataclass(frozen=True)
class Result:
    """What a bench found: `rows` under `header` and `notes` to read, `figures` for machines, `chart` to look at.

    `goals` are judged by whoever tells the result. `versions` are of what took part besides the server, such as the
    browser.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    figures: Mapping[str, Any]
    notes: Sequence[str] = ()
    chart: Chart | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    goals: Sequence[Goal] = ()

    def __post_init__(self) -> None:
        if any(len(row) != len(self.header) for row in self.rows):
            raise ValueError("a row has not as many cells as the header")

    def text(self) -> str:
        """The table, the notes, and what became of the goals."""
        with_whom = [", ".join(f"{name} {number}" for name, number in self.versions.items())] if self.versions else []
        judged = ["", table(GOALS_HEADER, [goal.row for goal in self.goals])] if self.goals else []
        return "\n".join((table(self.header, self.rows), *self.notes, *judged, *with_whom))

    def as_json(self) -> dict[str, Any]:
        """Everything but the chart."""
        return {
            "with": dict(self.versions),
            "header": list(self.header),
            "rows": [list(row) for row in self.rows],
            "notes": list(self.notes),
            "goals": [{**asdict(goal), "is_kept": goal.is_kept, "row": goal.row} for goal in self.goals],
            "figures": dict(self.figures),
        }


def progress(text: str) -> None:
    """Say how far a measurement is, where it does not mix with its result."""
    print(f"  {text}", file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Sample:
    """Latencies in milliseconds, in the order they were seen, and how many seconds that took."""

    values_ms: Sequence[float]
    seconds: float

    @property
    def median_ms(self) -> float:
        """The middle one."""
        return median(self.values_ms)

    @property
    def p95_ms(self) -> float:
        """19 of 20 are no greater."""
        ordered = sorted(self.values_ms)
        return ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))]

    @property
    def fps(self) -> float:
        """Pictures a second."""
        return len(self.values_ms) / self.seconds


def write_json(file: Path, content: Mapping[str, Any]) -> None:
    """Write a result for machines.

    Raises:
        BenchError: the file cannot be written.
    """
    try:
        file.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise BenchError(f"The result cannot be written to {file}: {error.strerror or error}.") from error


def figures_of(sample: Sample) -> dict[str, float]:
    """A sample's n, median, p95 and rate, for machines."""
    return {
        "n": len(sample.values_ms),
        "median_ms": round(sample.median_ms, 1),
        "p95_ms": round(sample.p95_ms, 1),
        "fps": round(sample.fps, 2),
    }


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns wide enough for their content; the first to the left, the others to the right."""
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    return "\n".join(
        "  ".join(cell.rjust(width) if column else cell.ljust(width) for column, (cell, width) in enumerate(cells))
        for cells in (list(zip(row, widths, strict=True)) for row in (header, *rows))
    )


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Of the straight line nearest to the points (least squares): what one more x adds to y."""
    return line(points)[0]


def line(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """That slope and its standard error, which is not a number for fewer than three points."""
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    rise = sum((x - mean_x) * (y - mean_y) for x, y in points) / spread
    missed = sum((y - mean_y - rise * (x - mean_x)) ** 2 for x, y in points)
    return rise, math.sqrt(missed / (len(points) - 2) / spread) if len(points) > 2 else math.nan
