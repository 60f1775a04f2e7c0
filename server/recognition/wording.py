"""Calibration in words, for the page and the command line alike."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .comparison import PersonPhotos

if TYPE_CHECKING:
    from .calibration import AlikePair, Assumptions, PersonCheck, Rates


def about_photos(
    person: PersonPhotos, others: Sequence[str], threshold: float, margin: float, near_limit: float
) -> tuple[str, ...]:
    """Why a person may be missed, a sentence each; empty when nothing speaks against it.

    `others` are the names of who is nearest to each photo, `near_limit` how far below the threshold is still near.
    """
    reasons = []
    if person.pictures == 1:
        copies = " (the others are copies of it)" if person.photos > 1 else ""
        reasons.append(f"Only one photo{copies}, so it cannot be checked. Add one of another day.")
    far = [place for place, own in enumerate(person.own, 1) if threshold < own < math.inf]
    farthest = max((own for own in person.own if own < math.inf), default=0.0)
    if far:
        reasons.append(
            f"{_photos(far)} would not be recognised by the others ({farthest:.2f}). Replace what is unclear or shows "
            "someone else."
        )
    elif farthest > threshold - near_limit:
        reasons.append(
            f"The photos are up to {farthest:.2f} apart, near the limit of {threshold:.2f}. Add one or two more."
        )
    for place, (own, other, name) in enumerate(zip(person.own, person.others, others, strict=True), 1):
        if other <= threshold and other - own < margin:
            nearer = "nearer" if other < own else "nearly as near"
            reasons.append(f"Photo {place} is {nearer} to {name} ({other:.2f}). Check it, or add clearer ones.")
    return tuple(reasons)


def summary(
    people: Sequence[PersonCheck],
    now: Rates,
    suggested: Rates | None,
    alike: Sequence[AlikePair],
    assumed: Assumptions,
    *,
    is_thin: bool,
) -> tuple[str, ...]:
    """The answer in a few sentences, the most important first."""
    if not people:
        return ("Nobody is enrolled yet. Add people first, then see here whether it will work.",)
    words = [*_readiness(people), _rate(now, assumed)]
    if is_thin:
        words.append(f"Estimated from few people, so it may be anything from {often(now.low)} to {often(now.high)}.")
    if alike:
        words.append(_about_pairs(alike, now))
    words.append(_advice(now, suggested, assumed))
    return tuple(words)


def often(a_day: float) -> str:
    """How often that is: "about one in 40 days"."""
    if a_day >= 1.5:
        return f"about {_rounded(a_day)} a day"
    days = 1 / a_day if a_day > 0 else math.inf
    if days < 1.5:
        return "about one a day"
    return f"about one in {_rounded(days)} days" if days < 10_000 else "fewer than one in 10,000 days"


def _readiness(people: Sequence[PersonCheck]) -> list[str]:
    count = {status: sum(each.status == status for each in people) for status in ("ready", "unchecked", "at_risk")}
    words = [f"Ready: {count['ready']} of {len(people)} {'person' if len(people) == 1 else 'people'}."]
    if count["unchecked"] == 1:
        words.append("One has only one photo and cannot be checked.")
    elif count["unchecked"]:
        words.append(f"{count['unchecked']} have only one photo each and cannot be checked.")
    if count["at_risk"] == 1:
        words.append("One needs other or more photos.")
    elif count["at_risk"]:
        words.append(f"{count['at_risk']} need other or more photos.")
    return words


def _rate(now: Rates, assumed: Assumptions) -> str:
    strangers = f"{assumed.strangers:g} {'stranger' if assumed.strangers == 1 else 'strangers'} a day"
    return f"False marks at the threshold in force, {now.threshold:.2f}: {often(now.false_marks)}, with {strangers}."


def _about_pairs(alike: Sequence[AlikePair], now: Rates) -> str:
    words = "One pair of people looks alike" if len(alike) == 1 else f"{len(alike)} pairs of people look alike"
    if sum(pair.false_marks for pair in alike) < now.false_marks / 2:
        return f"{words}."
    return f"{words}, which makes most of the false marks: clearer photos of them help more than the threshold."


def _advice(now: Rates, suggested: Rates | None, assumed: Assumptions) -> str:
    wanted = often(assumed.risk)
    if suggested is None:
        return f"No threshold of 0.30 or more keeps false marks to {wanted}: see who looks alike."
    if now.false_marks <= assumed.risk:
        room = f", as any up to {suggested.threshold:.2f} would" if suggested.threshold > now.threshold + 0.005 else ""
        return f"The threshold keeps false marks to {wanted}{room}."
    return f"For {wanted}, set SURVEILLX_RECOGNITION_DISTANCE={suggested.threshold:.2f}."


def _photos(places: Sequence[int]) -> str:
    numbers = [str(place) for place in places]
    if len(numbers) == 1:
        return f"Photo {numbers[0]}"
    return f"Photos {', '.join(numbers[:-1])} and {numbers[-1]}"


def _rounded(number: float) -> str:
    """Two significant digits: more would pretend to be exact."""
    digits = max(0, math.floor(math.log10(number)) - 1)
    return f"{round(number, -digits):,.0f}"
