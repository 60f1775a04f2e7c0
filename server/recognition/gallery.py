"""The gallery: every known face, and whose face a new one is.

Immutable and made of numpy arrays only, so that it can be pickled into the recognition process and shared between
threads without a lock. A change of people makes a new gallery. Unknown is better than wrong: the nearest person counts
only within a distance, and only when clearly nearer than the second-best PERSON (two photos of one person do not
compete with each other).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..events import UNKNOWN

DIMENSIONS = 128

Embedding = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class KnownFace:
    """One photo's face of an enrolled person. `embedding` has shape (128,), float64.

    `is_hidden`: the person gave no consent, and is recognised only to be pixelated.
    """

    person_id: int
    name: str
    embedding: Embedding
    is_hidden: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """All that recognition knows of people: their `faces`, and faces that were taken for them and are `not_them`."""

    faces: tuple[KnownFace, ...] = ()
    not_them: tuple[KnownFace, ...] = ()


@dataclass(frozen=True, slots=True)
class Match:
    """Whose face it is.

    `person_id` is None and `name` is "Unknown" when nobody is near enough. `distance` is the Euclidean distance to the
    nearest person, recognised or not, and None in an empty gallery; `margin` how much farther the second-best person
    is, None where there is none. `is_hidden`: see `KnownFace`.
    """

    person_id: int | None
    name: str
    distance: float | None
    margin: float | None = None
    is_hidden: bool = False


class Gallery:
    """All known faces at one moment."""

    def __init__(self, known: Known, max_distance: float, margin: float, not_them_distance: float = 0.35) -> None:
        """Index the faces by person.

        `max_distance` is the largest distance that still counts; `margin` is how much nearer than the second-best
        person the best must be; a look within `not_them_distance` of a face that was told not to be the nearest person
        is not that person.

        Raises:
            ValueError: an embedding is not 128 finite numbers.
        """
        ordered = sorted(known.faces, key=lambda face: face.person_id)
        self._max_distance = max_distance
        self._margin = margin
        self._not_them_distance = not_them_distance
        self._embeddings = _stacked(ordered)
        ids, first = np.unique([face.person_id for face in ordered], return_index=True)
        self._first_rows = first
        self._people = [ordered[row] for row in first]
        self._hidden = np.array([person.is_hidden for person in self._people], dtype=bool)
        self._not_them = {
            int(person_id): _stacked([face for face in known.not_them if face.person_id == person_id])
            for person_id in ids
        }

    def __len__(self) -> int:
        """How many people are known."""
        return len(self._people)

    def match(self, embedding: ArrayLike) -> Match:
        """Find the person to whom `embedding` (128 numbers) belongs.

        Raises:
            ValueError: it is not 128 finite numbers.
        """
        looked_for = as_embedding(embedding)
        if not self._people:
            return Match(None, UNKNOWN, None)
        distances = np.minimum.reduceat(np.linalg.norm(self._embeddings - looked_for, axis=1), self._first_rows)
        best = int(np.argmin(distances))
        distance = float(distances[best])
        others = np.delete(distances, best)
        margin = float(others.min()) - distance if others.size else None
        person = self._people[best]
        is_hidden = self._may_be_hidden(distances)
        is_clear = margin is None or margin >= self._margin
        if distance > self._max_distance or not is_clear or self._is_not(person.person_id, looked_for, distance):
            return Match(None, UNKNOWN, distance, margin, is_hidden)
        return Match(person.person_id, person.name, distance, margin, is_hidden)

    def _may_be_hidden(self, distances: NDArray[np.float64]) -> bool:
        """Whether someone without consent is as near as the nearest: pixelating wrongly is cheaper than showing."""
        reach = min(self._max_distance, float(distances.min()) + self._margin)
        return bool(np.any(distances[self._hidden] <= reach))

    def _is_not(self, person_id: int, looked_for: Embedding, distance: float) -> bool:
        """Whether this face was told not to be that person: nearer to it than to the person, or simply very near."""
        faces = self._not_them[person_id]
        nearest = float(np.min(np.linalg.norm(faces - looked_for, axis=1), initial=np.inf))
        return nearest <= max(self._not_them_distance, distance)


def _stacked(faces: Sequence[KnownFace]) -> NDArray[np.float64]:
    return np.array([as_embedding(face.embedding) for face in faces], dtype=np.float64).reshape(-1, DIMENSIONS)


def as_embedding(values: ArrayLike) -> Embedding:
    """Check that `values` are 128 finite numbers; the result is float64 with shape (128,).

    Raises:
        ValueError: they are not. One NaN would otherwise make the distance to everybody NaN.
    """
    embedding = np.asarray(values, dtype=np.float64)
    if embedding.shape != (DIMENSIONS,) or not np.isfinite(embedding).all():
        raise ValueError(f"an embedding is {DIMENSIONS} finite numbers, not an array of shape {embedding.shape}")
    return embedding
