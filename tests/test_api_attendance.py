"""The attendance list and its spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from server.api import attendance
from server.events import AttendanceMarked
from server.tables import Person
from tests.api_app import Served, serving

ZONE = "Asia/Kolkata"
AT = datetime(2026, 3, 1, 20, 0, tzinfo=UTC)  # 01:30 on the 2nd at the school


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with serving([attendance.router], tmp_path, timezone=ZONE) as served:
        names = [("Zoë, the 2nd", None), ('=HYPERLINK("http://evil")', "-1")]
        await served.parts.database.run(
            lambda session: session.add_all(Person(name=name, roll_no=roll_no) for name, roll_no in names)
        )
        yield served


async def test_the_list_of_a_day(served: Served) -> None:
    await served.parts.attendance.mark(1, "1", 0.3125, AT)
    response = await served.client.get("/api/attendance", params={"date": "2026-03-02"})
    assert response.json() == [
        {
            "id": 1,
            "person_id": 1,
            "name": "Zoë, the 2nd",
            "roll_no": None,
            "camera_id": "1",
            "timestamp": "2026-03-02T01:30:00+05:30",
            "distance": 0.3125,
        }
    ]
    assert (await served.client.get("/api/attendance", params={"date": "2026-03-01"})).json() == []


async def test_today_is_the_schools(served: Served) -> None:
    marked = await served.parts.attendance.mark(1, "1", None)
    assert marked is not None
    assert [row["id"] for row in (await served.client.get("/api/attendance")).json()] == [marked.id]


@pytest.mark.parametrize(
    "date",
    ["", "today", "2026-02-30", "2026-3-1", "20260301", "2026-W10-1", "1700000000", "2026-03-01T00:00", "٢٠٢٦-٠٣-٠١"],
)
async def test_what_is_no_day(served: Served, date: str) -> None:
    for path in ("/api/attendance", "/api/attendance.csv"):
        response = await served.client.get(path, params={"date": date})
        assert response.status_code == 400
        assert response.headers["content-type"] == "application/problem+json"
        assert "YYYY-MM-DD" in response.json()["detail"]


async def test_the_spreadsheet(served: Served) -> None:
    for person in (1, 2):
        await served.parts.attendance.mark(person, "@cam", 0.25, AT)
    response = await served.client.get("/api/attendance.csv", params={"date": "2026-03-02"})
    assert response.headers["content-type"].startswith("text/csv; charset=utf-8")
    assert response.headers["content-disposition"] == 'attachment; filename="attendance-2026-03-02.csv"'
    assert response.content.startswith(b"\xef\xbb\xbf"), "or Excel shows ZoÃ«"
    text = response.content.decode("utf-8-sig")
    assert text.count("\r\n") == text.count("\n") == 3
    assert list(csv.reader(io.StringIO(text, newline=""))) == [
        ["id", "person_id", "name", "roll_no", "camera_id", "timestamp", "distance"],
        ["1", "1", "Zoë, the 2nd", "", "'@cam", "2026-03-02T01:30:00+05:30", "0.25"],
        ["2", "2", '\'=HYPERLINK("http://evil")', "'-1", "'@cam", "2026-03-02T01:30:00+05:30", "0.25"],
    ]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_no_cell_is_a_formula(start: str) -> None:
    row = AttendanceMarked(1, 1, f"{start}1+1", None, "1", "", None)
    cells = next(list(csv.reader(io.StringIO(attendance.to_csv([row]).decode("utf-8-sig"), newline="")))[1:].__iter__())
    assert cells[2] == f"'{start}1+1"


async def test_the_list_needs_view_access(tmp_path: Path) -> None:
    async with serving([attendance.router], tmp_path, view_token="v") as served:
        for path in ("/api/attendance", "/api/attendance.csv"):
            assert (await served.client.get(path)).status_code == 401
