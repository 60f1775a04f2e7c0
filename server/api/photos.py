"""`/api/people/{id}/photos`: the photos of one person. Only a small picture of the face is kept of each."""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from .auth import STAFF
from .forms import photo_form
from .parts import PartsDep
from .people import NOT_STORED, Person, RowId, refresh, shown

router = APIRouter(prefix="/api/people/{person_id}/photos", tags=["people"], dependencies=[STAFF])


class Photo(BaseModel):
    """One photo."""

    id: int
    created_at: datetime


class Added(Person):
    """The person after photos were added; `added` is how many were new, the others were there already."""

    added: int


@router.get("")
async def photos(person_id: RowId, parts: PartsDep) -> list[Photo]:
    """A person's photos, oldest first."""
    return [Photo.model_validate(each, from_attributes=True) for each in await parts.people.photos(person_id)]


@router.get("/{photo_id}")
async def photo(person_id: RowId, photo_id: RowId, parts: PartsDep) -> Response:
    """The small JPEG of the face in one photo."""
    return Response(await parts.people.photo(person_id, photo_id), media_type="image/jpeg", headers=NOT_STORED)


@router.post("")
async def add(person_id: RowId, request: Request, response: Response, parts: PartsDep) -> Added:
    """Add one to ten `photo` files of a multipart form; `confirm` as for a new person. 201 where one was new."""
    await parts.people.get(person_id)  # before photos are looked at
    async with photo_form(request) as form:
        confirmed = form.flag("confirm", default=False)
        examined = await form.examined(parts)
    if not confirmed:
        await parts.people.compare(examined, person_id)
    count = await parts.people.add_photos(person_id, examined)
    await refresh(parts)
    response.status_code = 201 if count else 200
    person = shown(await parts.people.get(person_id))
    return Added(**person.model_dump(), added=count)


@router.delete("/{photo_id}", status_code=204)
async def remove(person_id: RowId, photo_id: RowId, parts: PartsDep) -> Response:
    """Remove one photo; 409 where it is the only one."""
    await parts.people.delete_photo(person_id, photo_id)
    await refresh(parts)
    return Response(status_code=204)
