"""`/api/attendance`: who was there, as JSON for pages and as CSV for spreadsheets."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable
from datetime import date as Date  # noqa: N812 - the query's name is `date`
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from ..errors import BadRequest
from ..events import AttendanceMarked
from .auth import require_view
from .parts import PartsDep

router = APIRouter(tags=["attendance"], dependencies=[Depends(require_view)])

COLUMNS = ("id", "person_id", "name", "roll_no", "camera_id", "timestamp", "distance")

# A spreadsheet would run what begins like this (https://owasp.org/www-community/attacks/CSV_Injection).
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


async def day_asked_for(
    parts: PartsDep,
    date: Annotated[str | None, Query(description="YYYY-MM-DD; today at the school unless given")] = None,
) -> Date:
    """The day of the query.

    Raises:
        BadRequest: it is not a day.
    """
    if date is None:
        return parts.attendance.today()
    try:
        if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", date):  # fromisoformat takes weeks and more
            return Date.fromisoformat(date)
    except ValueError:
        pass  # the same answer for 2026-02-30
    raise BadRequest("The date must be a day written as YYYY-MM-DD, such as 2026-03-01.", reason="date")


Day = Annotated[Date, Depends(day_asked_for)]


@router.get("/api/attendance")
async def attendance(day: Day, parts: PartsDep) -> list[AttendanceMarked]:
    """Everyone marked on a day, in the order they were seen."""
    return await parts.attendance.of_day(day)


@router.get("/api/attendance.csv")
async def attendance_csv(day: Day, parts: PartsDep) -> Response:
    """The same for a spreadsheet."""
    return Response(
        to_csv(await parts.attendance.of_day(day)),
        media_type="text/csv; charset=utf-8; header=present",
        headers={
            "Content-Disposition": f'attachment; filename="attendance-{day.isoformat()}.csv"',
            "Cache-Control": "no-store",
        },
    )


def to_csv(rows: Iterable[AttendanceMarked]) -> bytes:
    """RFC 4180, in UTF-8 with a byte order mark: without it Excel takes names for Latin-1."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    writer.writerows([_cell(getattr(row, column)) for column in COLUMNS] for row in rows)
    return text.getvalue().encode("utf-8-sig")


def _cell(value: object) -> object:
    if isinstance(value, str) and value.startswith(_FORMULA_STARTS):
        return f"'{value}"
    return value
