"""`surveillx people` and `surveillx import`: looking after people where there is no browser."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from .config import Settings
from .database import open_database
from .enroll import Line, import_class
from .recognition.people import PeopleStore, PersonChanges, PersonRecord, Receipt

Command = Callable[[PeopleStore, argparse.Namespace], Coroutine[Any, Any, None]]


def run_people(options: argparse.Namespace, settings: Settings) -> int:
    """Run the chosen action; returns the exit status.

    Raises:
        SurveillxError: it cannot be done; says why.
    """
    database = open_database(settings)
    try:
        asyncio.run(_ACTIONS[options.action](PeopleStore(database, settings), options))
    finally:
        database.close()
    return 0


def run_import(options: argparse.Namespace, settings: Settings) -> int:
    """Import a class, a line for each photo; 1 where a photo was refused.

    Raises:
        SurveillxError: the folder or the CSV cannot be read.
    """
    outcomes = import_class(settings, options.path, _tell)
    print(
        f"People added: {outcomes['person added']}, further photos: {outcomes['photo added']}, "
        f"already there: {outcomes['already there']}, refused: {outcomes['refused']}"
    )
    return 1 if outcomes["refused"] else 0


async def _list(people: PeopleStore, options: argparse.Namespace) -> None:
    for person in await people.list():
        if options.class_name in (None, person.class_name):
            print("\t".join(_columns(person)))


async def _rename(people: PeopleStore, options: argparse.Namespace) -> None:
    changes = PersonChanges()
    if options.name is not None:
        changes["name"] = options.name
    if options.roll_no is not None:
        changes["roll_no"] = options.roll_no
    if options.class_name is not None:
        changes["class_name"] = options.class_name
    print("\t".join(_columns(await people.change(options.id, changes))))


async def _consent(people: PeopleStore, options: argparse.Namespace) -> None:
    person = await people.change(options.id, {"consent": options.consent == "yes"})
    print("\t".join(_columns(person)))


async def _delete(people: PeopleStore, options: argparse.Namespace) -> None:
    person = await people.get(options.id)
    question = f"Delete {person.name}? Everything biometric goes for good. (yes/no) "
    if not options.yes and await asyncio.to_thread(_answer, question) != "yes":
        print("Nothing was deleted.")
        return
    for line in receipt_lines(await people.delete(options.id)):
        print(line)


def _answer(question: str) -> str:
    """What is typed; nothing where nobody can type, as in a scheduled task (there `--yes` is needed)."""
    try:
        return input(question).strip().lower()
    except EOFError:
        print()
        return ""


_ACTIONS: Mapping[str, Command] = {"list": _list, "rename": _rename, "delete": _delete, "consent": _consent}


def receipt_lines(receipt: Receipt) -> list[str]:
    """A receipt for reading."""
    attendance = ", ".join(f"{count} {what}" for what, count in receipt.attendance.items())
    return [
        f"Deleted {receipt.name} at {receipt.deleted_at.isoformat(timespec='seconds')}",
        f"  pictures of the face    {receipt.photos}",
        f"  measurements of it      {receipt.embeddings}",
        f"  pictures of attendance  {receipt.evidence}",
        f"  mistaken faces          {receipt.not_them}",
        f"  faces among visitors    {receipt.visitors}",
        f"  attendance rows         {attendance}",
        f"  name and numbers        {receipt.record}",
    ]


def _columns(person: PersonRecord) -> tuple[str, ...]:
    photos = "1 photo" if person.photos == 1 else f"{person.photos} photos"
    consent = "" if person.consent else "no consent"
    return str(person.id), person.name, person.roll_no or "", person.class_name or "", photos, consent


def _tell(line: Line) -> None:
    who = f" ({line.name})" if line.name else ""
    print(f"{line.file}{who}: {line.outcome}{'. ' + line.detail if line.detail else ''}", flush=True)
