"""The plot of a calibration as SVG: distances of one person's photos, of different people, and the thresholds.

Readable in light and dark, and by screen readers; no names in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

from .calibration import Calibration
from .comparison import BINS

WIDTH, HEIGHT = 560, 320
LEFT, RIGHT, TOP, BOTTOM = 16, 16, 56, 44  # around the bars
FARTHEST = 1.2

_SIZE = f'xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}"'

STYLE = """
svg{color-scheme:light dark;font:14px system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
text{fill:#14201f}.quiet{fill:#566665;font-size:12px}.axis{stroke:#566665}
.same{fill:#1c7a43}.different{fill:#8a5a00}.bars{opacity:.62}.model{fill:none;stroke:#8a5a00;stroke-width:2}
.now{stroke:#14201f;stroke-width:2}.suggestion{fill:#0f6f72}
.suggested{stroke:#0f6f72;stroke-width:2;stroke-dasharray:5 4}
@media(prefers-color-scheme:dark){text{fill:#e8efee}.quiet{fill:#9db0ae}.axis{stroke:#9db0ae}.same{fill:#6fd398}
.different{fill:#e2a93b}.model{stroke:#e2a93b}.now{stroke:#e8efee}.suggested{stroke:#4db6b2}.suggestion{fill:#4db6b2}}
"""


def chart(found: Calibration) -> str:
    """The SVG document."""
    same, different = _shares(found.same), _shares(found.different)
    model = _model(found)
    top = max([0.05, *same, *different, *(height for _, height in model)])
    parts = [
        f'<svg {_SIZE} role="img" aria-labelledby="title desc">',
        '<title id="title">How far apart faces are</title>',
        f'<desc id="desc">{escape(_description(found))}</desc>',
        f"<style>{STYLE}</style>",
        *_legend(found),
        *_axis(),
        *_bars(same, top, "same", found.bin),
        *_bars(different, top, "different", found.bin),
        f'<path class="model" d="{_path(model, top)}"/>',
        *_thresholds(found),
        "</svg>",
    ]
    return "\n".join(parts)


def _shares(counts: Sequence[int]) -> list[float]:
    """Each bin's share of all, so that few distances and many can stand side by side."""
    total = sum(counts)
    return [count / total if total else 0.0 for count in counts]


def _model(found: Calibration) -> list[tuple[float, float]]:
    """What is expected of different people: points (distance, share of a bin)."""
    edges = np.linspace(0, FARTHEST, BINS + 1)
    shares = np.diff(found.impostors.below(edges))
    return [(float(edge) + found.bin / 2, float(share)) for edge, share in zip(edges, shares, strict=False)]


def _x(distance: float) -> float:
    return LEFT + distance / FARTHEST * (WIDTH - LEFT - RIGHT)


def _y(share: float, top: float) -> float:
    return HEIGHT - BOTTOM - share / top * (HEIGHT - TOP - BOTTOM)


def _bars(shares: Sequence[float], top: float, kind: str, width: float) -> list[str]:
    across = _x(width) - _x(0) - 1
    return [
        f'<rect class="{kind} bars" x="{_x(place * width):.1f}" y="{_y(share, top):.1f}" width="{across:.1f}" '
        f'height="{HEIGHT - BOTTOM - _y(share, top):.1f}"/>'
        for place, share in enumerate(shares)
        if share
    ]


def _path(points: Sequence[tuple[float, float]], top: float) -> str:
    return "M" + " L".join(f"{_x(distance):.1f},{_y(share, top):.1f}" for distance, share in points)


def _axis() -> list[str]:
    bottom = HEIGHT - BOTTOM
    marks = [
        f'<text class="quiet" x="{_x(tenth / 10):.1f}" y="{bottom + 18}" text-anchor="middle">{tenth / 10:.1f}</text>'
        for tenth in range(0, 13, 2)
    ]
    return [
        f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{bottom}" y2="{bottom}"/>',
        *marks,
        f'<text class="quiet" x="{WIDTH / 2}" y="{HEIGHT - 6}" text-anchor="middle">distance between two faces</text>',
    ]


def _legend(found: Calibration) -> list[str]:
    different = "Different people (line: expected)" if sum(found.different) else "Different people, as expected"
    return [
        f'<rect class="same bars" x="{LEFT}" y="8" width="12" height="12" rx="2"/>',
        f'<text x="{LEFT + 18}" y="19">Photos of one person</text>',
        f'<rect class="different bars" x="{LEFT + 200}" y="8" width="12" height="12" rx="2"/>',
        f'<text x="{LEFT + 218}" y="19">{different}</text>',
    ]


def _thresholds(found: Calibration) -> list[str]:
    now = found.now.threshold
    lines = _threshold(now, "now", f"in force {now:.2f}", is_left=found.suggested is None)
    if found.suggested is not None and abs(found.suggested.threshold - now) >= 0.005:
        is_left = found.suggested.threshold < now
        lines = _threshold(now, "now", f"in force {now:.2f}", is_left=not is_left)
        label = f"suggested {found.suggested.threshold:.2f}"
        lines += _threshold(found.suggested.threshold, "suggested", label, is_left=is_left)
    return lines


def _threshold(at: float, kind: str, label: str, *, is_left: bool) -> list[str]:
    aside, anchor = (-6, "end") if is_left else (6, "start")
    colour = ' class="suggestion"' if kind == "suggested" else ""
    x = _x(min(at, FARTHEST))
    return [
        f'<line class="{kind}" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 16}" y2="{HEIGHT - BOTTOM}"/>',
        f'<text{colour} x="{x + aside:.1f}" y="{TOP - 4}" text-anchor="{anchor}">{label}</text>',
    ]


def _description(found: Calibration) -> str:
    words = (
        f"{sum(found.same)} distances of photos to others of the same person, {sum(found.different)} of photos to "
        f"other people, on a scale from 0 to {FARTHEST}. The threshold in force is {found.now.threshold:.2f}"
    )
    suggested = "" if found.suggested is None else f", {found.suggested.threshold:.2f} is suggested"
    return f"{words}{suggested}. {' '.join(found.words)}"
