"""Attendance: marking who was seen, telling who was there, and taking back what is wrong.

The rule is in `marking`. What is remembered here only saves asking again. Nothing is announced before it is on the
database's disk; while the database is away, marks wait in the spool and are written in order when it is back. Use it
from one event loop.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import partial

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from . import dayview, proofs
from .config import Settings
from .database import Database
from .days import DaySession, SchoolDay
from .dayview import DayAttendance, Filters
from .errors import SurveillxError, Unavailable, Unprocessable
from .events import AttendanceMarked, Sighting
from .marking import Marking, Outcome
from .metrics import Metrics
from .proofs import Proof, TakenBack
from .spool import FILE_NAME, Mark, Spool

RETRY_S = 0.5  # between two attempts while the database is locked, full or away
BATCH = 100  # waiting marks written in one transaction

Key = tuple[int | None, DaySession]

logger = logging.getLogger("surveillx.attendance")


class AttendanceStore:
    """The attendance of a school. `run` writes what waits."""

    def __init__(
        self,
        database: Database,
        settings: Settings,
        metrics: Metrics,
        *,
        on_late: Callable[[AttendanceMarked], None] = lambda _marked: None,
        on_waiting: Callable[[], None] = lambda: None,
    ) -> None:
        """Take over what waits from before a restart.

        `on_late` is told of each row that was written after its `mark` returned, `on_waiting` when `waiting` changed.

        Raises:
            ConfigError: there is no such time zone, an entry of the sessions does not fit, or the spool is unreadable.
        """
        self._database = database
        self._metrics = metrics
        self._keeps_crops = settings.evidence
        self._limit = settings.waiting_marks
        self._on_late = on_late
        self._on_waiting = on_waiting
        self._days = SchoolDay(settings.timezone, settings.attendance_sessions)
        self._marking = Marking(self._days, database.vault, settings.recognition_not_them)
        self._spool = Spool(settings.data / FILE_NAME, database.vault)
        self._marked: set[Key] = set()
        self._marked_day: date | None = None  # what is remembered is of this day
        self._pending = {self._key(mark) for mark in self._spool.oldest(len(self._spool))}  # being written, or waiting
        self._turn = asyncio.Lock()  # first come, first written
        self._has_waiting = asyncio.Event()
        self._is_refusing = False
        self._show_waiting()

    @property
    def waiting(self) -> int:
        """How many marks wait for the database."""
        return len(self._spool)

    def today(self) -> date:
        """The day it is at the school."""
        return self._days.of(datetime.now(UTC)).day

    async def mark(self, seen: Sighting, at: datetime | None = None) -> AttendanceMarked | None:
        """Mark the person of a sighting as present in the session of `at` (aware; now unless given).

        Returns the row once it is on the disk. None: the person is marked already, gave no consent, is gone, or was
        told not to be this face; or the database is away and the mark waits, `on_late` being told of it later.
        """
        crop = seen.crop if self._keeps_crops else b""
        mark = Mark(replace(seen, crop=crop), at or datetime.now(UTC))
        key = self._key(mark)
        if key in self._marked or key in self._pending or self._refuses():
            return None
        self._pending.add(key)
        try:
            async with self._turn:
                return await self._write_or_keep(mark)
        except BaseException:
            self._pending.discard(key)
            raise

    async def mark_by_hand(self, person_id: int, day: date | None, session: str | None) -> AttendanceMarked:
        """Mark a person as present because a member of staff says so; today's current session unless given.

        Raises:
            NotFound: there is no such person.
            Conflict: the person is marked already, or gave no consent.
            Unprocessable: there is no such session, or it has not begun.
            Unavailable: the database is away.
        """
        now = datetime.now(UTC)
        when = self._session_meant(now, day, session)
        begin, end = self._days.bounds(when.day, when.session)
        if begin > now:
            raise Unprocessable("Nobody can be marked in the future.", reason="future")
        at = now if now < end else begin
        marked = await self._database.run(lambda it: self._marking.by_hand(it, person_id, when, at))
        self._remember((person_id, when))
        return marked

    async def remove_wrong(self, attendance_id: int) -> TakenBack:
        """Remove a row that names the wrong person; from now on this face is not marked as that person.

        Raises:
            NotFound: there is no such row.
            Conflict: the school's own program wrote it.
            Unavailable: the database is away.
        """
        return await self._take_back(lambda it: proofs.take_back_wrong(it, self._marking, attendance_id))

    async def remove(self, attendance_id: int) -> TakenBack:
        """Remove a row that was marked by hand.

        Raises:
            NotFound: there is no such row.
            Conflict: it was not marked by hand.
            Unavailable: the database is away.
        """
        return await self._take_back(lambda it: proofs.take_back_by_hand(it, self._marking, attendance_id))

    async def present(self, day: date, filters: Filters = Filters()) -> list[AttendanceMarked]:  # noqa: B008 - frozen
        """Who was there on `day`, in the order they were seen."""
        return await self._database.read(lambda session: dayview.present(session, self._marking, day, filters))

    async def day(self, day: date, filters: Filters = Filters()) -> DayAttendance:  # noqa: B008 - frozen
        """Who was there on `day`, and who was not."""
        return await self._database.read(lambda session: dayview.whole_day(session, self._marking, day, filters))

    async def proof(self, attendance_id: int) -> Proof:
        """Why a row was written.

        Raises:
            NotFound: there is no such row.
        """
        return await self._database.read(lambda session: proofs.proof_of(session, self._marking, attendance_id))

    async def crop(self, attendance_id: int) -> bytes:
        """The JPEG of the face that was seen.

        Raises:
            NotFound: there is no such row, or no picture of it.
            Sealed: it is encrypted with another key.
        """
        stored = await self._database.read(lambda session: proofs.crop_of(session, attendance_id))
        return self._database.vault.open(stored)

    async def purge_evidence(self, days: int) -> int:
        """Remove pictures and embeddings of rows older than `days`; returns of how many rows."""
        before = datetime.now(UTC) - timedelta(days=days)
        return await self._database.run(lambda session: proofs.purge(session, before))

    async def run(self, ready: asyncio.Event) -> None:
        """Write what waits, oldest first, until cancelled."""
        ready.set()
        while True:
            await self._has_waiting.wait()
            if not await self._write_oldest():
                await asyncio.to_thread(self._spool.save)
                await asyncio.sleep(RETRY_S)

    async def _write_or_keep(self, mark: Mark) -> AttendanceMarked | None:
        if not self.waiting:
            try:
                outcome = await self._database.run(partial(self._marking.by_sight, mark=mark))
            except Unavailable as error:
                logger.warning("attendance waits for the database: %s", error.detail)
            else:
                return self._settle(mark, outcome)
        await asyncio.shield(self._keep(mark))  # what has begun to be kept is kept, also when the caller gives up
        return None

    async def _keep(self, mark: Mark) -> None:
        await asyncio.to_thread(self._spool.append, mark)
        self._waiting_changed()

    async def _write_oldest(self) -> bool:
        """Write the oldest marks; False when the database is still away."""
        marks = self._spool.oldest(BATCH)
        try:
            outcomes = await self._outcomes(marks)
        except Unavailable:
            return False
        for mark, outcome in zip(marks, outcomes, strict=True):
            marked = self._settle(mark, outcome)
            if marked is not None:
                self._on_late(marked)
        await asyncio.to_thread(self._spool.drop_oldest, len(marks))
        self._waiting_changed()
        if not self.waiting:
            logger.info("all waiting attendance is written")
        return True

    async def _outcomes(self, marks: Sequence[Mark]) -> Sequence[Outcome]:
        """Write `marks` together; where that fails because of one of them, apart, so that only that one is lost."""
        try:
            return await self._database.run(lambda it: self._write_all(it, marks))
        except Unavailable:
            raise
        except (SQLAlchemyError, SurveillxError, ValueError):
            if len(marks) > 1:
                return [outcome for mark in marks for outcome in await self._outcomes([mark])]
            logger.exception("a waiting mark of person %s cannot be written and is lost", marks[0].seen.person_id)
            return ["refused"]

    def _write_all(self, session: Session, marks: Sequence[Mark]) -> Sequence[Outcome]:
        with session.no_autoflush:  # all proofs go in with one statement at the end
            return [self._marking.by_sight(session, mark) for mark in marks]

    async def _take_back(self, deed: Callable[..., TakenBack]) -> TakenBack:
        taken = await self._database.run(deed)
        self._marked.discard((taken.row.person_id, self._days.of(datetime.fromisoformat(taken.row.timestamp))))
        with suppress(Unavailable):  # the row is gone; what is left of it on the disk goes with the next clearing
            await self._database.forget_deleted()
        return taken

    def _session_meant(self, now: datetime, day: date | None, session: str | None) -> DaySession:
        current = self._days.of(now)
        if day is None:
            day = current.day
        if session is not None:
            return DaySession(day, session)
        if day == current.day or not self._days.sessions:
            return DaySession(day, current.session)
        raise Unprocessable(
            f"A day has several sessions; say which: {', '.join(self._days.sessions)}.", reason="session"
        )

    def _refuses(self) -> bool:
        """Whether no more marks can wait; says so once."""
        is_full = len(self._pending) >= self._limit
        if is_full:
            self._metrics.attendance_refused.inc()
            if not self._is_refusing:
                logger.error("%d marks wait for the database; no more are taken (SURVEILLX_WAITING_MARKS)", self._limit)
        self._is_refusing = is_full
        return is_full

    def _settle(self, mark: Mark, outcome: Outcome) -> AttendanceMarked | None:
        key = self._key(mark)
        self._pending.discard(key)
        if outcome == "refused":  # may be otherwise next time: consent can be given, another face can be theirs
            return None
        self._remember(key)
        return None if outcome == "already" else outcome

    def _key(self, mark: Mark) -> Key:
        return mark.seen.person_id, self._days.of(mark.at)

    def _remember(self, key: Key) -> None:
        if key[1].day != self._marked_day:
            self._marked_day = key[1].day
            self._marked.clear()
        self._marked.add(key)

    def _waiting_changed(self) -> None:
        self._show_waiting()
        self._on_waiting()

    def _show_waiting(self) -> None:
        self._metrics.attendance_waiting.set(self.waiting)
        if self.waiting:
            self._has_waiting.set()
        else:
            self._has_waiting.clear()
