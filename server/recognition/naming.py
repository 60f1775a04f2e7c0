"""Naming one face: what its newest looks say together. Unknown is better than wrong.

Pure: no clock, no pictures. A look is one embedding of a followed face and what the gallery says of it. A name needs
several looks that agree; it goes again when as many in a row do not, at once when another person gets more than a stray
look, and when a look is of another face altogether.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..events import UNKNOWN
from .gallery import Embedding, Gallery, Match
from .options import RecogniserOptions
from .quality import Quality

NOBODY = Match(None, UNKNOWN, None)

# Embeddings further apart are not of one face: the box has jumped to another one, or the look was spoilt.
OTHER_FACE_DISTANCE = 0.6
# One look may always go astray; two for someone else are a contradiction.
STRAY_LOOKS = 1


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """One embedding, the small JPEG it was made of with its quality, and what the gallery says."""

    embedding: Embedding
    quality: Quality
    crop: bytes
    match: Match


class Naming:
    """Who one face is."""

    def __init__(self, options: RecogniserOptions) -> None:
        self._needed = options.looks
        self._looks: deque[Look] = deque(maxlen=options.looks_of)
        self.settled: Match = NOBODY
        self.is_doubtful = False
        self.is_hidden = False

    @property
    def looks(self) -> int:
        """How many looks there are."""
        return len(self._looks)

    @property
    def is_named(self) -> bool:
        """Whether enough looks agree on a person."""
        return self.settled.person_id is not None

    @property
    def is_shaky(self) -> bool:
        """Whether the newest look does not agree with the name."""
        return bool(self._looks) and self._looks[-1].match.person_id != self.settled.person_id

    @property
    def is_promising(self) -> bool:
        """Whether any look is somebody's."""
        return any(look.match.person_id is not None for look in self._looks)

    @property
    def is_complete(self) -> bool:
        """Whether the face has all the looks it can have; newer ones take the place of old ones."""
        return len(self._looks) == self._looks.maxlen

    @property
    def is_nobody(self) -> bool:
        """Whether there are all looks, and nobody is within their reach."""
        return self.is_complete and not self.is_named and not self.is_hidden and not self._candidates()

    def add(self, embedding: Embedding, quality: Quality, crop: bytes, gallery: Gallery) -> None:
        """Take a look. Its `crop` is not kept once the face is hidden."""
        look = Look(embedding, quality, crop, gallery.match(embedding))
        if self._looks and _apart(embedding, self.embedding()) > OTHER_FACE_DISTANCE:
            self._another_face(look)
        else:
            self.is_doubtful = False
            self._looks.append(look)
        self._settle(gallery)

    def change_gallery(self, gallery: Gallery) -> None:
        """Ask another gallery about the looks there are."""
        for _ in range(len(self._looks)):
            look = self._looks.popleft()
            self._looks.append(replace(look, match=gallery.match(look.embedding)))
        self._settle(gallery)

    def doubt(self) -> None:
        """Withhold the name until a look confirms it: the box may have gone over to another face."""
        if self._looks:
            self.is_doubtful = True
            self.settled = replace(NOBODY, distance=self.settled.distance)

    def embedding(self) -> Embedding:
        """The mean of the looks that agree with the name, of all where there is none. Needs a look."""
        return _mean(self._agreeing())

    def best(self) -> Look:
        """Of those looks the one of the best quality. Needs a look."""
        return max(self._agreeing(), key=lambda look: look.quality.score)

    def agreeing(self) -> int:
        """How many of the looks agree with the name."""
        return self._votes(self.settled.person_id)

    def _agreeing(self) -> list[Look]:
        agreeing = [look for look in self._looks if look.match.person_id == self.settled.person_id]
        return agreeing or list(self._looks)

    def _another_face(self, look: Look) -> None:
        """One strange look withholds the name; a second one is of the face that is there now."""
        if self.is_doubtful:
            self._looks.clear()
            self.settled = NOBODY
            self._looks.append(look)
        self.is_doubtful = not self.is_doubtful

    def _settle(self, gallery: Gallery) -> None:
        person = None if self.is_doubtful else self._person()
        # What all agreeing looks say together must be as good as what each says.
        agreeing = [look for look in self._looks if person in (None, look.match.person_id)]
        together = gallery.match(_mean(agreeing)) if agreeing else NOBODY
        is_one = person is not None and together.person_id == person
        self.settled = together if is_one else replace(NOBODY, distance=together.distance)
        self._hide()

    def _hide(self) -> None:
        """One look hides, and only the settled name of someone else shows again: a profile is like nobody for long."""
        if self.is_named and not self.settled.is_hidden:
            self.is_hidden = False
        elif any(look.match.is_hidden for look in self._looks):
            self.is_hidden = True
        if self.is_hidden:
            self._looks = deque((replace(look, crop=b"") for look in self._looks), self._looks.maxlen)

    def _person(self) -> int | None:
        """On whom the looks agree."""
        candidates = self._candidates()
        if len(candidates) != 1:
            return None
        (person,) = candidates
        if self._votes(person) >= self._needed:
            return person
        # A name that is there stays until as many looks in a row as it took are against it.
        newest = list(self._looks)[-self._needed :]
        is_kept = person == self.settled.person_id and any(look.match.person_id == person for look in newest)
        return person if is_kept else None

    def _candidates(self) -> set[int]:
        """The people for whom there is more than a stray look, and the one who has the name."""
        people = {look.match.person_id for look in self._looks} - {None}
        return {
            person
            for person in people
            if person is not None
            and (self._votes(person) > STRAY_LOOKS or person == self.settled.person_id or self._needed == 1)
        }

    def _votes(self, person_id: int | None) -> int:
        return sum(look.match.person_id == person_id for look in self._looks)


def _mean(looks: Sequence[Look]) -> Embedding:
    return np.asarray(np.mean([look.embedding for look in looks], axis=0), np.float64)


def _apart(a: Embedding, b: Embedding) -> float:
    return float(np.linalg.norm(a - b))
