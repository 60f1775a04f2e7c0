"""What measures: `surveillx bench latency`, `viewers`, `join`, `recognition`. The server imports nothing from here."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
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
    _add_recognition(benches)


def _add_recognition(benches: Any) -> None:
    text = "who is found and named in clips, how soon, and what it costs; without a clip: the sample's"
    recognition = benches.add_parser("recognition", help=text, description=text)
    recognition.add_argument("videos", nargs="*", type=Path, metavar="VIDEO", help="any clip that FFmpeg plays")
    recognition.add_argument("--people", type=Path, metavar="FOLDER", help="photos: Name/*.jpg or Name.jpg")
    recognition.add_argument(
        "--truth",
        nargs="+",
        type=Path,
        default=[],
        metavar="FILE",
        help="who is where, one file a clip or the folder of CLIP.json; docs/recognition.md shows the form",
    )
    recognition.add_argument("--json", type=Path, metavar="FILE", help="write the result there too")
    recognition.add_argument(
        "--fast", action="store_true", help="not in real time: waits for each result, says nothing about speed"
    )
    recognition.set_defaults(run=_recognition)


def _latency(options: argparse.Namespace, _settings: Any) -> int:
    from .latency import run  # noqa: PLC0415 - only where it is run: needs the server's packages

    return run(options.seconds, options.clip or _sample_clip())


def _viewers(options: argparse.Namespace, _settings: Any) -> int:
    from .viewers import run  # noqa: PLC0415

    return run(options.seconds, options.clip or _sample_clip(), options.counts, options.stock_counts)


def _join(options: argparse.Namespace, _settings: Any) -> int:
    from .join import run  # noqa: PLC0415

    return run(options.count, options.clip or _sample_clip())


def _recognition(options: argparse.Namespace, settings: Any) -> int:
    from .processes import BenchError  # noqa: PLC0415
    from .recognition import run, wish  # noqa: PLC0415

    try:
        return run(wish(options.videos, options.people, options.truth, is_fast=options.fast), settings, options.json)
    except BenchError as error:
        print(f"surveillx bench: {error}", file=sys.stderr)
        return 1


def _sample_clip() -> str:
    from ..sample import CLIP  # noqa: PLC0415

    return str(CLIP)
