"""`/api/people`: who is enrolled. Photos are examined by the recognition process and never stored themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, cast

from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel, ConfigDict

from ..recognition.identity import cleaned_class, identity
from ..recognition.people import PersonChanges, PersonRecord
from .auth import STAFF
from .forms import photo_form
from .parts import Parts, PartsDep

router = APIRouter(prefix="/api/people", tags=["people"], dependencies=[STAFF])

# Ids of the databases end there; without the bound a larger number would be an error of theirs.
RowId = Annotated[int, Path(ge=1, le=2**31 - 1)]

NOT_STORED = {"Cache-Control": "no-store"}


class Person(BaseModel):
    """Someone enrolled; without `consent` they are pixelated everywhere and never marked."""

    id: int
    name: str
    roll_no: str | None
    class_name: str | None
    consent: bool
    photos: int
    created_at: datetime


class Change(BaseModel):
    """What to change of a person; what is absent stays."""

    model_config = ConfigDict(extra="forbid")

    name: str = ""
    roll_no: str | None = None
    class_name: str | None = None
    consent: bool = True


@router.get("")
async def everyone(parts: PartsDep) -> list[Person]:
    """Everyone enrolled, by name."""
    return [shown(record) for record in await parts.people.list()]


@router.post("", status_code=201)
async def enrol(request: Request, response: Response, parts: PartsDep) -> Person:
    """Enrol a person from a multipart form.

    `name`, one to ten `photo` files, and if wanted `roll_no`, `class_name`, `consent` (yes unless told otherwise) and
    `confirm` (1: also where the face resembles someone else's, or the photos do not show one person).
    """
    async with photo_form(request) as form:
        name, roll_no = identity(form.text("name"), form.text("roll_no"))  # before photos are looked at
        class_name = cleaned_class(form.text("class_name"))
        consent, confirmed = form.flag("consent", default=True), form.flag("confirm", default=False)
        photos = await form.examined(parts)
    if not confirmed:
        await parts.people.compare(photos)
    record = await parts.people.add(name, roll_no, photos, class_name=class_name, consent=consent)
    await refresh(parts)
    response.headers["Location"] = f"{request.url.path}/{record.id}"
    return shown(record)


@router.patch("/{person_id}")
async def change(person_id: RowId, body: Change, parts: PartsDep) -> Person:
    """Rename, give another number or class, record or withdraw consent."""
    changes = cast("PersonChanges", body.model_dump(exclude_unset=True))
    record = await parts.people.change(person_id, changes)
    await refresh(parts)
    return shown(record)


@router.delete("/{person_id}", response_model=None)
async def remove(person_id: RowId, parts: PartsDep, *, receipt: bool = False) -> Response | Mapping[str, Any]:
    """Remove a person with everything biometric; 204, or 200 and what was deleted where a `receipt` is asked for."""
    deleted = await parts.people.delete(person_id)
    await refresh(parts)
    return asdict(deleted) if receipt else Response(status_code=204)


@router.get("/{person_id}/photo")
async def thumbnail(person_id: RowId, parts: PartsDep) -> Response:
    """The small JPEG of the person's face."""
    return Response(await parts.people.thumbnail(person_id), media_type="image/jpeg", headers=NOT_STORED)


def shown(record: PersonRecord) -> Person:
    """A person as JSON."""
    return Person.model_validate(record, from_attributes=True)


async def refresh(parts: Parts) -> None:
    """Tell recognition at once, instead of when it next asks."""
    parts.recognition.set_gallery(await parts.people.known())
