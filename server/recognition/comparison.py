"""Every enrolled photo compared with every other one: the distances that calibration reasons about.

Pure, and in blocks of one person: of 500 people with five photos each, 6 million distances, not all are held at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .gallery import DIMENSIONS, Known, KnownFace

# Two photos this near to each other are one picture, saved or cut differently: it says nothing of another day.
SAME_PICTURE = 0.05
BIN = 0.02  # of the histograms, from 0 to 1.2; what is farther counts in the last one
BINS = 60

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class PersonPhotos:
    """One person's photos, compared.

    `own` is for each photo the distance to the nearest other one of the person (inf where there is no other picture),
    `others` the same to the nearest photo of somebody else (inf: there is nobody), whose place among the people is
    `whose`. `pictures` is how many photos are not copies of each other.
    """

    id: int
    name: str
    is_hidden: bool
    photos: int
    pictures: int
    own: tuple[float, ...]
    others: tuple[float, ...]
    whose: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """All of it. `nearest` has shape (people, people): the smallest distance of two people, inf on the diagonal.

    `same` and `different` count distances in bins of `BIN`; `mean` and `deviation` are of the different ones, each the
    distance of a photo to the nearest of somebody else's, which is what a stranger's face is asked as well.
    """

    people: tuple[PersonPhotos, ...]
    nearest: Floats
    same: Counts
    different: Counts
    mean: float
    deviation: float


def compare(known: Known) -> Comparison:
    """Compare all photos; 2,500 take about a second."""
    rows = sorted(known.faces, key=lambda face: (face.name, face.person_id))
    first = np.sort(np.unique([face.person_id for face in rows], return_index=True)[1])
    embeddings = np.array([face.embedding for face in rows]).reshape(-1, DIMENSIONS)
    squares = (embeddings**2).sum(axis=1)
    blocks = [_Block.of(place, rows, embeddings, squares, first) for place in range(len(first))]
    apart = np.concatenate([block.apart.ravel() for block in blocks]) if len(blocks) > 1 else np.empty(0)
    return Comparison(
        people=tuple(block.person for block in blocks),
        nearest=np.array([block.nearest for block in blocks]).reshape(len(blocks), len(blocks)),
        same=_histogram(np.array([own for block in blocks for own in block.person.own])),
        different=_histogram(apart),
        mean=float(apart.mean()) if apart.size else 0.0,
        deviation=float(apart.std()) if apart.size else 0.0,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Block:
    """One person against all: `apart` (photos, other people), `nearest` (people,)."""

    person: PersonPhotos
    apart: Floats
    nearest: Floats

    @classmethod
    def of(cls, place: int, rows: list[KnownFace], embeddings: Floats, squares: Floats, first: Counts) -> _Block:
        start, end = int(first[place]), int(first[place + 1]) if place + 1 < len(first) else len(rows)
        # By the scalar product, so that no array of (photos, all photos, 128) is made.
        products = embeddings[start:end] @ embeddings.T
        distances = np.sqrt(np.maximum(squares[start:end, None] + squares - 2 * products, 0.0))
        to_people = np.minimum.reduceat(distances, first, axis=1)
        to_people[:, place] = np.inf
        within = distances[:, start:end]
        face = rows[start]
        person = PersonPhotos(
            id=face.person_id,
            name=face.name,
            is_hidden=face.is_hidden,
            photos=end - start,
            pictures=_pictures(within),
            own=tuple(np.where(within > SAME_PICTURE, within, np.inf).min(axis=1).tolist()),
            others=tuple(to_people.min(axis=1).tolist()),
            whose=tuple(to_people.argmin(axis=1).tolist()),
        )
        return cls(person, np.delete(to_people, place, axis=1), to_people.min(axis=0))


def _pictures(within: Floats) -> int:
    """How many of the photos are not near copies of an earlier one."""
    copies = np.tril(within <= SAME_PICTURE, -1).any(axis=1)
    return int((~copies).sum())


def _histogram(distances: Floats) -> Counts:
    places = np.minimum(distances[np.isfinite(distances)] / BIN, BINS - 1).astype(np.int64)
    return np.bincount(places, minlength=BINS)
