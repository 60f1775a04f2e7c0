"""Whom new photos show: someone who is enrolled already, or not even one and the same person.

Pure functions over embeddings. The distance that counts is the one that recognition uses: what would be taken for
another person there must not be enrolled here without a question.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import Conflict, Unprocessable
from .gallery import DIMENSIONS, Embedding, KnownFace

# The same file examined twice gives the same numbers; another compression of one photo is 0.1 away and more.
SAME_PHOTO = 0.01


@dataclass(frozen=True, slots=True)
class Resemblance:
    """Someone enrolled whom a new photo resembles; `distance` is that of the two nearest faces."""

    id: int
    name: str
    distance: float


def require_new_face(photos: Sequence[Embedding], others: Sequence[KnownFace], max_distance: float) -> None:
    """Refuse photos that resemble one of `others`.

    Raises:
        Conflict: they do; reason `resembles`, with the members `resembles` (nearest first) that name whom.
    """
    found = _resembling(photos, others, max_distance)
    if not found:
        return
    nearest = found[0]
    raise Conflict(
        f"This face resembles {nearest.name}, who is enrolled already: the distance is {nearest.distance:.2f}, and up "
        f"to {max_distance:.2f} counts as the same person. Add the photo to {nearest.name}, or confirm that this is "
        "someone else.",
        reason="resembles",
        members={"resembles": [_shown(each) for each in found]},
    )


def require_one_person(photos: Sequence[Embedding], stored: Sequence[Embedding], max_distance: float) -> None:
    """Refuse photos that do not show the person of `stored` or, where that is empty, not one person.

    A photo belongs to the others when it is near enough to one of them: with glasses or turned, a face may be far from
    some of the photos of the same person.

    Raises:
        Unprocessable: some do not; reason `different_people`, with the member `photos`: their places, from 1.
    """
    odd = _odd_ones(photos, stored, max_distance)
    if not odd:
        return
    if len(photos) == 1:
        words = "This photo does not seem to show the same person as the photos that are stored"
    elif len(odd) == 1:
        words = f"Photo {odd[0]} does not seem to show the same person as the other photos"
    else:
        words = (
            f"Photos {', '.join(map(str, odd[:-1]))} and {odd[-1]} do not seem to show the same person as the others"
        )
    raise Unprocessable(
        f"{words}. Leave {'it' if len(odd) == 1 else 'them'} out, or confirm that this is the same person.",
        reason="different_people",
        members={"photos": odd},
    )


def is_stored(photo: Embedding, stored: Sequence[Embedding]) -> bool:
    """Whether this very photo is among the stored ones."""
    return bool((_distances([photo], stored) <= SAME_PHOTO).any())


def is_like(face: Embedding, others: Sequence[Embedding], max_distance: float) -> bool:
    """Whether `face` is within `max_distance` of one of the others."""
    return bool((_distances([face], others) <= max_distance).any())


def _resembling(photos: Sequence[Embedding], others: Sequence[KnownFace], max_distance: float) -> list[Resemblance]:
    nearest = _distances(photos, [face.embedding for face in others]).min(axis=0, initial=np.inf)
    found: dict[int, Resemblance] = {}
    for face, distance in zip(others, nearest.tolist(), strict=True):
        if distance <= max_distance and (face.person_id not in found or distance < found[face.person_id].distance):
            found[face.person_id] = Resemblance(face.person_id, face.name, distance)
    return sorted(found.values(), key=lambda each: each.distance)


def _shown(each: Resemblance) -> dict[str, object]:
    return {"id": each.id, "name": each.name, "distance": round(each.distance, 3)}


def _odd_ones(photos: Sequence[Embedding], stored: Sequence[Embedding], max_distance: float) -> list[int]:
    """Places (from 1) of the photos that no chain of near photos joins to the rest."""
    is_near = _distances(photos, photos) <= max_distance
    if len(stored):
        joined = (_distances(photos, stored) <= max_distance).any(axis=1)
    else:
        joined = np.arange(len(photos)) == int(np.argmax(is_near.sum(axis=1)))
    while (grown := joined | is_near[:, joined].any(axis=1)).sum() > joined.sum():
        joined = grown
    return [int(place) + 1 for place in np.flatnonzero(~joined)]


def _distances(faces: Sequence[Embedding], others: Sequence[Embedding]) -> Embedding:
    """Every distance between two sets of embeddings, shape (faces, others)."""
    other = np.reshape(others, (-1, DIMENSIONS)).astype(np.float64)
    rows = [np.linalg.norm(other - face, axis=1) for face in faces]  # a row at a time: `others` may be the whole school
    return np.reshape(rows, (len(faces), len(others)))
