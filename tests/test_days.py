"""Days and sessions of the school, also on the days on which clocks change."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest

from server.days import DaySession, SchoolDay
from server.errors import ConfigError, Unprocessable

BERLIN = "Europe/Berlin"
TWO = ("morning=00:00", "afternoon=12:30")


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("at", "day", "session"),
    [
        ("2026-03-01T22:59:59", "2026-03-01", "afternoon"),  # 23:59:59
        ("2026-03-01T23:00", "2026-03-02", "morning"),  # 00:00
        ("2026-03-02T11:29:59", "2026-03-02", "morning"),  # 12:29:59
        ("2026-03-02T11:30", "2026-03-02", "afternoon"),  # 12:30
        ("2026-03-29T10:29:59", "2026-03-29", "morning"),  # the day that has 23 hours: 12:29:59 in summer time
        ("2026-03-29T10:30", "2026-03-29", "afternoon"),
        ("2026-03-29T21:59:59", "2026-03-29", "afternoon"),
        ("2026-03-29T22:00", "2026-03-30", "morning"),
        ("2026-10-25T11:30", "2026-10-25", "afternoon"),  # the day that has 25 hours
        ("2026-10-25T22:59:59", "2026-10-25", "afternoon"),
    ],
)
def test_each_moment_has_its_session(at: str, day: str, session: str) -> None:
    assert SchoolDay(BERLIN, TWO).of(utc(at)) == DaySession(date.fromisoformat(day), session)


def test_without_sessions_a_day_is_one() -> None:
    days = SchoolDay(BERLIN)
    assert days.sessions == ()
    assert days.of(utc("2026-03-02T12:00")) == DaySession(date(2026, 3, 2), "")
    assert days.bounds(date(2026, 3, 2), "") == days.bounds(date(2026, 3, 2))


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        (BERLIN, "2026-03-28", 24),
        (BERLIN, "2026-03-29", 23),
        (BERLIN, "2026-10-25", 25),
        ("Australia/Lord_Howe", "2026-10-04", 23.5),
        ("Asia/Kolkata", "2026-10-25", 24),
        ("Africa/Cairo", "2026-04-24", 23),  # its midnight is skipped
        ("America/Havana", "2026-11-01", 25),  # its midnight comes twice
    ],
)
def test_a_day_has_its_hours(zone: str, day: str, hours: float) -> None:
    begin, end = SchoolDay(zone).bounds(date.fromisoformat(day))
    assert end - begin == timedelta(hours=hours)


@pytest.mark.parametrize("zone", [BERLIN, "Africa/Cairo", "America/Havana", "Asia/Kolkata", ""])
@pytest.mark.parametrize("day", ["2026-03-29", "2026-04-24", "2026-10-25", "2026-11-01"])
def test_sessions_fill_the_day_and_agree_with_their_moments(zone: str, day: str) -> None:
    days = SchoolDay(zone, ("night=00:00", "small=02:30", "school=08:00", "late=12:30"))
    on = date.fromisoformat(day)
    bounds = [days.bounds(on, session) for session in days.sessions]
    assert (bounds[0][0], bounds[-1][1]) == days.bounds(on)
    assert all(before[1] == after[0] for before, after in pairwise(bounds))
    for session, (begin, end) in zip(days.sessions, bounds, strict=True):
        for moment in (begin, begin + (end - begin) / 2, end - timedelta(seconds=1)):
            assert days.of(moment) == DaySession(on, session)


def test_sessions_are_in_the_order_of_the_day() -> None:
    days = SchoolDay(BERLIN, ("late = 16:00", "noon=12:00", "morning=00:00"))
    assert days.sessions == ("morning", "noon", "late")


def test_an_unknown_session_is_refused() -> None:
    with pytest.raises(Unprocessable, match="The sessions are morning, afternoon") as refused:
        SchoolDay(BERLIN, TWO).bounds(date(2026, 3, 2), "evening")
    assert refused.value.reason == "session"
    with pytest.raises(Unprocessable, match="A day has only one"):
        SchoolDay(BERLIN).bounds(date(2026, 3, 2), "evening")


@pytest.mark.parametrize(
    ("entries", "named"),
    [
        (("morning",), "'morning'"),
        (("=00:00",), "'=00:00'"),
        (("morning=0:00",), "'morning=0:00'"),
        (("morning=24:00",), "'morning=24:00'"),
        (("morning=00:00", "b=12:60"), "'b=12:60'"),
        (("morning=٠٠:٠٠",), "٠"),
        (("a\x07=00:00",), "needs a name"),
        (("x" * 51 + "=00:00",), "1 to 50 characters"),
        (("a=00:00", "a=12:00"), "'a=12:00': there is a session of this name"),
        (("a=00:00", "b=00:00"), "'b=00:00': another session begins at the same time"),
        (("b=12:30", "a=08:00"), "'a=08:00': the first session must begin at 00:00"),
    ],
)
def test_a_wrong_entry_is_named(entries: tuple[str, ...], named: str) -> None:
    with pytest.raises(ConfigError, match=f"attendance_sessions: .*{named}"):
        SchoolDay(BERLIN, entries)


@pytest.mark.parametrize("name", ["Europe/Atlantis", "../../etc/passwd", "Europe", "/etc/localtime"])
def test_a_wrong_zone_is_named(name: str) -> None:
    with pytest.raises(ConfigError, match=r"timezone = .* there is no such zone"):
        SchoolDay(name)
