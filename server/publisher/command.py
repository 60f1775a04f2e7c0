"""`surveillx publish`: the options, and running a publisher until it is told to stop."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys

from .. import sample
from .devices import Mode, SourceError, list_cameras
from .peer import IceServers
from .publisher import Publisher, PublisherSettings, new_event_loop
from .signalling import server_url

logger = logging.getLogger("surveillx.publisher")

SAMPLE = "sample"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `surveillx publish`."""
    parser.add_argument("--list", action="store_true", help="show this machine's cameras and end")
    parser.add_argument("--server", metavar="URL", default="http://127.0.0.1:8080", help="default: %(default)s")
    parser.add_argument("--camera", metavar="ID", default="1", help="the camera's name on the server; default: 1")
    parser.add_argument(
        "--source",
        default="0",
        help='a camera by number or "name", a video file (played in a loop), an rtsp:// address, or "sample", a clip '
        "of two people that always plays the same; default: 0",
    )
    parser.add_argument("--size", default="1280x720", help="default: %(default)s; a camera may give less")
    parser.add_argument("--fps", type=int, default=30, help="default: %(default)s")
    parser.add_argument("--max-bitrate", type=float, metavar="MBIT", default=4.0, help="Mbit/s; default: %(default)s")
    parser.add_argument("--stun", metavar="URL", default="", help="stun:HOST:PORT, for a server behind the Internet")
    parser.add_argument(
        "--turn", metavar="URL", default="", help="turn:HOST:PORT, where UDP is blocked; default: what the server names"
    )
    parser.add_argument("--turn-user", metavar="NAME", default="")
    parser.add_argument("--turn-password", metavar="PASSWORD", default="")


def run(args: argparse.Namespace, token: str) -> int:
    """Carry out `surveillx publish`; returns the exit status. `token` is the server's publish token, "" for none."""
    if args.list:
        _print_cameras()
        return 0
    try:
        settings = _settings(args, token)
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            runner.run(_publish(settings))
    except (SourceError, ValueError) as error:
        logger.error("%s", error)
        return 1
    return 0


def _settings(args: argparse.Namespace, token: str) -> PublisherSettings:
    server_url(args.server)
    if not 0.1 <= args.max_bitrate <= 50:
        raise ValueError(f"--max-bitrate {args.max_bitrate} is not a rate between 0.1 and 50 Mbit/s")
    return PublisherSettings(
        server=args.server,
        camera_id=args.camera,
        source=str(sample.CLIP) if args.source == SAMPLE else args.source,
        token=token,
        mode=Mode.parse(args.size, args.fps),
        max_bitrate_bps=round(args.max_bitrate * 1_000_000),
        ice_servers=IceServers(args.stun, args.turn, args.turn_user, args.turn_password),
    )


async def _publish(settings: PublisherSettings) -> None:
    publisher = Publisher(settings)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        # Not loop.add_signal_handler: Windows has none.
        signal.signal(number, lambda *_: loop.call_soon_threadsafe(publisher.stop))
    await publisher.run()
    logger.info("Stopped.")


def _print_cameras() -> None:
    cameras = list_cameras(sys.platform)
    for number, camera in enumerate(cameras):
        print(f'{number}  "{camera.name}"')
    if not cameras:
        print("No camera was found on this machine.")
