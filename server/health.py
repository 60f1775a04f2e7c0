"""How the server is, in one place: what `/readyz` answers and what the pages' banner tells.

Event loop's thread only; a change on another thread reaches it by `call_soon_threadsafe`.
"""

from __future__ import annotations

from .attendance import AttendanceStore
from .database import Database
from .events import EventBus, ServerChanged
from .overload import Overload
from .recognition.worker import RecognitionWorker


class Health:
    """Asks the parts how they are, and tells the pages whenever the answer is another one."""

    def __init__(
        self,
        events: EventBus,
        recognition: RecognitionWorker,
        database: Database,
        attendance: AttendanceStore,
        overload: Overload,
    ) -> None:
        self._events = events
        self._recognition = recognition
        self._database = database
        self._attendance = attendance
        self._overload = overload
        self._told = self.now()

    def now(self) -> ServerChanged:
        """How the server is at this moment."""
        return ServerChanged(
            self._recognition.state,
            self._recognition.state_words,
            self._database.state,
            self._attendance.waiting,
            self._overload.words,
        )

    def check(self) -> None:
        """Tell the pages if something changed; for the parts to call when it may have."""
        now = self.now()
        if now != self._told:
            self._told = now
            self._events.publish(now)
