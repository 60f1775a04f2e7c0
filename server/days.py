"""The school's days and their sessions: to which one a moment belongs, and when each begins and ends.

Pure: no clock, no database. A day begins at local midnight and may have 23 or 25 hours; a session begins when the
school's clock first shows its start, and lasts until the next one begins or the day ends.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from .errors import ConfigError, Unprocessable

MAX_NAME_CHARACTERS = 50  # the column's width
MIDNIGHT = time()


@dataclass(frozen=True, slots=True)
class DaySession:
    """One session of one local day; `session` is empty where a day has only one."""

    day: date
    session: str


class SchoolDay:
    """Days and sessions in the school's time zone."""

    def __init__(self, timezone: str, sessions: Sequence[str] = ()) -> None:
        """`timezone` is a name such as Europe/Berlin, empty for this machine's; `sessions` are entries `name=HH:MM`.

        Raises:
            ConfigError: there is no such time zone, or an entry does not fit; names it.
        """
        self._zone = _zone(timezone)
        starts = _starts(sessions)
        self.sessions = tuple(starts)
        self._starts = tuple(starts.values()) or (MIDNIGHT,)

    def local(self, at: datetime) -> datetime:
        """`at` (aware) as the school's clock shows it."""
        return at.astimezone(self._zone)

    def of(self, at: datetime) -> DaySession:
        """The day and session to which the moment `at` (aware) belongs."""
        day = self.local(at).date()
        # By moments and not by what the clock shows: in autumn it shows an hour twice.
        begun = bisect_right([self._moment(day, start) for start in self._starts], at)
        return DaySession(day, self._name(max(begun - 1, 0)))

    def bounds(self, day: date, session: str | None = None) -> tuple[datetime, datetime]:
        """Beginning and end (UTC, the end excluded) of a session, or of the whole day when it is None.

        Raises:
            Unprocessable: there is no such session.
        """
        if session is None:
            return self._moment(day, MIDNIGHT), self._midnight_after(day)
        place = self._place(session)
        last = place == len(self._starts) - 1
        end = self._midnight_after(day) if last else self._moment(day, self._starts[place + 1])
        return self._moment(day, self._starts[place]), end

    def _midnight_after(self, day: date) -> datetime:
        return self._moment(day + timedelta(days=1), MIDNIGHT)

    def _moment(self, day: date, at: time) -> datetime:
        """When the clock shows `at` for the first time; where it skips that, when it would have."""
        return datetime.combine(day, at, self._zone).astimezone(UTC)

    def _name(self, place: int) -> str:
        return self.sessions[place] if self.sessions else ""

    def _place(self, session: str) -> int:
        names = self.sessions or ("",)
        if session not in names:
            known = f"The sessions are {', '.join(names)}." if self.sessions else "A day has only one."
            raise Unprocessable(f"There is no such session. {known}", reason="session")
        return names.index(session)


def _zone(name: str) -> ZoneInfo | None:
    if not name:
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ConfigError(f"Setting timezone = {name!r}: there is no such zone. An example: Europe/Berlin.") from error


def _starts(entries: Sequence[str]) -> dict[str, time]:
    """Names and starts in the order of the day."""
    pairs = [_parse(entry) for entry in entries]
    for number, (name, start) in enumerate(pairs):
        before = pairs[:number]
        if name in dict(before):
            raise _wrong(entries[number], "there is a session of this name already")
        if start in [other for _, other in before]:
            raise _wrong(entries[number], "another session begins at the same time")
    starts = dict(sorted(pairs, key=lambda pair: pair[1]))
    if starts and MIDNIGHT not in starts.values():
        first = min(pairs, key=lambda pair: pair[1])
        entry = entries[pairs.index(first)]
        raise _wrong(entry, "the first session must begin at 00:00, so that who comes early belongs to it")
    return starts


def _parse(entry: str) -> tuple[str, time]:
    name, _, start = (part.strip() for part in entry.partition("="))
    if not 1 <= len(name) <= MAX_NAME_CHARACTERS or not name.isprintable():
        raise _wrong(entry, f"a session needs a name of 1 to {MAX_NAME_CHARACTERS} characters")
    if not re.fullmatch(r"([01][0-9]|2[0-3]):[0-5][0-9]", start):
        raise _wrong(entry, "it must be name=HH:MM, such as afternoon=12:30")
    return name, time.fromisoformat(start)


def _wrong(entry: str, why: str) -> ConfigError:
    return ConfigError(f"Setting attendance_sessions: {entry!r}: {why}.")
