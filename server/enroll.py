"""`surveillx enroll` and `surveillx import`: photos in, people in the gallery. The server need not be up.

Both run a recogniser of their own; a running server learns of the change within two seconds.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from .config import Settings
from .database import open_database
from .errors import NotFound, SurveillxError, Unprocessable
from .recognition.engine import Engine, open_engine
from .recognition.people import PeopleStore, PersonRecord
from .recognition.photos import ExaminedPhoto, examine
from .roster import Entry, Roster, assign, is_table, read_folder
from .roster_csv import read_csv

Outcome = Literal["person added", "photo added", "already there", "refused"]


@dataclass(frozen=True, slots=True)
class Line:
    """What became of one photo (or of a row that cannot be used): `detail` says why it was refused."""

    file: str
    name: str
    outcome: Outcome
    detail: str = ""


@dataclass(frozen=True, slots=True)
class NewPerson:
    """Someone to enrol. `confirmed`: whoever adds them has been told whom they resemble."""

    name: str
    roll_no: str | None
    class_name: str | None
    files: Sequence[Path]
    confirmed: bool = False


def enroll(settings: Settings, person: NewPerson) -> PersonRecord:
    """Examine every photo, then store the person; one photo that cannot serve and nothing is stored.

    Raises:
        Unprocessable: a photo cannot serve; says which and why.
        Conflict: name or roll number is taken, or the face resembles someone else's.
    """
    engine = open_engine()
    examined = [_named(file, engine) for file in person.files]

    async def add(people: PeopleStore) -> PersonRecord:
        if not person.confirmed:
            await people.compare(examined)
        return await people.add(person.name, person.roll_no, examined, class_name=person.class_name)

    database = open_database(settings)
    try:
        return asyncio.run(add(PeopleStore(database, settings)))
    finally:
        database.close()


def import_class(settings: Settings, path: Path, tell: Callable[[Line], None]) -> Counter[Outcome]:
    """Enrol everyone of a folder or a CSV, telling of each photo; returns how many had which outcome.

    Raises:
        Unprocessable: the CSV cannot be read.
        NotFound: there is no such folder or file.
    """
    root, roster = read_class(path)
    engine = open_engine()
    database = open_database(settings)
    try:
        return asyncio.run(_import(PeopleStore(database, settings), engine, root, roster, tell))
    finally:
        database.close()


def read_class(path: Path) -> tuple[Path, Roster]:
    """The folder that the roster's paths start from, and what `path`, a folder or a CSV, says.

    Raises:
        Unprocessable: the CSV cannot be read.
        NotFound: there is no such folder or file.
    """
    if not path.exists():
        raise NotFound(f"There is no folder or file {path}.")
    root = path if path.is_dir() else path.parent
    files = _files(root)
    tables = [file for file in files if is_table(file)] if path.is_dir() else [path.name]
    if len(tables) == 1:
        return root, read_csv(_text(root / tables[0]), files)
    return root, read_folder(files)


async def _import(
    people: PeopleStore, engine: Engine, root: Path, roster: Roster, tell: Callable[[Line], None]
) -> Counter[Outcome]:
    outcomes: Counter[Outcome] = Counter()

    def count(line: Line) -> None:
        outcomes[line.outcome] += 1
        tell(line)

    assigned = assign(roster, await people.list())
    for fault in assigned.faults:
        count(Line(fault.file, "", "refused", fault.detail))
    for entry in assigned.entries:
        await _import_entry(people, engine, root, entry, count)
    return outcomes


async def _import_entry(
    people: PeopleStore, engine: Engine, root: Path, entry: Entry, tell: Callable[[Line], None]
) -> None:
    """The first photo that can serve makes the person; each further one is added or refused by itself."""
    person_id = entry.person_id
    for file in entry.files:
        try:
            photo = _examined(root / file, engine)
            await people.compare([photo], person_id)
            if person_id is None:
                person_id = (await people.add(entry.name, entry.roll_no, [photo], class_name=entry.class_name)).id
                tell(Line(file, entry.name, "person added"))
            else:
                added = await people.add_photos(person_id, [photo])
                tell(Line(file, entry.name, "photo added" if added else "already there"))
        except SurveillxError as error:
            tell(Line(file, entry.name, "refused", error.detail))


def _files(root: Path) -> list[str]:
    """Every file below `root`, as paths with slashes."""
    return [
        Path(folder, name).relative_to(root).as_posix() for folder, _, names in os.walk(root) for name in sorted(names)
    ]


def _text(file: Path) -> str:
    """A CSV's text: UTF-8, UTF-16 as Excel's "Unicode text", or what Windows calls ANSI."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise NotFound(f"{file}: cannot be read ({error.strerror}).") from error
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", "replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")


def _named(file: Path, engine: Engine) -> ExaminedPhoto:
    """A photo, or a refusal that says which it is."""
    try:
        return _examined(file, engine)
    except Unprocessable as error:
        raise Unprocessable(f"{file}: {error.detail}", reason=error.reason) from error


def _examined(file: Path, engine: Engine) -> ExaminedPhoto:
    try:
        return examine(file.read_bytes(), engine)
    except OSError as error:
        raise Unprocessable(f"The file cannot be read ({error.strerror}).", reason="not_an_image") from error
