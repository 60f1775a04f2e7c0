"""What measures: `surveillx bench NAME`. The server imports nothing from here.

Each bench prints the circumstances, a table and notes, and says on stderr how far it is; `--json` and `--plot` keep the
result. Modules are imported when their bench runs: they need the server's packages.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from .report import Result


class Bench(NamedTuple):
    """One measurement: `options` adds its flags, `run(options, settings)` measures.

    `run` raises `BenchError` when that cannot be done.
    """

    name: str
    title: str
    help: str
    options: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace, Any], Result]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the measurements as subcommands; each sets `run(options, settings) -> exit status`."""
    benches = parser.add_subparsers(required=True, metavar="BENCH")
    for bench in BENCHES:
        added = benches.add_parser(bench.name, help=bench.help, description=bench.help)
        bench.options(added)
        _add_outputs(added)
        added.add_argument("--plot", type=Path, metavar="FILE", help="draw the result there: .svg or .png")
        added.set_defaults(run=_measuring(bench))
    _add_recognition(benches)


def _add_outputs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result there too")


def _add_clip(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--clip", metavar="FILE", help="the camera's video; default: the sample camera's")


def _measuring(bench: Bench) -> Callable[[argparse.Namespace, Any], int]:
    def run(options: argparse.Namespace, settings: Any) -> int:
        from .processes import BenchError  # noqa: PLC0415

        try:
            with _interrupted_by_sigterm():
                _measure(bench, options, settings)
        except BenchError as error:
            print(f"surveillx bench: {error}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print("surveillx bench: interrupted", file=sys.stderr)
            return 130  # as shells have it: 128 + SIGINT
        return 0

    return run


@contextmanager
def _interrupted_by_sigterm() -> Iterator[None]:
    """SIGTERM as SIGINT: the processes of a measurement are ended, and those that take long tell what they have."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _measure(bench: Bench, options: argparse.Namespace, settings: Any) -> None:
    from . import plot, report  # noqa: PLC0415

    if options.plot is not None:
        plot.require_drawable(options.plot)
    facts = report.circumstances()  # before the measurement makes the machine busy itself
    print(report.heading(bench.title, facts), flush=True)
    result = bench.run(options, settings)
    print(result.text())
    if options.json is not None:
        report.write_json(options.json, {"bench": bench.name, "title": bench.title, **facts, **result.as_json()})
    if options.plot is not None and result.chart is not None:
        plot.draw(result.chart, options.plot)


def _latency_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seconds", type=float, default=60.0, help="measured in each case; default: %(default)s")
    _add_clip(parser)


def _latency(options: argparse.Namespace, _settings: Any) -> Result:
    from .latency import run  # noqa: PLC0415

    return run(options.seconds, options.clip or _sample_clip(), has_third=not options.clip)


def _viewers_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seconds", type=float, default=5.0, help="measured at each count; default: %(default)s")
    parser.add_argument("--repeats", type=int, default=3, help="how often at each count; default: %(default)s")
    for name, server, counts in (
        ("--counts", "our server", [0, 1, 25, 50, 100, 150]),
        ("--janus-counts", "Janus, if it is installed", [0, 1, 25, 50, 100, 150]),
        ("--stock-counts", "stock aiortc", [0, 1, 2, 3]),
    ):
        text = f"viewers of {server}; default: {' '.join(map(str, counts))}"
        parser.add_argument(name, type=int, nargs="+", default=counts, help=text)
    _add_clip(parser)


def _viewers(options: argparse.Namespace, _settings: Any) -> Result:
    from .viewers import Wish, run  # noqa: PLC0415

    clip = options.clip or _sample_clip()
    counts = (options.counts, options.janus_counts, options.stock_counts)
    return run(Wish(options.seconds, options.repeats, clip, *counts))


def _join_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--count", type=int, default=40, help="how often in the browser; default: %(default)s")
    parser.add_argument("--viewers", type=int, default=50, help="then so many within a second; default: %(default)s")
    _add_clip(parser)


def _join(options: argparse.Namespace, _settings: Any) -> Result:
    from .join import run  # noqa: PLC0415

    return run(options.count, options.clip or _sample_clip(), options.viewers)


def _page_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--count", type=int, default=20, help="visits; default: %(default)s")
    _add_clip(parser)


def _page(options: argparse.Namespace, _settings: Any) -> Result:
    from .page import run  # noqa: PLC0415

    return run(options.count, options.clip or _sample_clip())


def _loss_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seconds", type=float, default=30.0, help="of each scenario; default: %(default)s")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="these scenarios, such as up-5 down-400k")
    _add_clip(parser)


def _loss(options: argparse.Namespace, _settings: Any) -> Result:
    from .loss import run  # noqa: PLC0415

    return run(options.seconds, options.clip or _sample_clip(), options.only)


def _faults_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--repeats", type=int, default=5, help="how often each is done; default: %(default)s")
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="NAME", help="these faults, such as server recognition"
    )
    _add_clip(parser)


def _faults(options: argparse.Namespace, _settings: Any) -> Result:
    from .faults import run  # noqa: PLC0415

    return run(options.repeats, options.clip or _sample_clip(), options.only)


def _cameras_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seconds", type=float, default=10.0, help="measured at each count; default: %(default)s")
    parser.add_argument("--most", type=int, default=16, help="cameras at the most; default: %(default)s")
    _add_clip(parser)


def _cameras(options: argparse.Namespace, _settings: Any) -> Result:
    from .cameras import run  # noqa: PLC0415

    return run(options.seconds, options.clip or _sample_clip(), options.most)


def _soak_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--minutes", type=float, default=60.0, help="how long; default: %(default)s")
    _add_clip(parser)


def _soak(options: argparse.Namespace, _settings: Any) -> Result:
    from .soak import run  # noqa: PLC0415

    return run(options.minutes, options.clip or _sample_clip())


def _churn_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--connects", type=int, default=1000, help="viewers that come and go; default: %(default)s")
    parser.add_argument("--offers", type=int, default=500, help="offers never completed; default: %(default)s")
    _add_clip(parser)


def _churn(options: argparse.Namespace, _settings: Any) -> Result:
    from .churn import run  # noqa: PLC0415

    return run(options.connects, options.offers, options.clip or _sample_clip())


BENCHES = (
    Bench(
        "latency",
        "Latency, camera to browser, 1280x720 at 30 fps",
        "camera to browser in milliseconds; needs Chromium",
        _latency_options,
        _latency,
    ),
    Bench(
        "viewers",
        "Server CPU and viewers, 1280x720 at 30 fps, recognition off",
        "server CPU for each added viewer, beside Janus and stock aiortc; Linux",
        _viewers_options,
        _viewers,
    ),
    Bench(
        "join",
        "Joining a running camera, 1280x720 at 30 fps",
        "from the click to the first picture; needs Chromium",
        _join_options,
        _join,
    ),
    Bench(
        "page",
        "Opening the live page, 1280x720 at 30 fps, recognition on",
        "from opening the page, or showing it again, to its picture; needs Chromium",
        _page_options,
        _page,
    ),
    Bench(
        "loss",
        "Bad lines to and from the server, 1280x720 at 30 fps",
        "loss, blackouts and slow lines on either side, each against its goal; needs Chromium",
        _loss_options,
        _loss,
    ),
    Bench(
        "faults",
        "What breaks, and how soon it is whole again, 1280x720 at 30 fps",
        "processes killed, stopped and starved, each against its goal; needs Chromium; Linux",
        _faults_options,
        _faults,
    ),
    Bench(
        "cameras",
        "Server CPU and cameras, 1280x720 at 30 fps, recognition on",
        "how many cameras this machine carries, watched and not; Linux",
        _cameras_options,
        _cameras,
    ),
    Bench(
        "soak",
        "One camera and ten viewers for long, 1280x720 at 30 fps, recognition on",
        "what grows, lags or drifts in an hour; Linux",
        _soak_options,
        _soak,
    ),
    Bench(
        "churn",
        "Viewers and publishers that come and go, 1280x720 at 30 fps",
        "what connections leave behind that end well, badly or never begin; Linux",
        _churn_options,
        _churn,
    ),
)


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
    recognition.add_argument(
        "--fast", action="store_true", help="not in real time: waits for each result, says nothing about speed"
    )
    _add_outputs(recognition)
    recognition.set_defaults(run=_recognition)


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
