"""`/api/visitors`: unknown faces, grouped, to enrol, ignore or delete."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from ..errors import Unprocessable
from ..recognition.gallery import Known
from ..recognition.people import PersonRecord
from ..recognition.photos import ExaminedPhoto
from ..visitors import VisitorLook, VisitorRecord
from .auth import STAFF
from .parts import Parts, PartsDep
from .people import NOT_STORED, Person, RowId, refresh, shown

RESEMBLES = 0.6  # dlib's own limit: worth a look, far from certain

router = APIRouter(prefix="/api/visitors", tags=["visitors"], dependencies=[STAFF])


class Resembled(BaseModel):
    """The enrolled person who is nearest, and how near."""

    id: int
    name: str
    distance: float


class Visitor(BaseModel):
    """Unknown faces that look like one person; times are the school's."""

    id: int
    first_seen: datetime
    last_seen: datetime
    appearances: int
    camera_id: str
    faces: int
    resembles: Resembled | None


class Enrolment(BaseModel):
    """Who the visitor is: a new person, or by `person_id` one who is enrolled. `confirm`: also where doubts speak."""

    model_config = ConfigDict(extra="forbid")

    name: str | None = None
    roll_no: str | None = None
    class_name: str | None = None
    person_id: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = None
    confirm: bool = False


@router.get("")
async def visitors(parts: PartsDep, *, ignored: Annotated[bool, Query()] = False) -> list[Visitor]:
    """Those to be dealt with, or the `ignored` ones; last seen first."""
    records = await parts.visitors.recent(ignored=ignored)
    known = await parts.people.known()
    return [_visitor(record, known) for record in records]


@router.get("/{visitor_id}/photo")
async def photo(visitor_id: RowId, parts: PartsDep) -> Response:
    """The small JPEG of the best look."""
    return Response(await parts.visitors.photo(visitor_id), media_type="image/jpeg", headers=NOT_STORED)


@router.post("/{visitor_id}/enrol", status_code=201)
async def enrol(visitor_id: RowId, body: Enrolment, response: Response, parts: PartsDep) -> Person:
    """Make the visitor a person, or the faces further photos of one; the visitor is gone then."""
    if (body.name is None) == (body.person_id is None):
        raise Unprocessable("Either the name of a new person is needed, or an enrolled one.", reason="name")
    photos = _photos(await parts.visitors.looks(visitor_id), parts.settings.recognition_distance)
    record = await _stored(body, photos, parts)
    await parts.visitors.enrolled(visitor_id, record.id)
    await refresh(parts)
    response.headers["Location"] = f"/api/people/{record.id}"
    return shown(record)


@router.post("/{visitor_id}/ignore", status_code=204)
async def ignore(visitor_id: RowId, parts: PartsDep) -> Response:
    """Do not show this visitor any more."""
    await parts.visitors.ignore(visitor_id, ignored=True)
    return Response(status_code=204)


@router.delete("/{visitor_id}/ignore", status_code=204)
async def bring_back(visitor_id: RowId, parts: PartsDep) -> Response:
    """Show an ignored visitor again."""
    await parts.visitors.ignore(visitor_id, ignored=False)
    return Response(status_code=204)


@router.delete("/{visitor_id}", status_code=204)
async def remove(visitor_id: RowId, parts: PartsDep) -> Response:
    """Delete a visitor's faces."""
    await parts.visitors.delete(visitor_id)
    return Response(status_code=204)


async def _stored(body: Enrolment, photos: list[ExaminedPhoto], parts: Parts) -> PersonRecord:
    if not body.confirm:
        await parts.people.compare(photos, body.person_id)
    if body.person_id is None:
        return await parts.people.add(body.name or "", body.roll_no, photos, class_name=body.class_name)
    await parts.people.add_photos(body.person_id, photos)
    return await parts.people.get(body.person_id)


def _photos(looks: list[VisitorLook], distance: float) -> list[ExaminedPhoto]:
    """The looks that show the same face as the best one; a group may have grown from face to face."""
    best = looks[0].embedding
    same = [look for look in looks if np.linalg.norm(look.embedding - best) <= distance]
    return [ExaminedPhoto(look.embedding, look.crop) for look in same]


def _visitor(record: VisitorRecord, known: Known) -> Visitor:
    return Visitor(
        id=record.id,
        first_seen=record.first_seen,
        last_seen=record.last_seen,
        appearances=record.appearances,
        camera_id=record.camera_id,
        faces=len(record.embeddings),
        resembles=_resembled(record, known),
    )


def _resembled(record: VisitorRecord, known: Known) -> Resembled | None:
    """The nearest person, unless a face that was marked as not theirs is nearer."""
    if not known.faces or not len(record.embeddings):
        return None
    stored = np.array([face.embedding for face in known.faces])
    distances = np.linalg.norm(stored[:, None] - record.embeddings, axis=2).min(axis=1)
    nearest = int(np.argmin(distances))
    face, distance = known.faces[nearest], float(distances[nearest])
    refused = [each.embedding for each in known.not_them if each.person_id == face.person_id]
    is_refused = bool(refused) and bool(
        np.linalg.norm(np.array(refused)[:, None] - record.embeddings, axis=2).min() < distance
    )
    if distance > RESEMBLES or is_refused:
        return None
    return Resembled(id=face.person_id, name=face.name, distance=round(distance, 2))
