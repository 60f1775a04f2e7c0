"""What measures: `surveillx bench latency` and `surveillx bench viewers`. The server imports nothing from here."""

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


def _latency(options: argparse.Namespace, _settings: Any) -> int:
    from .latency import run

    return run(options.seconds)


def _viewers(options: argparse.Namespace, _settings: Any) -> int:
    from .viewers import run

    return run(options.seconds, options.counts, options.stock_counts)
