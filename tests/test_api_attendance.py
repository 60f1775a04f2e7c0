"""The attendance list, its spreadsheet, its proofs, and taking back what is wrong."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from server.api import attendance, audit
from server.dayview import DayAttendance, Filters
from server.events import AttendanceMarked, AttendanceRemoved
from server.tables import FacePhoto, NotThem, Person
from tests.api_app import Served, serving
from tests.sightings import CROP, face, sighting

ZONE = "Asia/Kolkata"
AT = datetime(2026, 3, 1, 20, 0, tzinfo=UTC)  # 01:30 on the 2nd at the school
DAY = {"date": "2026-03-02"}
BEFORE = ("id", "person_id", "name", "roll_no", "camera_id", "timestamp", "distance")  # the first release's columns
NAMES = [("Zoë, the 2nd", None, "5b"), ('=HYPERLINK("http://evil")', "-1", None), ("Ben", "3", "5a")]


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with serving([attendance.router, audit.router], tmp_path, timezone=ZONE) as served:
        await served.parts.database.run(
            lambda session: session.add_all(
                Person(name=name, roll_no=roll_no, class_name=class_name) for name, roll_no, class_name in NAMES
            )
        )
        photo = FacePhoto(student_id=3, embedding=face(3), thumbnail=b"", created_at=AT)
        await served.parts.database.run(lambda session: session.add(photo))
        yield served


async def test_the_list_of_a_day(served: Served) -> None:
    await served.parts.attendance.mark(sighting(1, distance=0.3125), AT)
    row = {
        "id": 1,
        "person_id": 1,
        "name": "Zoë, the 2nd",
        "roll_no": None,
        "camera_id": "1",
        "timestamp": "2026-03-02T01:30:00+05:30",
        "distance": 0.3125,
        "class_name": "5b",
        "session": "",
        "source": "recognised",
    }
    assert (await served.client.get("/api/attendance", params=DAY)).json() == [row]
    assert (await served.client.get("/api/attendance", params={"date": "2026-03-01"})).json() == []
    assert (await served.client.get("/api/attendance/day", params=DAY)).json() == {
        "date": "2026-03-02",
        "sessions": [],
        "present": [row],
        "absent": [{"person_id": 3, "name": "Ben", "roll_no": "3", "class_name": "5a"}],
        "anonymous": 0,
        "classes": ["5a", "5b"],
        "cameras": ["1"],
    }


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"class_name": "5a"}, [3]),
        ({"camera_id": "gate"}, [1]),
        ({"class_name": "", "camera_id": "", "session": ""}, [1, 3]),
        ({"session": "morning"}, []),
        ({"class_name": "5a", "camera_id": "gate"}, []),
    ],
)
async def test_filters(served: Served, filters: dict[str, str], found: list[int]) -> None:
    await served.parts.attendance.mark(sighting(1, camera_id="gate"), AT)
    await served.parts.attendance.mark(sighting(3), AT)
    rows = (await served.client.get("/api/attendance", params=DAY | filters)).json()
    assert [row["person_id"] for row in rows] == found
    day = (await served.client.get("/api/attendance/day", params=DAY | filters)).json()
    assert day["present"] == rows
    lines = (await served.client.get("/api/attendance.csv", params=DAY | filters)).text.splitlines()
    assert sum(line.endswith(",present") for line in lines) == len(found)


async def test_today_is_the_schools(served: Served) -> None:
    marked = await served.parts.attendance.mark(sighting(1))
    assert marked is not None
    assert [row["id"] for row in (await served.client.get("/api/attendance")).json()] == [marked.id]


@pytest.mark.parametrize(
    "date",
    [
        "",
        "today",
        "2026-02-30",
        "2026-3-1",
        "20260301",
        "2026-W10-1",
        "1700000000",
        "2026-03-01T00:00",
        "٢٠٢٦-٠٣-٠١",
        "9999-12-31",
        "0001-01-01",
    ],
)
async def test_what_is_no_day(served: Served, date: str) -> None:
    answers = [
        await served.client.get(path, params={"date": date})
        for path in ("/api/attendance", "/api/attendance.csv", "/api/attendance/day")
    ]
    answers.append(await served.client.post("/api/attendance", json={"person_id": 1, "date": date}))
    for response in answers:
        assert response.status_code == 400
        assert response.headers["content-type"] == "application/problem+json"
        assert "YYYY-MM-DD" in response.json()["detail"]


async def test_the_spreadsheet(served: Served) -> None:
    for person in (1, 2):
        await served.parts.attendance.mark(sighting(person, camera_id="@cam", distance=0.25), AT)
    response = await served.client.get("/api/attendance.csv", params=DAY)
    assert response.headers["content-type"].startswith("text/csv; charset=utf-8")
    assert response.headers["content-disposition"] == 'attachment; filename="attendance-2026-03-02.csv"'
    assert response.content.startswith(b"\xef\xbb\xbf"), "or Excel shows ZoÃ«"
    text = response.content.decode("utf-8-sig")
    assert text.count("\r\n") == text.count("\n") == 4
    at = "2026-03-02T01:30:00+05:30"
    assert list(csv.reader(io.StringIO(text, newline=""))) == [
        [*BEFORE, "class_name", "session", "source", "status"],
        ["1", "1", "Zoë, the 2nd", "", "'@cam", at, "0.25", "5b", "", "recognised", "present"],
        ["2", "2", '\'=HYPERLINK("http://evil")', "'-1", "'@cam", at, "0.25", "", "", "recognised", "present"],
        ["", "3", "Ben", "3", "", "", "", "5a", "", "", "absent"],
    ]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_no_cell_is_a_formula(start: str) -> None:
    row = AttendanceMarked(1, 1, f"{start}1+1", None, "1", "", None)
    day = DayAttendance(AT.date(), [], [row], [], 0, [], [])
    [_, cells] = csv.reader(io.StringIO(attendance.to_csv(day, Filters()).decode("utf-8-sig"), newline=""))
    assert cells[2] == f"'{start}1+1"


async def test_why(served: Served) -> None:
    await served.parts.attendance.mark(sighting(1), AT)
    proof = (await served.client.get("/api/attendance/1")).json()
    assert proof == (await served.client.get("/api/attendance", params=DAY)).json()[0] | {
        "track_id": 4,
        "margin": 0.22,
        "looks": 3,
        "model": "dlib_face_recognition_resnet_model_v1",
        "threshold": 0.5,
        "has_crop": True,
        "has_face": True,
    }
    crop = await served.client.get("/api/attendance/1/crop")
    assert (crop.content, crop.headers["content-type"]) == (CROP, "image/jpeg")
    assert crop.headers["cache-control"] == "no-store"


async def test_the_wrong_person(served: Served) -> None:
    await served.parts.attendance.mark(sighting(1, embedding=face(9)), AT)
    with served.parts.events.subscribe() as events:
        response = await served.client.post("/api/attendance/1/wrong")
        assert await events.next() == AttendanceRemoved(1, 1, "1")
    assert response.status_code == 200
    assert response.json() == {"id": 1, "person_id": 1, "camera_id": "1", "is_remembered": True}
    assert (await served.client.get("/api/attendance", params=DAY)).json() == []
    assert await served.parts.attendance.mark(sighting(1, embedding=face(9)), AT) is None
    known = await served.parts.people.known()
    assert [(not_them.person_id, not_them.embedding.tobytes()) for not_them in known.not_them] == [(1, face(9))]
    assert (await served.client.post("/api/attendance/1/wrong")).status_code == 404
    [line] = (await served.client.get("/api/audit")).json()
    assert (line["action"], line["person_id"]) == ("attendance_removed", 1)
    assert "Zoë" not in line["words"]


async def test_by_hand_and_removed(served: Served) -> None:
    with served.parts.events.subscribe() as events:
        response = await served.client.post("/api/attendance", json={"person_id": 3, "date": "2026-03-02"})
        marked = await events.next()
        assert isinstance(marked, AttendanceMarked)
        assert (response.status_code, response.headers["location"]) == (201, "/api/attendance/1")
        assert (marked.id, marked.source, response.json()["source"]) == (1, "manual", "manual")
        again = await served.client.post("/api/attendance", json={"person_id": 3, "date": "2026-03-02"})
        assert (again.status_code, again.json()["reason"]) == (409, "already_marked")
        assert (await served.client.get("/api/attendance/1/crop")).json()["reason"] == "no_crop"
        assert (await served.client.delete("/api/attendance/1")).status_code == 204
        assert await events.next() == AttendanceRemoved(1, 3, "")
    assert (await served.client.delete("/api/attendance/1")).status_code == 404
    assert not await served.parts.database.read(lambda session: session.query(NotThem).all())
    actions = [line["action"] for line in (await served.client.get("/api/audit", params={"limit": 5})).json()]
    assert actions == ["attendance_removed", "attendance_marked"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"person_id": 0},
        {"person_id": "1"},
        {"person_id": 2**31},
        {"person_id": 1, "day": "2026-03-02"},
        {"person_id": 1, "session": "x" * 51},
        {"person_id": 1, "session": "evening"},
        {"person_id": 1, "date": 5},
    ],
)
async def test_what_cannot_be_marked(served: Served, body: dict[str, object]) -> None:
    response = await served.client.post("/api/attendance", json=body)
    assert response.status_code == 422
    assert (await served.client.get("/api/attendance")).json() == []


async def test_nobody_is_marked_tomorrow(served: Served) -> None:
    response = await served.client.post("/api/attendance", json={"person_id": 1, "date": "2100-01-01"})
    assert (response.status_code, response.json()["reason"]) == (422, "future")


@pytest.mark.parametrize("attendance_id", ["0", "-1", "x", str(2**31), "99"])
async def test_what_is_no_mark(served: Served, attendance_id: str) -> None:
    path = f"/api/attendance/{attendance_id}"
    answers = [await served.client.get(path), await served.client.get(f"{path}/crop")]
    answers += [await served.client.post(f"{path}/wrong"), await served.client.delete(path)]
    assert {response.status_code for response in answers} <= {404, 422}


@pytest.mark.parametrize("limit", ["0", "-1", "1001", "x"])
async def test_the_audit_is_bounded(served: Served, limit: str) -> None:
    assert (await served.client.get("/api/audit", params={"limit": limit})).status_code == 422


async def test_everything_needs_view_access(tmp_path: Path) -> None:
    async with serving([attendance.router, audit.router], tmp_path, view_token="v") as served:
        paths = ["", ".csv", "/day", "/1", "/1/crop"]
        answers = [await served.client.get(f"/api/attendance{path}") for path in paths]
        answers += [await served.client.post(f"/api/attendance{path}") for path in ("", "/1/wrong")]
        answers += [await served.client.delete("/api/attendance/1"), await served.client.get("/api/audit")]
        assert {response.status_code for response in answers} == {401}
