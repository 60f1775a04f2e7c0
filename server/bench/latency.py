"""`surveillx bench latency`: glass to glass, from the moment a picture is taken to the moment the browser presents it.

One clip of three faces, one publisher, one browser, one clock, one machine; only what lies between them differs from
case to case. Where the milliseconds go: the camera's leg and the server's stages as the server tells them, the
browser's from its statistics; what is left is the network.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import partial

import httpx
from prometheus_client.parser import text_string_to_metric_families

from .browser import Viewing, chromium, measure
from .processes import Serving, serving, started
from .report import Chart, Goal, Result, Sample, figures_of, progress, table

DIRECT = "direct, no server"
WITHOUT = "server, recognition off"
WITH = "server, recognition on"

STAGES = ("decode", "wait", "draw", "encode", "send")


@dataclass(frozen=True)
class Case:
    """One case: what the browser saw, and the mean milliseconds of each of the server's stages."""

    viewing: Viewing
    stages_ms: Mapping[str, float] = field(default_factory=dict)

    @property
    def legs_ms(self) -> dict[str, float]:
        """Where the time goes, in the order of the way; without a server the network is part of the camera's leg."""
        viewing = self.viewing
        way_ms = viewing.sample.median_ms - sum(self.stages_ms.values()) - viewing.browser_ms
        camera_ms = way_ms if viewing.camera_ms is None else viewing.camera_ms
        return {
            "camera": camera_ms,
            **{f"server {stage}": value for stage, value in self.stages_ms.items()},
            "network": way_ms - camera_ms,
            "buffer": viewing.buffer_ms,
            "decode": viewing.decode_ms,
            "display": viewing.display_ms,
        }


def run(seconds: float, clip: str, *, has_third: bool) -> Result:
    """Measure each case for so long; `has_third` seats a third person in the sample's classroom.

    Raises:
        BenchError: there is no Chromium, a server does not start, or no picture comes.
    """
    with chromium() as browser:
        measured = {}
        for name, server in cases():
            progress(f"measuring: {name}")
            third = ("third",) if has_third else ()
            with server() as running, started("server.bench.camera", running.url, clip, *third):
                viewing = measure(browser, running.url, seconds)
                measured[name] = Case(viewing, {} if name == DIRECT else stages(running.url))
        return render(measured, browser.version)


def cases() -> list[tuple[str, Callable[[], AbstractContextManager[Serving]]]]:
    """What is measured: a name, and what stands between camera and browser."""
    return [
        (DIRECT, partial(serving, "server.bench.direct")),
        (WITHOUT, partial(own_server, recognition_every=0)),
        (WITH, partial(own_server, recognition_every=5)),
    ]


@contextmanager
def own_server(recognition_every: int) -> Iterator[Serving]:
    """`surveillx serve` as it is, in an empty data folder."""
    settings = {"SURVEILLX_RECOGNITION_EVERY": str(recognition_every), "SURVEILLX_LOG_LEVEL": "WARNING"}
    with tempfile.TemporaryDirectory(prefix="surveillx-bench-") as data:
        arguments = ("serve", "--port", "0", "--data", data)
        with serving("server.cli", *arguments, settings=settings) as server:
            yield server


def stages(url: str) -> dict[str, float]:
    """The mean milliseconds a picture spent in each of the server's stages so far."""
    text = httpx.get(f"{url}/metrics").text
    sums: dict[tuple[str, str], float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name.startswith("surveillx_stage_seconds_") and sample.labels["camera"] == "1":
                sums[sample.labels["stage"], sample.name.rpartition("_")[2]] = sample.value
    return {stage: 1000 * sums[stage, "sum"] / max(1.0, sums[stage, "count"]) for stage in STAGES}


def render(measured: Mapping[str, Case], chromium_version: str) -> Result:
    """The result, with what each case adds to the direct connection."""
    direct = measured[DIRECT].viewing.sample
    rows = []
    for name, case in measured.items():
        sample = case.viewing.sample
        added = (
            ("", "")
            if sample is direct
            else (f"{sample.median_ms - direct.median_ms:+.0f}", f"{sample.p95_ms - direct.p95_ms:+.0f}")
        )
        told_ms = case.viewing.told_ms
        frozen = f"{case.viewing.freezes} ({case.viewing.frozen_s:.1f} s)"
        rows.append(
            (
                name,
                str(len(sample.values_ms)),
                f"{sample.median_ms:.0f}",
                f"{sample.p95_ms:.0f}",
                *added,
                f"{sample.fps:.1f}",
                frozen,
                "" if told_ms is None else f"{told_ms:.0f}",
            )
        )
    legs = {name: case.legs_ms for name, case in measured.items()}
    return Result(
        ("case", "n", "median ms", "p95 ms", "median +", "p95 +", "fps", "freezes", "page tells"),
        rows,
        {
            name: {
                **figures_of(case.viewing.sample),
                "freezes": case.viewing.freezes,
                "frozen_s": case.viewing.frozen_s,
                "told_ms": case.viewing.told_ms,
                "legs_ms": {leg: round(value, 1) for leg, value in legs[name].items()},
            }
            for name, case in measured.items()
        },
        ["", "where the milliseconds go (ms; the network is what is left of the median):", _split(legs)],
        _chart(legs),
        {"Chromium": chromium_version},
        _goals(measured[WITH].viewing, direct),
    )


def _goals(viewing: Viewing, direct: Sample) -> list[Goal]:
    sample = viewing.sample
    return [
        Goal("picture later than direct, median", sample.median_ms - direct.median_ms, 25, "ms"),
        Goal("picture later than direct, p95", sample.p95_ms - direct.p95_ms, 40, "ms"),
        Goal("pictures a second in the browser", sample.fps, 29.5, is_least=True),
        Goal("freezes", viewing.freezes, 0),
    ]


def _split(legs: Mapping[str, Mapping[str, float]]) -> str:
    names = list(legs[WITH])
    rows = [(case, *(f"{values[leg]:.1f}" if leg in values else "" for leg in names)) for case, values in legs.items()]
    return table(("case", *names), rows)


def _chart(legs: Mapping[str, Mapping[str, float]]) -> Chart:
    series = {
        leg: [(float(place), values.get(leg, 0.0)) for place, values in enumerate(legs.values())] for leg in legs[WITH]
    }
    return Chart("Camera to browser", "", "ms", series, "stacked", tuple(legs))
