"""`/api/people`: who is enrolled. Photos are examined by the recognition process and never stored themselves."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import BaseModel
from starlette.datastructures import FormData, UploadFile

from ..errors import TooLarge, Unprocessable, UnsupportedMediaType
from ..recognition.people import PersonRecord, identity
from ..recognition.photos import MAX_BYTES, ExaminedPhoto
from .auth import require_view
from .parts import Parts, PartsDep

MAX_PHOTOS = 10

router = APIRouter(prefix="/api/people", tags=["people"], dependencies=[Depends(require_view)])

# Ids of the databases end there; without the bound a larger number would be an error of theirs.
PersonId = Annotated[int, Path(ge=1, le=2**31 - 1)]


class Person(BaseModel):
    """Someone enrolled."""

    id: int
    name: str
    roll_no: str | None
    photos: int
    created_at: datetime


@router.get("")
async def everyone(parts: PartsDep) -> list[Person]:
    """Everyone enrolled, by name."""
    return [_person(record) for record in await parts.people.list()]


@router.post("", status_code=201)
async def enrol(request: Request, response: Response, parts: PartsDep) -> Person:
    """Enrol a person from a multipart form: `name`, `roll_no` if any, and one to ten `photo` files."""
    # Read here and not by FastAPI, which would take in the whole body before asking who sends it.
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise UnsupportedMediaType("Send the name and the photos as multipart/form-data.")
    async with request.form(max_files=MAX_PHOTOS, max_fields=10) as form:
        name, roll_no = identity(_text(form, "name"), _text(form, "roll_no"))
        photos = [await _examine(parts, place, file) for place, file in enumerate(_photos(form), 1)]
        record = await parts.people.add(name, roll_no, photos)
    await _refresh(parts)
    response.headers["Location"] = f"{request.url.path}/{record.id}"
    return _person(record)


@router.delete("/{person_id}", status_code=204)
async def remove(person_id: PersonId, parts: PartsDep) -> Response:
    """Remove a person with photos, embeddings and attendance."""
    await parts.people.delete(person_id)
    await _refresh(parts)
    return Response(status_code=204)


@router.get("/{person_id}/photo")
async def photo(person_id: PersonId, parts: PartsDep) -> Response:
    """The small JPEG of the person's face."""
    return Response(await parts.people.thumbnail(person_id), media_type="image/jpeg", headers=_NOT_STORED)


_NOT_STORED = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


def _person(record: PersonRecord) -> Person:
    return Person.model_validate(record, from_attributes=True)


def _photos(form: FormData) -> list[UploadFile]:
    photos = [part for part in form.getlist("photo") if isinstance(part, UploadFile)]
    if not photos:
        raise Unprocessable("At least one photo is needed.", reason="no_photo")
    return photos


def _text(form: FormData, field: str) -> str:
    value = form.get(field)
    return value if isinstance(value, str) else ""


async def _examine(parts: Parts, place: int, file: UploadFile) -> ExaminedPhoto:
    """One photo, or a refusal that says which it is: its file name is the client's, and is not repeated."""
    if (file.size or 0) > MAX_BYTES:
        raise TooLarge(f"Photo {place} is larger than {MAX_BYTES // 1_000_000} MB. Please save it smaller.")
    try:
        return await parts.recognition.examine(await file.read())
    except Unprocessable as error:
        raise Unprocessable(f"Photo {place}: {error.detail}", reason=error.reason) from error


async def _refresh(parts: Parts) -> None:
    """Tell recognition at once, instead of when it next asks."""
    parts.recognition.set_gallery(await parts.people.known())
