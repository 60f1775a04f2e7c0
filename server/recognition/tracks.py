"""Tracks: one camera's faces followed from recognition to recognition, and which of them needs a look.

Pure: no clock, no threads, no pictures. Times are seconds on the camera's own clock, boxes pixels of its picture. A
look is one embedding of a track's face; a track's identity is what the gallery says about the mean of its newest looks.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..events import UNKNOWN, Face
from .gallery import Embedding, Gallery, Match
from .motion import Motion, area, paired
from .pictures import SURE, Box, Detection

# A face that was not seen for so long is gone; until then its box moves on as it did.
LOST_AFTER_S = 0.5
# A camera's clock that jumps by more than this began anew, and so do its tracks.
CLOCK_JUMP_S = 5.0

# Smaller faces hold too little for an embedding that can be trusted.
MIN_LOOK_PX = 40.0
LOOKS_KEPT = 5
# How long a look lasts: for a named track, for one still Unknown, and for one Unknown after all the looks it can keep.
CONFIRM_AFTER_S = 3.0
RETRY_AFTER_S = 0.5
GIVE_UP_TO_S = 2.0
# Embeddings further apart are not of one face: the track has jumped to another one.
OTHER_FACE_DISTANCE = 0.6


@dataclass(slots=True, eq=False)
class Track:
    """One face, as long as it stays in the picture."""

    id: int
    motion: Motion
    confidence: float
    looks: deque[Embedding] = field(default_factory=lambda: deque(maxlen=LOOKS_KEPT))
    match: Match = Match(None, UNKNOWN, None)
    looked_at: float | None = None

    def follow(self, seen: Detection, at: float) -> None:
        """Take a new sighting."""
        self.motion.follow(seen.box, at)
        self.confidence = seen.confidence

    def look(self, embedding: Embedding, gallery: Gallery, at: float) -> None:
        """Take a look and say anew who it is."""
        if self.looks and np.linalg.norm(np.mean(self.looks, axis=0) - embedding) > OTHER_FACE_DISTANCE:
            self.looks.clear()
        self.looks.append(embedding)
        self.looked_at = at
        self.identify(gallery)

    def identify(self, gallery: Gallery) -> None:
        """Ask the gallery about the looks taken so far."""
        if self.looks:
            self.match = gallery.match(np.mean(self.looks, axis=0))

    def overdue_s(self, at: float) -> float:
        """For how long a look has been due; negative: not yet, infinite: there was none since it became necessary."""
        return float("inf") if self.looked_at is None else at - self.looked_at - self._lasts_s()

    def _lasts_s(self) -> float:
        if self.match.person_id is not None:
            return CONFIRM_AFTER_S
        return RETRY_AFTER_S if len(self.looks) < LOOKS_KEPT else GIVE_UP_TO_S


class Tracks:
    """All tracks of one camera. `ids` gives every new track its number and may be shared between cameras."""

    def __init__(self, ids: Iterator[int], gallery: Gallery) -> None:
        self._ids = ids
        self._gallery = gallery
        self._tracks: list[Track] = []
        self._now = -math.inf

    def update(self, found: Sequence[Detection], at: float) -> None:
        """Take the faces found at time `at`. Only a sure one begins a track; a doubtful one may go on with it."""
        if at == self._now:
            return
        if not 0 < at - self._now < CLOCK_JUMP_S:
            self._tracks.clear()
        self._now = at
        sure = [seen for seen in found if seen.confidence >= SURE]
        doubtful = [seen for seen in found if seen.confidence < SURE]
        fresh = self._follow(sure)
        self._follow(doubtful)
        self._tracks = [track for track in self._tracks if at - track.motion.seen_at <= LOST_AFTER_S]
        self._tracks += [Track(next(self._ids), Motion(seen.box, at), seen.confidence) for seen in fresh]

    def expected(self, at: float) -> list[Box]:
        """Where the followed faces should be at time `at`."""
        return [track.motion.predicted(at) for track in self._tracks]

    def wanting_a_look(self) -> Track | None:
        """The track that needs an embedding most: never looked at first, then the longest overdue; larger first."""
        due = [track for track in self._tracks if self._can_be_looked_at(track) and track.overdue_s(self._now) >= 0]
        return max(due, key=lambda track: (track.overdue_s(self._now), area(track.motion.box)), default=None)

    def look(self, track: Track, embedding: Embedding) -> None:
        """Give `track` the look it wanted."""
        track.look(embedding, self._gallery, self._now)

    def change_gallery(self, gallery: Gallery) -> None:
        """Name every track anew, at once from the looks it has, and look at all of them again."""
        self._gallery = gallery
        for track in self._tracks:
            track.identify(gallery)
            track.looked_at = None

    def faces(self) -> tuple[Face, ...]:
        """What to tell the world about this moment."""
        owners = self._owners()
        return tuple(self._face(track, track in owners) for track in self._tracks)

    def _follow(self, found: list[Detection]) -> list[Detection]:
        """Give each track of an earlier moment its nearest of `found`; returns those that belong to none."""
        waiting = [track for track in self._tracks if track.motion.seen_at < self._now]
        boxes = [track.motion.predicted(self._now) for track in waiting]
        pairs = paired(boxes, [seen.box for seen in found])
        for track, seen in pairs:
            waiting[track].follow(found[seen], self._now)
        taken = {seen for _, seen in pairs}
        return [seen for index, seen in enumerate(found) if index not in taken]

    def _can_be_looked_at(self, track: Track) -> bool:
        in_sight = track.motion.seen_at == self._now and track.confidence >= SURE
        return in_sight and min(track.motion.box[2:]) >= MIN_LOOK_PX

    def _owners(self) -> set[Track]:
        """The tracks whose name counts: nobody is in two places, so of two tracks of one person the nearer has it."""
        nearest: dict[int, Track] = {}
        for track in self._tracks:
            person = track.match.person_id
            if person is not None and (person not in nearest or _distance(track) < _distance(nearest[person])):
                nearest[person] = track
        return set(nearest.values())

    def _face(self, track: Track, is_owner: bool) -> Face:
        return Face(
            track_id=track.id,
            person_id=track.match.person_id if is_owner else None,
            name=track.match.name if is_owner else UNKNOWN,
            confidence=track.confidence,
            box=track.motion.predicted(self._now),
            velocity=track.motion.velocity,
            distance=track.match.distance,
            unseen_s=self._now - track.motion.seen_at,
        )


def _distance(track: Track) -> float:
    return track.match.distance if track.match.distance is not None else float("inf")
