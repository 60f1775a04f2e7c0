"""The command line of the doctor: what to examine, and how it is told."""

from __future__ import annotations

import argparse
import asyncio
import json
from urllib.parse import urlsplit

from ..config import Settings
from .remote import Target, examine
from .steps import Report, Step

MARKS = {"ok": "ok     ", "failed": "FAILED ", "not tried": "-      "}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `surveillx doctor`."""
    parser.add_argument("--server", metavar="URL", help="examine the way to this server, such as http://school:8080")
    parser.add_argument("--token", default="", help="what a viewer shows there, if one is needed")
    parser.add_argument("--camera", default="1", metavar="ID", help="whose picture to wait for (1)")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Examine; returns the exit status: 0 well, 1 something failed."""
    report = Report((lambda _step: None) if options.json else _tell)
    url = options.server
    if url is None:
        from .local import examine_settings  # noqa: PLC0415 - needs the server's packages

        url = examine_settings(report, settings)
    if url:
        token = options.token or settings.view_token
        asyncio.run(examine(report, Target(_complete(url), token, options.camera)))
    if options.json:
        print(json.dumps(report.as_json(), indent=2))
    else:
        print("Everything works." if report.is_well else "Something failed: see what to do above.")
    return 0 if report.is_well else 1


def _complete(url: str) -> str:
    """`school` and `school:8080` as people type them."""
    complete = url if "://" in url else f"http://{url}"
    return complete if urlsplit(complete).port or complete.startswith("https:") else f"{complete.rstrip('/')}:8080"


def _tell(step: Step) -> None:
    took = f"  ({step.took_s * 1000:.0f} ms)" if step.took_s else ""
    print(f"{MARKS[step.outcome]} {step.name}: {step.words}{took}", flush=True)
    if step.todo:
        print(f"         What to do: {step.todo}", flush=True)
