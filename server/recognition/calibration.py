"""Will it work? What the enrolled photos say of the marks to come: who may be missed, who may be taken for whom.

Pure. Leave-one-out: each photo is asked against the others as a face in the picture would be. A false mark is a
stranger, or another enrolled person, nearer to someone than the threshold. Every track counts as ONE draw, though a
name needs several looks that agree: looks on one track are too alike to count as more. Nor does it count that a
stranger must keep the margin to the second-best person. Both make the figures careful: real ones are lower.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import Unprocessable
from .comparison import BIN, Comparison, PersonPhotos
from .spread import DIFFERENT_PEOPLE, SAME_PERSON, Spread
from .wording import about_photos, often, summary

LOWEST, HIGHEST, STEP = 0.30, 0.55, 0.01  # thresholds that are considered; at 0.60 strangers are named in any school
NEAR_LIMIT = 0.05  # a person whose photos are this near to the threshold is at risk: another day adds as much
ALIKE = 0.05  # a pair within the threshold and this much more is shown
PASSES_A_DAY = 4  # how often an enrolled person walks into the picture: comes, two breaks, goes
WITHIN_PAIR = 0.05  # how a distance between two people varies with the moment; 0.02 in variations of single photos
PERSON_WEIGHT = 2.0  # a person's own distances against everybody's: as if these were two photos more
FEW_PEOPLE = 20
MOST_PAIRS = 50
MAX_RISK = 1_000
MAX_STRANGERS = 100_000

Floats = NDArray[np.float64]

# For the chance that someone is taken for someone else: where the face may fall, and how far apart the two are.
_X = np.arange(0, 1.0, 0.005)
_APART = np.arange(0, 1.3, 0.01)


@dataclass(frozen=True, slots=True)
class Assumptions:
    """What is asked for: the thresholds in force, `strangers` in the picture a day, accepted false marks a day.

    Raises:
        Unprocessable: one is out of bounds.
    """

    threshold: float
    margin: float
    strangers: float = 20.0
    risk: float = 0.01

    def __post_init__(self) -> None:
        if not 0 < self.risk <= MAX_RISK:
            raise Unprocessable(f"The risk is false marks a day: more than 0, at most {MAX_RISK}.", reason="risk")
        if not 0 <= self.strangers <= MAX_STRANGERS:
            raise Unprocessable(f"Strangers a day are from 0 to {MAX_STRANGERS}.", reason="strangers")


@dataclass(frozen=True, slots=True)
class PersonCheck:
    """One person. `missed` is the chance that a look is beyond the threshold; `reasons` say what is wrong, in words.

    `distance` is that of the photo farthest from the person's others, None with one picture only. `status`: ready; or
    unchecked, one picture only; or at_risk of being missed, or taken for another.
    """

    id: int
    name: str
    photos: int
    status: str
    distance: float | None
    missed: float
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AlikePair:
    """Two people and their smallest distance; `false_marks` a day are expected between them, `often` in words."""

    first_id: int
    first_name: str
    second_id: int
    second_name: str
    distance: float
    false_marks: float
    often: str


@dataclass(frozen=True, slots=True)
class Rates:
    """What is to be expected at a threshold: false marks a day, between `low` and `high` (90 %), people `at_risk`.

    `often` says the false marks in words.
    """

    threshold: float
    false_marks: float
    low: float
    high: float
    at_risk: int
    often: str


@dataclass(frozen=True, slots=True)
class Calibration:
    """The answer. `suggested` meets the risk, None where no threshold does; `wanted` is the risk in words.

    `curve` holds the rates at all thresholds that are considered.

    `same` and `different` count distances in bins of `bin` from 0: of one person's photos, of different people.
    """

    words: tuple[str, ...]
    assumptions: Assumptions
    now: Rates
    suggested: Rates | None
    ready: int
    people: tuple[PersonCheck, ...]
    alike: tuple[AlikePair, ...]
    is_thin: bool
    wanted: str
    curve: tuple[Rates, ...]
    bin: float
    same: tuple[int, ...]
    different: tuple[int, ...]
    impostors: Spread


def calibrate(comparison: Comparison, assumed: Assumptions) -> Calibration:
    """Work it out."""
    model = _Model(comparison, assumed)
    people = tuple(model.check(person) for person in comparison.people)
    now = model.rates(assumed.threshold)
    threshold = model.threshold_for(assumed.risk)
    suggested = None if threshold is None else model.rates(threshold)
    alike = model.alike()
    is_thin = len(people) < FEW_PEOPLE
    return Calibration(
        words=summary(people, now, suggested, alike, assumed, is_thin=is_thin),
        assumptions=assumed,
        now=now,
        suggested=suggested,
        ready=sum(person.status == "ready" for person in people),
        people=people,
        alike=alike,
        is_thin=is_thin,
        wanted=often(assumed.risk),
        curve=tuple(model.rates(float(each)) for each in np.arange(LOWEST, HIGHEST + STEP / 2, STEP).round(2)),
        bin=BIN,
        same=tuple(comparison.same.tolist()),
        different=tuple(comparison.different.tolist()),
        impostors=model.impostors,
    )


class _Model:
    """Distances as they are expected of faces to come."""

    def __init__(self, comparison: Comparison, assumed: Assumptions) -> None:
        self._people = comparison.people
        self._nearest = comparison.nearest
        self._assumed = assumed
        count = len(self._people)
        # Pairs share people: n people tell as much as n independent distances, not as n(n-1)/2.
        self.impostors = (
            DIFFERENT_PEOPLE.joined(comparison.mean, comparison.deviation, count) if count > 1 else DIFFERENT_PEOPLE
        )
        self._genuine = _genuine(self._people)
        self._mistaken = _mistaken(self._genuine, assumed.margin)
        self._pairs = self._counted_pairs()

    def check(self, person: PersonPhotos) -> PersonCheck:
        """What the person's photos say at the threshold in force."""
        others = [self._people[place].name for place in person.whose]
        reasons = about_photos(person, others, self._assumed.threshold, self._assumed.margin, NEAR_LIMIT)
        own = [each for each in person.own if math.isfinite(each)]
        status = "ready" if not reasons else "unchecked" if not own and len(reasons) == 1 else "at_risk"
        middle = (sum(own) + PERSON_WEIGHT * self._genuine.mean) / (len(own) + PERSON_WEIGHT)
        missed = 1 - float(self._genuine.around(middle).below(self._assumed.threshold))
        return PersonCheck(
            person.id, person.name, person.photos, status, max(own, default=None), round(missed, 4), reasons
        )

    def rates(self, threshold: float) -> Rates:
        """What is to be expected."""
        false_marks = self._false_marks(threshold, 0)
        return Rates(
            threshold=threshold,
            false_marks=false_marks,
            low=self._false_marks(threshold, 1.645),
            high=self._false_marks(threshold, -1.645),
            at_risk=sum(self._is_at_risk(person, threshold) for person in self._people),
            often=often(false_marks),
        )

    def threshold_for(self, risk: float) -> float | None:
        """The largest threshold, to two places, at which no more false marks a day are expected than `risk`."""
        low, high = LOWEST, HIGHEST
        if self._false_marks(low, 0) > risk:
            return None
        if self._false_marks(high, 0) <= risk:
            return high
        while high - low > STEP / 100:
            middle = (low + high) / 2
            low, high = (middle, high) if self._false_marks(middle, 0) <= risk else (low, middle)
        return max(LOWEST, round(math.floor(low / STEP + 1e-6) * STEP, 2))

    def alike(self) -> tuple[AlikePair, ...]:
        """The pairs that resemble each other, the most alike first."""
        within = np.triu(self._nearest <= self._assumed.threshold + ALIKE, 1)
        pairs = sorted(zip(*np.nonzero(within), strict=True), key=lambda pair: self._nearest[pair])
        return tuple(self._pair(int(one), int(two)) for one, two in pairs[:MOST_PAIRS])

    def _pair(self, one: int, two: int) -> AlikePair:
        first, second, distance = self._people[one], self._people[two], float(self._nearest[one, two])
        markable = 2 - first.is_hidden - second.is_hidden
        marks = PASSES_A_DAY * markable * float(np.interp(distance, _APART, self._chances(self._assumed.threshold)))
        return AlikePair(first.id, first.name, second.id, second.name, distance, marks, often(marks))

    def _is_at_risk(self, person: PersonPhotos, threshold: float) -> bool:
        own = [each for each in person.own if math.isfinite(each)]
        is_far = max(own, default=0.0) > threshold - NEAR_LIMIT
        return is_far or any(
            other <= threshold and other - mine < self._assumed.margin
            for mine, other in zip(person.own, person.others, strict=True)
        )

    def _false_marks(self, threshold: float, errors: float) -> float:
        """A day: strangers within reach of somebody who is marked, and people taken for each other."""
        markable = sum(not person.is_hidden for person in self._people)
        one = float(self.impostors.moved(errors).below(threshold))
        strangers = self._assumed.strangers * -math.expm1(markable * math.log1p(-one))
        return strangers + PASSES_A_DAY * float(self._pairs @ self._chances(threshold))

    def _chances(self, threshold: float) -> Floats:
        """For two people as far apart as each of `_APART`: that one, seen once, is taken for the other."""
        place = min(int(np.searchsorted(_X, threshold, side="right")), len(_X)) - 1
        return self._mistaken[:, place]

    def _counted_pairs(self) -> Floats:
        """How many (seen, marked instead) pairs there are at each distance of `_APART`."""
        columns = [place for place, person in enumerate(self._people) if not person.is_hidden]
        distances = self._nearest[:, columns].ravel() if len(self._people) > 1 else np.empty(0)
        places = np.minimum(np.floor(distances[np.isfinite(distances)] / 0.01), len(_APART) - 1).astype(np.int64)
        return np.bincount(places, minlength=len(_APART)).astype(np.float64)


def _genuine(people: Sequence[PersonPhotos]) -> Spread:
    own = np.array([each for person in people for each in person.own if math.isfinite(each)])
    checked = sum(person.pictures > 1 for person in people)
    return SAME_PERSON.joined(float(own.mean()), float(own.std()), checked) if own.size else SAME_PERSON


def _mistaken(genuine: Spread, margin: float) -> Floats:
    """Shape (`_APART`, `_X`): the face falls within x of the other person, and farther from its own by the margin."""
    density = np.exp(-(((_X - _APART[:, None]) / WITHIN_PAIR) ** 2) / 2) / (WITHIN_PAIR * math.sqrt(2 * math.pi))
    chances: Floats = np.cumsum(density * (1 - genuine.below(_X + margin)), axis=1) * (_X[1] - _X[0])
    return chances
