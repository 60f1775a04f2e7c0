"""Tracks: one camera's faces followed from recognition to recognition, and which of them needs a look.

Pure: no clock, no threads, no pictures. Times are seconds on the camera's own clock, boxes pixels of its picture. Where
a face is, `motion` says; who it is, `naming` says of each face by itself; here is what faces say about each other:
nobody is in two places at once.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..events import UNKNOWN, Face
from .gallery import Embedding, Gallery
from .motion import Motion, area, closeness, paired
from .naming import Naming
from .options import RecogniserOptions
from .pictures import SURE, Box, Detection
from .quality import Flaw, Quality

# A face that was not seen for so long is gone; until then its box moves on as it did.
LOST_AFTER_S = 0.5
# A face that was not found in so many results, or in fewer and then elsewhere, is doubted until it is looked at.
DOUBTED_AFTER_MISSED = 2
# A camera's clock that jumps by more than this began anew, and so do its tracks.
CLOCK_JUMP_S = 5.0

# A face on which all its looks did not agree is looked at again after this time.
UNCLEAR_AGAIN_S = 0.5
# A face that is nobody is looked at again after this time; a much better look is taken at once.
NOBODY_AGAIN_S = 2.0
BETTER_LOOK = 1.5


@dataclass(slots=True, eq=False)
class Track:
    """One face, as long as it stays. `flaw` is what is wrong with it now; `missed` counts the newest results."""

    id: int
    motion: Motion
    seen: Detection
    naming: Naming
    looked_at: float | None = None
    flaw: Flaw | None = None
    told_at: float = -math.inf
    missed: int = 0

    def follow(self, seen: Detection, at: float) -> None:
        """Take a new sighting. After a while out of sight, or a leap, it may be another face."""
        leapt = closeness(self.motion.predicted(at), seen.box) <= 1
        if self.missed >= DOUBTED_AFTER_MISSED or (self.missed and leapt):
            self.naming.doubt()
        self.motion.follow(seen.box, at)
        self.seen = seen
        self.missed = 0


class Tracks:
    """All tracks of one camera. `ids` gives every new track its number and may be shared between cameras."""

    def __init__(self, ids: Iterator[int], gallery: Gallery, options: RecogniserOptions) -> None:
        self._ids = ids
        self._gallery = gallery
        self._options = options
        self._tracks: list[Track] = []
        self._now = -math.inf

    def expected(self, at: float) -> list[Box]:
        """Where the followed faces should be at time `at`."""
        return [track.motion.predicted(at) for track in self._tracks]

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
        for track in self._tracks:
            track.missed += track.motion.seen_at < at
        self._tracks = [track for track in self._tracks if at - track.motion.seen_at <= LOST_AFTER_S]
        self._tracks += [Track(next(self._ids), Motion(seen.box, at), seen, Naming(self._options)) for seen in fresh]

    def waiting(self) -> list[Track]:
        """The tracks in sight that need a look, the most urgent first: new ones, doubtful ones, then by their time."""
        due = [track for track in self._tracks if self._is_in_sight(track) and self._is_due(track)]
        return sorted(due, key=lambda track: (self.urgency(track), -self._since_look(track), -area(track.seen.box)))

    def urgency(self, track: Track) -> int:
        """Less is more urgent: a face on the way to its name, then new ones, then those that look like nobody so far.

        So of several new faces one after the other has its name, instead of all after the looks of all.
        """
        naming = track.naming
        if naming.is_doubtful:
            return 0
        if naming.is_named or naming.is_nobody:
            return 2 + self._options.looks_of
        if naming.looks:
            return 0 if naming.is_promising else 1 + naming.looks
        return 1

    def is_worth(self, track: Track, quality: Quality) -> bool:
        """Whether a look of this quality should be taken now; remembers what is wrong with it."""
        track.flaw = quality.flaw
        if quality.flaw is not None:
            return False
        is_resting = track.naming.is_nobody and self._since_look(track) < NOBODY_AGAIN_S
        return not is_resting or quality.score > BETTER_LOOK * track.naming.best().quality.score

    def look(self, track: Track, embedding: Embedding, quality: Quality, crop: bytes) -> None:
        """Give `track` the look it wanted."""
        track.naming.add(embedding, quality, crop, self._gallery)
        track.looked_at = self._now

    def change_gallery(self, gallery: Gallery) -> None:
        """Name every track anew, at once from the looks it has, and look at all of them again."""
        self._gallery = gallery
        for track in self._tracks:
            track.naming.change_gallery(gallery)
            track.looked_at = None

    def find(self, track_id: int) -> Track | None:
        """The track of this number, while its face is in the picture."""
        return next((track for track in self._tracks if track.id == track_id), None)

    def faces(self) -> tuple[Face, ...]:
        """What to tell the world about this moment."""
        return tuple(self._face(track) for track in self._tracks)

    def shall_tell(self, track: Track) -> bool:
        """Whether to tell what the newest look settled: a name each time, nobody only now and then (it remembers)."""
        if self._is_named(track):
            return True
        if not track.naming.is_nobody or self._now - track.told_at < self._options.confirm_s:
            return False
        track.told_at = self._now
        return True

    def _follow(self, found: list[Detection]) -> list[Detection]:
        """Give each track of an earlier moment its nearest of `found`; returns those that belong to none."""
        waiting = [track for track in self._tracks if track.motion.seen_at < self._now]
        boxes = [track.motion.predicted(self._now) for track in waiting]
        pairs = paired(boxes, [seen.box for seen in found])
        for track, seen in pairs:
            waiting[track].follow(found[seen], self._now)
        taken = {seen for _, seen in pairs}
        return [seen for index, seen in enumerate(found) if index not in taken]

    def _is_in_sight(self, track: Track) -> bool:
        return track.motion.seen_at == self._now and track.seen.confidence >= SURE

    def _is_due(self, track: Track) -> bool:
        naming, since_s = track.naming, self._since_look(track)
        if naming.is_named and not naming.is_shaky:
            return since_s >= self._options.confirm_s
        # Whether a face that is nobody rests longer, the quality of the look decides.
        return since_s >= UNCLEAR_AGAIN_S or naming.is_doubtful or not naming.is_complete

    def _since_look(self, track: Track) -> float:
        return math.inf if track.looked_at is None else self._now - track.looked_at

    def _is_named(self, track: Track) -> bool:
        """Whether the name counts. Nobody is in two places: of two faces with one name neither has it.

        A face that was lost a moment ago may be the one that is back: it gives way.
        """
        person = track.naming.settled.person_id
        if person is None or track.naming.is_hidden:
            return False
        others = [each for each in self._tracks if each is not track and each.naming.settled.person_id == person]
        return not any(each.missed == 0 for each in others)

    def _face(self, track: Track) -> Face:
        settled = track.naming.settled
        is_named = self._is_named(track)
        return Face(
            track_id=track.id,
            person_id=settled.person_id if is_named else None,
            name=settled.name if is_named else UNKNOWN,
            confidence=track.seen.confidence,
            box=track.motion.predicted(self._now),
            velocity=track.motion.velocity,
            distance=settled.distance,
            unseen_s=self._now - track.motion.seen_at,
            is_hidden=track.naming.is_hidden,
        )
