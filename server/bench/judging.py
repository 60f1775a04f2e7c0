"""Compares what recognition said of a clip with the truth about it. Pure.

A name is right when a face of that name is where it stands; faces may lie over each other, so any of them counts, also
one that is hidden and need not be found. A name where the truth has another face, or none that its track ever had, is
wrong. Unknown is never wrong, and for a stranger it is right.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from ..events import UNKNOWN, Face
from ..recognition.motion import iou
from .playing import Played, Result
from .truth import Box, TrueFace, Truth

# A box is this face's from this overlap on, and has found it from that overlap on.
NEAR_IOU = 0.3
FOUND_IOU = 0.5
# Size classes by the shorter side of the face's box in pixels; smaller faces are not asked for.
SIZES: tuple[tuple[str, float, float], ...] = (("24-40", 24, 40), ("40-80", 40, 80), ("80+", 80, float("inf")))

Verdict = Literal["right", "wrong", "unknown"]


@dataclass
class Track:
    """One track that recognition followed: the names it bore, and the people it really was (None for a stranger)."""

    id: int
    names: Counter[str] = field(default_factory=Counter)
    people: Counter[str | None] = field(default_factory=Counter)
    rights: int = 0
    wrongs: int = 0

    @property
    def verdict(self) -> Verdict:
        """Wrong if ever wrong, right if ever right."""
        return "wrong" if self.wrongs else "right" if self.rights else "unknown"

    @property
    def person(self) -> str | None:
        """Whom the track mostly was; None is a stranger, or nobody."""
        return self.people.most_common(1)[0][0] if self.people else None


@dataclass
class Appearance:
    """One face of the truth from its first frame to its last.

    `good_at_s` is when it first was large enough to be named, `named_at_s` when it first had its name.
    """

    id: int
    person: str | None
    largest_px: float = 0.0
    good_at_s: float | None = None
    named_at_s: float | None = None
    was_found: bool = False
    wrong_names: set[str] = field(default_factory=set)

    @property
    def time_to_name_s(self) -> float | None:
        """From the first good view to the name; None without one."""
        if self.named_at_s is None or self.good_at_s is None:
            return None
        return max(0.0, self.named_at_s - self.good_at_s)


@dataclass
class Judgement:
    """A clip judged. `found` counts faces of recognised frames by size class: found, and all."""

    appearances: dict[int, Appearance] = field(default_factory=dict)
    tracks: dict[int, Track] = field(default_factory=dict)
    found: dict[str, list[int]] = field(default_factory=lambda: {name: [0, 0] for name, _, _ in SIZES})
    ious: list[float] = field(default_factory=list)
    faces_shown: int = 0
    boxes_shown: int = 0
    boxes_on_nothing: int = 0


def judge(played: Played, truth: Truth, enrolled: Collection[str], min_face_px: float) -> Judgement:
    """Judge one clip; whoever is not in `enrolled` is a stranger."""
    frames = [_known_only(truth.at(n, played.width, played.height), enrolled) for n in range(len(played.times_s))]
    judgement = Judgement()
    visible = [[face for face in faces if not face.is_hidden] for faces in frames]
    for at_s, faces, seen in zip(played.times_s, frames, visible, strict=True):
        _appear(judgement, faces, seen, at_s, min_face_px)
    for result in played.results:
        _judge_names(judgement, result, frames[result.frame])
    for result in _newest(played.results):
        _judge_finding(judgement, result.faces, visible[result.frame])
    for boxes, faces, seen in zip(played.shown, frames, visible, strict=True):
        _judge_boxes(judgement, boxes, [face.box for face in seen])
        judgement.boxes_on_nothing += sum(all(iou(box, each.box) == 0 for each in faces) for box in boxes)
    return judgement


def matched(boxes: Sequence[Box], others: Sequence[Box], least: float) -> Iterator[tuple[int, int, float]]:
    """Pairs of both, best overlap first, each once; index, index and IoU of at least `least`."""
    scores = sorted(((iou(a, b), i, j) for i, a in enumerate(boxes) for j, b in enumerate(others)), reverse=True)
    left, right = set[int](), set[int]()
    for score, i, j in scores:
        if score >= least and i not in left and j not in right:
            left.add(i)
            right.add(j)
            yield i, j, score


def _known_only(faces: Sequence[TrueFace], enrolled: Collection[str]) -> list[TrueFace]:
    return [face if face.person in enrolled else replace(face, person=None) for face in faces]


def _appear(
    judgement: Judgement, faces: Sequence[TrueFace], visible: Sequence[TrueFace], at_s: float, min_face_px: float
) -> None:
    for face in faces:
        judgement.appearances.setdefault(face.id, Appearance(face.id, face.person))
    for face in visible:
        appearance = judgement.appearances[face.id]
        appearance.largest_px = max(appearance.largest_px, face.size)
        if appearance.good_at_s is None and face.size >= min_face_px:
            appearance.good_at_s = at_s


def _judge_names(judgement: Judgement, result: Result, truth: Sequence[TrueFace]) -> None:
    for face in result.faces:
        track = judgement.tracks.setdefault(face.track_id, Track(face.track_id))
        near = [each for each in truth if iou(face.box, each.box) >= NEAR_IOU]
        if face.name == UNKNOWN:
            track.people.update(each.person for each in near)
        else:
            track.names[face.name] += 1
            _judge_name(judgement, track, face, near, result.at_s)
            track.people.update(each.person for each in near)


def _judge_name(judgement: Judgement, track: Track, face: Face, near: Sequence[TrueFace], at_s: float) -> None:
    owners = [each for each in near if each.person == face.name]
    for owner in owners:
        appearance = judgement.appearances[owner.id]
        appearance.named_at_s = at_s if appearance.named_at_s is None else appearance.named_at_s
    if owners:
        track.rights += 1
    elif near or face.name not in track.people:  # a box that goes on for a moment after its face keeps the name
        track.wrongs += 1
        for each in near:
            judgement.appearances[each.id].wrong_names.add(face.name)


def _newest(results: Sequence[Result]) -> list[Result]:
    """The last result of each frame: it says all that the ones before said."""
    return list({result.frame: result for result in results}.values())


def _judge_finding(judgement: Judgement, faces: Sequence[Face], truth: Sequence[TrueFace]) -> None:
    seen = [face.box for face in faces if face.unseen_s == 0]
    found = {number for _, number, _ in matched(seen, [each.box for each in truth], FOUND_IOU)}
    for number, each in enumerate(truth):
        judgement.appearances[each.id].was_found |= number in found
        for name, least, under in SIZES:
            if least <= each.size < under:
                judgement.found[name][0] += number in found
                judgement.found[name][1] += 1


def _judge_boxes(judgement: Judgement, boxes: Sequence[Box], faces: Sequence[Box]) -> None:
    """The boxes of one displayed frame, and those of the faces that are to be seen in it."""
    judgement.ious += [score for _, _, score in matched(boxes, faces, 0.01)]
    judgement.faces_shown += len(faces)
    judgement.boxes_shown += len(boxes)
