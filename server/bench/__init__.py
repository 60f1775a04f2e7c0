"""What measures: `surveillx bench latency`, `viewers` and `join`. The server imports nothing from here."""

from __future__ import annotations

import argparse
from typing import Any


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the measurements as subcommands; each sets `run(options, settings) -> exit status`."""
    benches = parser.add_subparsers(required=True, metavar="BENCH")
    latency = benches.add_parser("latency", help="camera to browser in milliseconds; needs Chromium")
    latency.add_argument("--seconds", type=float, default=20.0, help="measured in each case; default: %(default)s")
    latency.set_defaults(run=_latency)
    viewers = benches.add_parser("viewers", help="server CPU for each added viewer, beside stock aiortc; Linux")
    viewers.add_argument("--seconds", type=float, default=5.0, help="measured at each count; default: %(default)s")
    viewers.add_argument(
        "--counts", type=int, nargs="+", default=[0, 1, 4, 16, 32], help="viewers of our server; default: 0 1 4 16 32"
    )
    viewers.add_argument(
        "--stock-counts", type=int, nargs="+", default=[0, 1, 2, 3], help="viewers of stock aiortc; default: 0 1 2 3"
    )
    viewers.set_defaults(run=_viewers)
    join = benches.add_parser("join", help="from the click to the first picture; needs Chromium")
    join.add_argument("--count", type=int, default=40, help="how often; default: %(default)s")
    join.set_defaults(run=_join)
    for bench in (latency, viewers, join):
        bench.add_argument("--clip", metavar="FILE", help="the camera's video; default: the sample camera's")


def _latency(options: argparse.Namespace, _settings: Any) -> int:
    from .latency import run  # noqa: PLC0415 - only where it is run: needs the server's packages

    return run(options.seconds, options.clip or _sample_clip())


def _viewers(options: argparse.Namespace, _settings: Any) -> int:
    from .viewers import run  # noqa: PLC0415

    return run(options.seconds, options.clip or _sample_clip(), options.counts, options.stock_counts)


def _join(options: argparse.Namespace, _settings: Any) -> int:
    from .join import run  # noqa: PLC0415

    return run(options.count, options.clip or _sample_clip())


def _sample_clip() -> str:
    from ..sample import CLIP  # noqa: PLC0415

    return str(CLIP)
