"""The `surveillx` command. The only module that configures logging and decides the exit status.

Each subcommand imports what it needs when it runs, so that `publish` works where the server's packages are missing.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import __version__
from .config import Settings, load_settings
from .errors import ConfigError, SurveillxError

USAGE_ERROR = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status: 0 well, 1 failed, 2 wrong usage or settings."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        settings = load_settings(_flags(options), file=options.config)
        _configure_logging(settings.log_level)
        return int(options.run(options, settings))
    except ConfigError as error:
        print(f"surveillx: {error.detail}", file=sys.stderr)
        return USAGE_ERROR
    except SurveillxError as error:
        print(f"surveillx: {error.detail}", file=sys.stderr)
        return 1
    except ModuleNotFoundError as error:
        print(
            f"surveillx: the package {error.name} is not installed. `pip install surveillx-fastrtc` is enough to "
            "publish a camera; the server needs `make setup`, or the lock file requirements/server.txt.",
            file=sys.stderr,
        )
        return 1
    except KeyboardInterrupt:
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="surveillx", description="A classroom camera in every browser.")
    parser.add_argument("--version", action="version", version=f"surveillx {__version__}")
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings as TOML; see docs/configuration.md")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_serve(commands, "serve", "run the server")
    demo = _add_serve(commands, "demo", "run the server with a built-in sample camera")
    demo.set_defaults(run=_demo)
    _add_enroll(commands)
    _add_calibrate(commands)
    _add_people(commands)
    _add_import(commands)
    _add_user(commands)
    _add_token(commands)
    _add_publish(commands)
    _add_doctor(commands)
    _add_bench(commands)
    return parser


def _add_serve(commands: Any, name: str, text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
    parser.add_argument("--host", help="address to listen on (127.0.0.1)")
    parser.add_argument("--port", type=int, help="TCP port (8080); 0 picks a free one")
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder for people and attendance (data)")
    parser.add_argument("--insecure", action="store_const", const=True, help="allow a public address without tokens")
    parser.add_argument("--log-level", metavar="LEVEL", help="DEBUG, INFO, WARNING or ERROR (INFO)")
    parser.set_defaults(run=_serve)
    return parser


def _add_enroll(commands: Any) -> None:
    text = "add a person; a running server knows them within two seconds"
    parser = commands.add_parser("enroll", help=text, description=text)
    parser.add_argument("name", help="as it is to appear on the picture")
    parser.add_argument(
        "photos", nargs="+", type=Path, metavar="PHOTO", help="one face each, sharp, at least 80 pixels"
    )
    parser.add_argument("--roll-no", help="the school's number for this person")
    parser.add_argument("--class", dest="class_name", metavar="CLASS", help="the person's class")
    parser.add_argument("--confirm", action="store_true", help="also where the face resembles someone else's")
    parser.add_argument("--data", type=Path, metavar="DIR", help="the server's data folder (data)")
    parser.set_defaults(run=_enroll)


def _add_calibrate(commands: Any) -> None:
    text = "tell whether recognition will work with the people enrolled, and which threshold fits"
    parser = commands.add_parser("calibrate", help=text, description=text)
    parser.add_argument(
        "--risk", type=float, default=0.01, metavar="R", help="false marks a day that are acceptable (0.01)"
    )
    parser.add_argument(
        "--visitors-a-day", type=float, default=20, metavar="N", help="strangers in the picture a day (20)"
    )
    parser.add_argument("--plot", type=Path, metavar="FILE", help="write the plot there, as SVG")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    parser.add_argument("--data", type=Path, metavar="DIR", help="the server's data folder (data)")
    parser.set_defaults(run=_calibrate)


def _add_people(commands: Any) -> None:
    text = "list, rename, delete people, or record their consent"
    parser = commands.add_parser("people", help=text, description=text)
    parser.set_defaults(run=_people)
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    listing = _add_action(actions, "list", "who is enrolled")
    listing.add_argument("--class", dest="class_name", metavar="CLASS", help="of this class only")
    renaming = _add_action(actions, "rename", "change a name, a roll number or a class", takes_id=True)
    renaming.add_argument("name", nargs="?", help="as it is to appear on the picture")
    renaming.add_argument("--roll-no", help="the school's number for this person; empty removes it")
    renaming.add_argument("--class", dest="class_name", metavar="CLASS", help="the class; empty removes it")
    deleting = _add_action(actions, "delete", "delete a person and everything biometric", takes_id=True)
    deleting.add_argument("--yes", action="store_true", help="do not ask")
    consent = _add_action(actions, "consent", "without it a person is pixelated and never marked", takes_id=True)
    consent.add_argument("consent", choices=("yes", "no"))


def _add_action(actions: Any, name: str, text: str, *, takes_id: bool = False) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = actions.add_parser(name, help=text, description=text)
    parser.add_argument("--data", type=Path, metavar="DIR", help="the server's data folder (data)")
    parser.set_defaults(action=name)
    if takes_id:
        parser.add_argument("id", type=int, help="the number that `surveillx people list` shows")
    return parser


def _add_import(commands: Any) -> None:
    text = "add a whole class from a folder of photos or a CSV; twice adds nothing twice"
    parser = commands.add_parser("import", help=text, description=text)
    parser.add_argument("path", type=Path, help="a folder (Name/photo.jpg, Class/Name/photo.jpg, 17_Name.jpg) or a CSV")
    parser.add_argument("--data", type=Path, metavar="DIR", help="the server's data folder (data)")
    parser.set_defaults(run=_import)


def _add_user(commands: Any) -> None:
    text = "who may sign in: add, list, remove accounts; a running server knows within two seconds"
    parser = commands.add_parser("user", help=text, description=text)
    parser.set_defaults(run=_user)
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    adding = _add_action(actions, "add", "make an account; asks for its password, or reads it from a pipe")
    adding.add_argument("name")
    adding.add_argument(
        "--role", choices=("viewer", "staff", "admin"), default="viewer", help="watch, look after people, or everything"
    )
    _add_cameras(adding, "a viewer may watch this camera; may be repeated; without it, all")
    _add_action(actions, "list", "every account")
    for name, about in (
        ("remove", "remove an account; whoever is signed in with it is out within seconds"),
        ("password", "set another password, which signs the account out everywhere"),
        ("sign-out", "sign the account out of every browser"),
    ):
        _add_action(actions, name, about).add_argument("name")


def _add_token(commands: Any) -> None:
    text = "tokens for camera PCs, programs and wall screens: add, list, revoke"
    parser = commands.add_parser("token", help=text, description=text)
    parser.set_defaults(run=_token)
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    adding = _add_action(actions, "add", "make a token and print it, once")
    adding.add_argument("name", help="what it is for, such as 'PC in room 12'")
    adding.add_argument(
        "--scope",
        choices=("publish", "view", "staff", "metrics", "admin"),
        default="publish",
        help="what it is good for (publish)",
    )
    _add_cameras(adding, "good for this camera only; may be repeated")
    adding.add_argument("--days", type=int, metavar="N", help="expires after N days; without it, never")
    _add_action(actions, "list", "every token; never its secret, which is not kept")
    revoking = _add_action(actions, "revoke", "remove a token; what it opened ends within seconds")
    revoking.add_argument("id", type=int, help="the number that `surveillx token list` shows")


def _add_cameras(parser: argparse.ArgumentParser, text: str) -> None:
    parser.add_argument("--camera", action="append", default=[], metavar="ID", dest="cameras", help=text)


def _add_publish(commands: Any) -> None:
    from .publisher import add_arguments

    text = "send this machine's camera to a server"
    parser = commands.add_parser("publish", help=text, description=text)
    add_arguments(parser)
    parser.set_defaults(run=_publish)


def _add_doctor(commands: Any) -> None:
    from .doctor import add_arguments

    text = "find out what keeps a camera PC or a browser from the server, and what mends it"
    parser = commands.add_parser("doctor", help=text, description=text)
    add_arguments(parser)
    parser.add_argument("--host", help="without --server: as for serve")
    parser.add_argument("--port", type=int, help="without --server: as for serve")
    parser.add_argument("--data", type=Path, metavar="DIR", help="without --server: as for serve")
    parser.set_defaults(run=_doctor)


def _add_bench(commands: Any) -> None:
    from .bench import add_arguments

    text = "measure latency and cost on this machine"
    add_arguments(commands.add_parser("bench", help=text, description=text))


def _flags(options: argparse.Namespace) -> dict[str, Any]:
    names = ("host", "port", "data", "insecure", "log_level")
    return {name: getattr(options, name, None) for name in names}


def _configure_logging(level: str) -> None:
    logging.raiseExceptions = False  # a closed pipe must not fill what is left with tracebacks
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)-7s %(name)s: %(message)s", stream=sys.stderr)
    # These say at INFO what we say at our own level, a line for each packet or request.
    for name in ("aioice", "aiortc", "alembic", "httpx", "uvicorn", "socketio", "engineio"):
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLevelName(level)))


def _serve(_options: argparse.Namespace, settings: Settings) -> int:
    from .serving import serve

    return serve(settings)


def _demo(options: argparse.Namespace, settings: Settings) -> int:
    from .demo import demo

    return demo(settings, own_data=options.data is not None)


def _enroll(options: argparse.Namespace, settings: Settings) -> int:
    from .enroll import NewPerson, enroll

    wanted = NewPerson(options.name, options.roll_no, options.class_name, options.photos, options.confirm)
    person = enroll(settings, wanted)
    print(f"{person.name} is enrolled with {person.photos} photo{'s' if person.photos != 1 else ''} (id {person.id}).")
    return 0


def _calibrate(options: argparse.Namespace, settings: Settings) -> int:
    from .calibrate import run

    return run(settings, options.risk, options.visitors_a_day, plot=options.plot, as_json=options.json)


def _people(options: argparse.Namespace, settings: Settings) -> int:
    from .people_command import run_people

    return run_people(options, settings)


def _import(options: argparse.Namespace, settings: Settings) -> int:
    from .people_command import run_import

    return run_import(options, settings)


def _user(options: argparse.Namespace, settings: Settings) -> int:
    from .access_command import run_user

    return run_user(options, settings)


def _token(options: argparse.Namespace, settings: Settings) -> int:
    from .access_command import run_token

    return run_token(options, settings)


def _doctor(options: argparse.Namespace, settings: Settings) -> int:
    from .doctor import run

    return run(options, settings)


def _publish(options: argparse.Namespace, settings: Settings) -> int:
    from .publisher import run

    return run(options, settings.publish_token)


if __name__ == "__main__":
    sys.exit(main())
