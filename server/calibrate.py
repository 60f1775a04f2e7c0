"""`surveillx calibrate`: will it work with the people enrolled, and which threshold fits. Reads the database only."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from .config import Settings
from .database import open_database
from .errors import BadRequest
from .recognition.calibration import Assumptions, Calibration, Rates, calibrate
from .recognition.chart import chart
from .recognition.comparison import compare
from .recognition.gallery import Known
from .recognition.people import PeopleStore


def run(settings: Settings, risk: float, strangers: float, *, plot: Path | None, as_json: bool) -> int:
    """Print the report, and write the plot if one is wanted; returns the exit status.

    Raises:
        Unprocessable: risk or strangers are out of bounds.
        BadRequest: the plot cannot be written.
    """
    assumed = Assumptions(settings.recognition_distance, settings.recognition_margin, strangers, risk)
    found = calibrate(compare(_known(settings)), assumed)
    if plot is not None:
        _write(plot, chart(found))
    print(json.dumps(asdict(found), ensure_ascii=False, indent=2) if as_json else "\n".join(report(found)))
    return 0


def report(found: Calibration) -> Iterator[str]:
    """The lines of the report."""
    yield from found.words
    at_risk = [person for person in found.people if person.reasons]
    if at_risk:
        yield ""
        yield "Look at:"
    for person in at_risk:
        yield f"  {person.name} (id {person.id}, photos: {person.photos})"
        yield from (f"    {reason}" for reason in person.reasons)
    if found.alike:
        yield ""
        yield "Alike (distance, false marks expected):"
    for pair in found.alike:
        yield f"  {pair.first_name} and {pair.second_name}: {pair.distance:.2f}, {pair.often}"
    if found.people:
        yield ""
        yield "Threshold   False marks a day   People at risk"
        yield from (f"{each.threshold:9.2f}   {each.false_marks:17.4f}   {each.at_risk:14d}" for each in _table(found))


def _table(found: Calibration) -> list[Rates]:
    """Every fifth step, and the thresholds in question."""
    wanted = [found.now, *filter(None, [found.suggested]), *found.curve[::5]]
    return [*{round(each.threshold, 3): each for each in sorted(wanted, key=lambda each: each.threshold)}.values()]


def _known(settings: Settings) -> Known:
    database = open_database(settings)
    try:
        return asyncio.run(PeopleStore(database).known())
    finally:
        database.close()


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise BadRequest(f"The plot {file} cannot be written: {error.strerror}.") from error
