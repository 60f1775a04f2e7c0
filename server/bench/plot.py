"""Draws a measurement's chart into a file, SVG or PNG."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .processes import BenchError
from .report import Chart

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FORMATS = (".svg", ".png")
SIZE_INCHES = (8.0, 4.5)
# Readable on white and on black: the background is transparent, the ink between the two.
INK = "#7b8a8b"
COLOURS = ("#0f9a9e", "#d98324", "#7a5ad0", "#c23b5e", "#4c9a4c", "#8a8f98", "#b5a642", "#3f6fb5")
BAR_SHARE = 0.8
# More of them are a line only.
MARKED_POINTS = 40


def require_drawable(file: Path) -> None:
    """Check before the measurement that its chart can be drawn afterwards.

    Raises:
        BenchError: matplotlib is missing, or the file's ending is neither .svg nor .png.
    """
    if file.suffix.lower() not in FORMATS:
        raise BenchError(f"The plot {file} must end with .svg or .png.")
    try:
        import matplotlib.figure  # noqa: F401, PLC0415 - a development package, only for whoever wants a plot
    except ImportError as error:
        raise BenchError("A plot needs matplotlib: `pip install matplotlib`.") from error


def draw(chart: Chart, file: Path) -> None:
    """Draw the chart; the same chart gives the same SVG.

    Raises:
        BenchError: the file cannot be written.
    """
    import matplotlib as mpl  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    with mpl.rc_context(
        {
            "text.color": INK,
            "axes.labelcolor": INK,
            "axes.edgecolor": INK,
            "xtick.color": INK,
            "ytick.color": INK,
            "font.size": 11,
            "svg.fonttype": "none",  # text stays text
            "svg.hashsalt": "surveillx",  # ids that do not change from run to run
        }
    ):
        figure = Figure(figsize=SIZE_INCHES, layout="constrained")
        axes = figure.add_subplot()
        _fill(axes, chart)
        axes.set_title(chart.title)
        axes.set_xlabel(chart.x_label)
        axes.set_ylabel(chart.y_label)
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        if len(chart.series) > 1:
            axes.legend(frameon=False)
        try:
            figure.savefig(file, transparent=True, metadata={"Date": None} if file.suffix.lower() == ".svg" else None)
        except OSError as error:
            raise BenchError(f"The plot {file} cannot be written: {error.strerror or error}.") from error


def _fill(axes: Axes, chart: Chart) -> None:
    below = [0.0] * len(chart.categories)
    for number, (name, points) in enumerate(chart.series.items()):
        colour = COLOURS[number % len(COLOURS)]
        x, y = [point[0] for point in points], [point[1] for point in points]
        if chart.kind == "bars":
            width = BAR_SHARE / len(chart.series)
            left = number * width - (BAR_SHARE - width) / 2
            axes.bar([each + left for each in x], y, width, label=name, color=colour)
        elif chart.kind == "stacked":
            axes.bar(x, y, BAR_SHARE, below, label=name, color=colour)
            below = [base + top for base, top in zip(below, y, strict=True)]
        else:
            marker = "o" if chart.kind == "points" or len(points) < MARKED_POINTS else "none"
            style = "none" if chart.kind == "points" else "-"
            axes.plot(x, y, marker=marker, linestyle=style, label=name, color=colour)
    if chart.categories:
        axes.set_xticks(range(len(chart.categories)), chart.categories)
