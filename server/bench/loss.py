"""`surveillx bench loss`: bad lines on either side of the server, each against its goal.

The line is a UDP proxy, and media has no other way. As root, everything runs in a network of its own, where the
kernel's packet filter loses at random (`namespaces`); otherwise the proxy does, which needs no rights.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

from . import downlinks, uplinks
from .browser import chromium
from .namespaces import own_network
from .processes import BenchError
from .report import Chart, Result, progress
from .uplinks import Row

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# What loses at random, in words.
LOST_BY = {
    "nft": "Random loss: by nft, everything in a network namespace of its own; all else by the proxy",
    "proxy": "Random loss: by the proxy, seeded, as all else (by nft where root, with iproute2 and nftables)",
}


def names() -> list[str]:
    """Every scenario there is."""
    return [*uplinks.scenarios(), *downlinks.scenarios()]


def run(seconds: float, clip: str, only: Sequence[str] = ()) -> Result:
    """Go through the scenarios named, or all.

    Raises:
        BenchError: a name that is none, no Chromium, or a part that does not start.
    """
    if unknown := sorted(set(only) - set(names())):
        raise BenchError(f"There is no scenario {', '.join(unknown)}. There are: {', '.join(names())}.")
    wanted = [name for name in names() if not only or name in only]
    up, down = uplinks.scenarios(), downlinks.scenarios()
    rows: dict[str, Row] = {}
    versions: dict[str, str] = {}
    with ExitStack() as stack:
        lost_by = "nft" if stack.enter_context(own_network()) else "proxy"
        progress(LOST_BY[lost_by])
        browser: Browser | None = None
        for name in wanted:
            if name in up:
                rows[name] = up[name](clip, seconds)
            else:
                browser = browser or stack.enter_context(chromium())
                versions["Chromium"] = browser.version
                rows[name] = down[name](browser, clip, seconds)
            progress(f"{rows[name].scenario}: {rows[name].figure}")
    return render(rows, seconds, versions, lost_by)


def render(rows: dict[str, Row], seconds: float, versions: dict[str, str], lost_by: str) -> Result:
    """The table, and how many met their goals. `lost_by` is "nft" or "proxy"."""
    met = sum(row.is_met for row in rows.values())
    gaps = {name: row.figures["longest_gap_s"] for name, row in rows.items() if "longest_gap_s" in row.figures}
    chart = Chart(
        "Longest time without a new picture from the camera",
        "",
        "seconds",
        {"longest gap": list(enumerate(gaps.values()))},
        "bars",
        list(gaps),
    )
    return Result(
        ("scenario", "goal", "found", "met"),
        [(row.scenario, row.goal, row.figure, "yes" if row.is_met else "NO") for row in rows.values()],
        {name: {"met": row.is_met, "lost_by": lost_by, **row.figures} for name, row in rows.items()},
        (
            f"{met} of {len(rows)} goals met; {seconds:g} s each, {uplinks.ROUND_TRIP_S * 1000:g} ms round trip",
            "Lines: a UDP proxy in a process of its own (server/bench/link.py)",
            LOST_BY[lost_by],
        ),
        chart if gaps else None,
        versions,
    )
