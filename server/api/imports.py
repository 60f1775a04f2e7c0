"""`POST /api/people/import/plan`: what a class's folder or CSV means. The browser then sends person by person."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from ..roster import Roster, assign, read_folder
from ..roster_csv import read_csv
from .auth import STAFF
from .parts import PartsDep

MAX_FILES = 20_000
MAX_PATH_CHARACTERS = 1000
MAX_CSV_CHARACTERS = 2_000_000

router = APIRouter(prefix="/api/people/import", tags=["people"], dependencies=[STAFF])


class Folder(BaseModel):
    """The paths of the files, relative to the chosen folder, with slashes; and the text of the CSV, if there is one."""

    model_config = ConfigDict(extra="forbid")

    files: list[Annotated[str, Field(max_length=MAX_PATH_CHARACTERS)]] = Field(max_length=MAX_FILES)
    csv: str | None = Field(None, max_length=MAX_CSV_CHARACTERS)


class PlannedPerson(BaseModel):
    """One person with the files that are theirs; `person_id` where they are enrolled already."""

    name: str
    roll_no: str | None
    class_name: str | None
    person_id: int | None
    files: list[str]


class PlannedFault(BaseModel):
    """A file, or a line of the CSV, that cannot be used, and why."""

    file: str
    detail: str


class Plan(BaseModel):
    """What to send for whom, and what is wrong."""

    people: list[PlannedPerson]
    faults: list[PlannedFault]


@router.post("/plan")
async def plan(folder: Folder, parts: PartsDep) -> Plan:
    """Read the class; nothing is stored."""
    people = await parts.people.list()
    roster = await asyncio.to_thread(lambda: assign(_read(folder), people))  # thousands of names take their time
    return Plan(
        people=[PlannedPerson.model_validate(each, from_attributes=True) for each in roster.entries],
        faults=[PlannedFault.model_validate(each, from_attributes=True) for each in roster.faults],
    )


def _read(folder: Folder) -> Roster:
    return read_folder(folder.files) if folder.csv is None else read_csv(folder.csv, folder.files)
