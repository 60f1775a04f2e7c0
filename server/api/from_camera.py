"""`/api/people/from-camera`: enrol a face of the live picture.

The face's best look can be taken first and named later: its owner may leave while the name is typed. Such looks stay
in memory only, for some minutes.
"""

from __future__ import annotations

from base64 import b64encode

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from ..errors import Unprocessable
from ..recognition.photos import ExaminedPhoto
from .auth import STAFF
from .parts import Parts, PartsDep
from .people import Change, Person, refresh, shown

router = APIRouter(prefix="/api/people/from-camera", tags=["people"], dependencies=[STAFF])


class Face(BaseModel):
    """A face of the live picture, as `/ws/events` tells of it."""

    model_config = ConfigDict(extra="forbid")

    camera_id: str
    track_id: int


class Look(BaseModel):
    """A look that was kept: `picture` is a small JPEG of the face in base64."""

    look: str
    picture: str


class FaceOfPerson(Change):
    """Who the face is: someone new, or one more photo of `person_id`. The face itself, or a `look` at it."""

    camera_id: str | None = None
    track_id: int | None = None
    look: str | None = None
    person_id: int | None = None
    confirm: bool = False


@router.post("/look")
async def look(face: Face, parts: PartsDep) -> Look:
    """Keep the best look at a face; refused as a photo would be."""
    photo = await parts.recognition.face_of(face.camera_id, face.track_id)
    return Look(look=parts.looks.keep(photo), picture=b64encode(photo.thumbnail).decode())


@router.post("")
async def enrol(body: FaceOfPerson, parts: PartsDep) -> Person:
    """Enrol the face, or add it to someone enrolled."""
    photo = await _photo(body, parts)
    if not body.confirm:
        await parts.people.compare([photo], body.person_id)
    if body.person_id is not None:
        await parts.people.add_photos(body.person_id, [photo])
        record = await parts.people.get(body.person_id)
    else:
        record = await parts.people.add(
            body.name, body.roll_no, [photo], class_name=body.class_name, consent=body.consent
        )
    if body.look is not None:
        parts.looks.forget(body.look)
    await refresh(parts)
    return shown(record)


async def _photo(body: FaceOfPerson, parts: Parts) -> ExaminedPhoto:
    if body.look is not None:
        return parts.looks.get(body.look)
    if body.camera_id is None or body.track_id is None:
        raise Unprocessable("Either a look is needed, or a camera_id and a track_id.", reason="no_photo")
    return await parts.recognition.face_of(body.camera_id, body.track_id)
