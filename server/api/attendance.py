"""`/api/attendance`: who was there and why we think so, marking by hand, and taking back what is wrong."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from datetime import date as Date  # noqa: N812 - the query's name is `date`
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from ..dayview import AbsentPerson, DayAttendance, Filters
from ..errors import BadRequest
from ..events import AttendanceMarked
from .auth import STAFF
from .parts import PartsDep

router = APIRouter(tags=["attendance"], dependencies=[STAFF])

COLUMNS = (
    "id",
    "person_id",
    "name",
    "roll_no",
    "camera_id",
    "timestamp",
    "distance",
    "class_name",
    "session",
    "source",
    "status",
)

NOT_STORED = {"Cache-Control": "no-store"}

# A spreadsheet would run what begins like this (https://owasp.org/www-community/attacks/CSV_Injection).
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")

# Ids of the databases end there; without the bound a larger number would be an error of theirs.
MAX_ID = 2**31 - 1
AttendanceId = Annotated[int, Path(ge=1, le=MAX_ID)]


class ByHand(BaseModel):
    """Who was there though no camera saw them; today and its current session unless given."""

    model_config = ConfigDict(extra="forbid", strict=True)

    person_id: int = Field(ge=1, le=MAX_ID)
    date: str | None = None
    session: str | None = Field(default=None, max_length=50)


async def day_asked_for(
    parts: PartsDep,
    date: Annotated[str | None, Query(description="YYYY-MM-DD; today at the school unless given")] = None,
) -> Date:
    """The day of the query.

    Raises:
        BadRequest: it is not a day.
    """
    return parts.attendance.today() if date is None else to_day(date)


async def filters_asked_for(
    class_name: str | None = None, camera_id: str | None = None, session: str | None = None
) -> Filters:
    """The filters of the query; an empty one filters nothing."""
    return Filters(class_name or None, camera_id or None, session or None)


Day = Annotated[Date, Depends(day_asked_for)]
Filtered = Annotated[Filters, Depends(filters_asked_for)]


@router.get("/api/attendance")
async def attendance(day: Day, filters: Filtered, parts: PartsDep) -> list[AttendanceMarked]:
    """Everyone marked on a day, in the order they were seen."""
    return await parts.attendance.present(day, filters)


@router.get("/api/attendance/day")
async def whole_day(day: Day, filters: Filtered, parts: PartsDep) -> DayAttendance:
    """Who was there on a day, and who was not."""
    return await parts.attendance.day(day, filters)


@router.get("/api/attendance.csv")
async def attendance_csv(day: Day, filters: Filtered, parts: PartsDep) -> Response:
    """The same for a spreadsheet."""
    return Response(
        to_csv(await parts.attendance.day(day, filters), filters),
        media_type="text/csv; charset=utf-8; header=present",
        headers={
            "Content-Disposition": f'attachment; filename="attendance-{day.isoformat()}.csv"',
            "Cache-Control": "no-store",
        },
    )


@router.post("/api/attendance", status_code=201)
async def mark_by_hand(mark: ByHand, response: Response, parts: PartsDep) -> AttendanceMarked:
    """Mark a person as present by hand."""
    day = None if mark.date is None else to_day(mark.date)
    marked = await parts.attendance.mark_by_hand(mark.person_id, day, mark.session)
    parts.metrics.attendance_marked.inc()
    parts.events.publish(marked)
    response.headers["Location"] = f"/api/attendance/{marked.id}"
    return marked


@router.get("/api/attendance/{attendance_id}")
async def proof(attendance_id: AttendanceId, parts: PartsDep) -> dict[str, Any]:
    """Why a row was written."""
    found = await parts.attendance.proof(attendance_id)
    about = asdict(found)
    del about["row"]
    return asdict(found.row) | about


@router.get("/api/attendance/{attendance_id}/crop")
async def crop(attendance_id: AttendanceId, parts: PartsDep) -> Response:
    """The face that was seen."""
    return Response(await parts.attendance.crop(attendance_id), media_type="image/jpeg", headers=NOT_STORED)


@router.post("/api/attendance/{attendance_id}/wrong")
async def wrong_person(attendance_id: AttendanceId, parts: PartsDep) -> dict[str, Any]:
    """Remove a row that names the wrong person, and never take this face for that person again."""
    taken = await parts.attendance.remove_wrong(attendance_id)
    parts.events.publish(taken.removed)
    parts.recognition.set_gallery(await parts.people.known())
    return asdict(taken.removed) | {"is_remembered": taken.is_remembered}


@router.delete("/api/attendance/{attendance_id}", status_code=204)
async def remove(attendance_id: AttendanceId, parts: PartsDep) -> Response:
    """Remove a row that was marked by hand."""
    taken = await parts.attendance.remove(attendance_id)
    parts.events.publish(taken.removed)
    return Response(status_code=204)


def to_day(text: str) -> Date:
    """A day written as YYYY-MM-DD.

    Raises:
        BadRequest: it is not one.
    """
    try:
        if re.fullmatch(r"(19|20|21)[0-9]{2}-[0-9]{2}-[0-9]{2}", text):  # fromisoformat takes weeks and more
            return Date.fromisoformat(text)
    except ValueError:
        pass  # the same answer for 2026-02-30
    raise BadRequest("The date must be a day written as YYYY-MM-DD, such as 2026-03-01.", reason="date")


def to_csv(day: DayAttendance, filters: Filters) -> bytes:
    """RFC 4180, in UTF-8 with a byte order mark: without it Excel takes names for Latin-1."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\r\n")
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in line.items()} for line in _lines(day, filters))
    return text.getvalue().encode("utf-8-sig")


def _lines(day: DayAttendance, filters: Filters) -> Iterator[dict[str, object]]:
    yield from _with_status(day.present, status="present")
    yield from _with_status(day.absent, status="absent", session=filters.session or "")


def _with_status(rows: Iterable[AttendanceMarked | AbsentPerson], **more: str) -> Iterator[dict[str, object]]:
    for row in rows:
        yield asdict(row) | more


def _cell(value: object) -> object:
    if isinstance(value, str) and value.startswith(_FORMULA_STARTS):
        return f"'{value}"
    return value
