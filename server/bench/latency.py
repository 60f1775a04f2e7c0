"""`surveillx bench latency`: glass to glass, from the moment a picture is taken to the moment the browser presents it.

One clip, one publisher, one browser, one clock, one machine; only what lies between them differs from case to case.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial

from .browser import chromium, measure
from .processes import Serving, serving, started
from .report import Chart, Result, Sample, figures_of, progress

DIRECT = "direct, no server"
WITHOUT = "server, recognition off"
WITH = "server, recognition on"


def run(seconds: float, clip: str) -> Result:
    """Measure.

    Raises:
        BenchError: there is no Chromium, a server does not start, or no picture comes.
    """
    with chromium() as browser:
        samples = {}
        for name, server in cases():
            samples[name] = _case(server, lambda url: measure(browser, url, seconds), clip)
            progress(f"measured: {name}")
        return render(samples, browser.version)


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


def _case(server: Callable[[], AbstractContextManager[Serving]], look: Callable[[str], Sample], clip: str) -> Sample:
    with server() as running, started("server.bench.camera", running.url, clip):
        return look(running.url)


def render(samples: dict[str, Sample], chromium_version: str) -> Result:
    """The result, with what each case adds to the direct connection."""
    direct = samples[DIRECT]
    rows = [
        (
            name,
            str(len(sample.values_ms)),
            f"{sample.median_ms:.0f}",
            f"{sample.p95_ms:.0f}",
            f"{sample.fps:.1f}",
            "" if sample is direct else f"{sample.median_ms - direct.median_ms:+.0f}",
        )
        for name, sample in samples.items()
    ]
    return Result(
        ("case", "n", "median ms", "p95 ms", "fps", "above direct"),
        rows,
        {name: figures_of(sample) for name, sample in samples.items()},
        chart=Chart(
            "Camera to browser",
            "",
            "ms",
            {
                "median": [(place, sample.median_ms) for place, sample in enumerate(samples.values())],
                "p95": [(place, sample.p95_ms) for place, sample in enumerate(samples.values())],
            },
            "bars",
            tuple(samples),
        ),
        versions={"Chromium": chromium_version},
    )
