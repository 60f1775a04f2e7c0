"""The database, and the one thread that talks to it.

SQLite in the data folder, or PostgreSQL by URL with the school's existing tables. Everything runs on one daemon thread,
`surveillx-database`, one transaction a job, so that neither a slow disk nor a lock held by another program touches the
event loop. What `run` has returned from is on the disk: SQLite is in WAL mode with synchronous=FULL.

A database that goes away (locked, full, restarted) fails the jobs of that time and is asked each second whether it is
back; nobody needs to restart anything.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import text
from sqlalchemy.exc import DatabaseError, SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

from .callers import acting
from .config import Settings
from .dialects import FOLDER_MODE, is_away, open_engine, start_up_words, tighten, words
from .errors import ConfigError, SurveillxError, Unavailable
from .events import DatabaseState
from .grants import require_grants
from .migrations import VERSION_TABLE, is_current, upgrade
from .sealing import TABLES as SEALED_TABLES
from .sealing import require_key, seal_some
from .vault import Vault

T = TypeVar("T")

BUSY_TIMEOUT_S = 2.0  # how long one job waits for another program's lock; callers retry beyond it
AWAY_TIMEOUT_S = (
    0.1  # the same while it is known to be locked: reading goes on beside that, and must not wait each time
)
PROBE_INTERVAL_S = 1.0  # between two questions whether the database is back
CLOSE_TIMEOUT_S = 5.0
MAX_WAITING_JOBS = 1000

logger = logging.getLogger("surveillx.database")


def open_database(settings: Settings) -> Database:
    """The database that `settings` name, with its vault, in a data folder that is its owner's only.

    Raises:
        ConfigError: it cannot be opened, or its faces are encrypted with another key; says what to do.
    """
    vault = Vault(settings.encryption_key)
    _tighten_folder(settings.data)
    return Database(settings.resolved_database_url, vault)


class Database:
    """Runs functions in transactions, one after the other, on the database's own thread."""

    def __init__(self, url: str, vault: Vault | None = None) -> None:
        """Open the database and bring it up to date. `vault` seals faces; without one they are stored as they are.

        Raises:
            ConfigError: the URL, the folder, the file, the tables or the key cannot serve; says what to do.
        """
        self.vault = vault or Vault()
        self._engine = open_engine(url, BUSY_TIMEOUT_S)
        # SQLite: a transaction that will write takes the lock at its start. Begun as a reader it could be refused in
        # the middle, at once and whatever the busy timeout (SQLITE_BUSY_SNAPSHOT, https://sqlite.org/isolation.html).
        writing = self._engine.execution_options(sqlite_begin="IMMEDIATE")
        self._writing = sessionmaker(writing, expire_on_commit=False)
        brief = writing.execution_options(sqlite_busy_timeout_s=AWAY_TIMEOUT_S)
        self._writing_while_away = sessionmaker(brief, expire_on_commit=False)
        self._reading = sessionmaker(self._engine, expire_on_commit=False)
        self._state: DatabaseState = "ok"
        self.away_since: datetime | None = None
        self.state_words = ""  #: why it is away
        self._tell: Callable[[DatabaseState], None] = lambda _state: None
        self._next_probe = 0.0
        self._jobs: queue.Queue[Callable[[], None] | None] = queue.Queue(MAX_WAITING_JOBS)
        self._closing = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="surveillx-database", daemon=True)
        self._thread.start()
        try:
            self._start()
        except (SQLAlchemyError, SurveillxError) as error:
            self.close()
            if isinstance(error, ConfigError):
                raise
            cause = error.__cause__ if isinstance(error, Unavailable) else None
            shown = cause if isinstance(cause, SQLAlchemyError) else error
            raise ConfigError(start_up_words(self._engine.url, shown)) from error

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        return self._engine.dialect.name

    @property
    def closed(self) -> bool:
        """Whether `close` was asked for: nothing more will be taken."""
        return self._closed

    @property
    def state(self) -> DatabaseState:
        """`away` from a job that the database could not do until it can write again."""
        return self._state

    def on_state(self, tell: Callable[[DatabaseState], None]) -> None:
        """Call `tell` on the running event loop whenever `state` changes; it replaces who was told before."""
        loop = asyncio.get_running_loop()

        def on_loop(state: DatabaseState) -> None:
            with suppress(RuntimeError):  # the loop has ended: nobody is left to be told
                loop.call_soon_threadsafe(tell, state)

        self._tell = on_loop

    async def run(self, function: Callable[[Session], T]) -> T:
        """Run `function` in one transaction that may write; when this returns, the result is on the disk.

        A transaction that has begun is not undone by cancelling the caller.

        Raises:
            Unavailable: the database is locked, full, unreachable or closed.
        """
        who = acting.get()
        return await asyncio.wrap_future(self._submit(lambda: self._write(function, who)))

    async def read(self, function: Callable[[Session], T]) -> T:
        """Like `run`, for a function that only reads: it goes on while another program writes."""
        return await asyncio.wrap_future(self._submit(lambda: self._transact(self._reading, function)))

    def run_sync(self, function: Callable[[Session], T]) -> T:
        """`run` for the command line: blocks the caller."""
        who = acting.get()
        return self._submit(lambda: self._write(function, who)).result()

    async def forget_deleted(self) -> None:
        """Remove what was deleted from the disk too: SQLite's write-ahead log still holds the old pages."""
        await asyncio.wrap_future(self._submit(self._truncate_log))

    def close(self) -> None:
        """Finish the waiting jobs and close the file. Blocks; twice is harmless."""
        with self._closing:
            first, self._closed = not self._closed, True
        if first:
            self._jobs.put(None)
        self._thread.join(CLOSE_TIMEOUT_S)
        if self._thread.is_alive():
            logger.warning("The database did not finish its work within %.0f s.", CLOSE_TIMEOUT_S)

    async def aclose(self) -> None:
        """`close` without blocking the event loop."""
        await asyncio.to_thread(self.close)

    def _start(self) -> None:
        if not self._submit(lambda: self._transact(self._reading, _is_ready)).result():
            self.run_sync(_upgrade)
            logger.info("The database's tables were brought up to date.")
        self.run_sync(lambda session: require_key(session, self.vault))
        sealed = 0
        while some := self.run_sync(lambda session: seal_some(session, self.vault)):
            sealed += some
        if sealed:
            self._submit(self._rewrite).result()
            logger.info("Faces that were stored before there was a key are encrypted now (rows: %d).", sealed)

    def _submit(self, function: Callable[[], T]) -> Future[T]:
        future: Future[T] = Future()
        with self._closing:
            if self._closed:
                raise Unavailable("The server is shutting down.")
            try:
                self._jobs.put_nowait(lambda: _fulfil(future, function))
            except queue.Full:
                raise Unavailable("The database does not keep up. Try again in a moment.") from None
        return future

    def _work(self) -> None:
        while True:
            try:
                job = self._jobs.get(timeout=self._until_probe())
            except queue.Empty:
                self._probe()
                continue
            if job is None:
                break
            job()
        self._engine.dispose()

    def _write(self, function: Callable[[Session], T], who: str = "") -> T:
        sessions = self._writing if self._state == "ok" else self._writing_while_away
        result = self._transact(sessions, function, who)
        self._change_state("ok")  # a read proves too little: it goes on beside a lock, and on a full disk
        return result

    def _transact(self, sessions: sessionmaker[Session], function: Callable[[Session], T], who: str = "") -> T:
        try:
            with sessions.begin() as session:
                session.info["who"] = who  # `audit.note` writes it down
                return function(session)
        except DatabaseError as error:
            if not is_away(error):
                raise
            self._next_probe = time.monotonic() + PROBE_INTERVAL_S
            self._change_state("away", words(error))
            raise Unavailable(words(error), headers={"Retry-After": "2"}) from error

    def _until_probe(self) -> float | None:
        """Seconds; None while there is nothing to ask."""
        return None if self._state == "ok" else max(0.0, self._next_probe - time.monotonic())

    def _probe(self) -> None:
        try:
            self._write(_write_something)
        except Unavailable:
            return
        except SQLAlchemyError as error:  # such as a table that is gone: not away, but nothing to wait for either
            logger.error("The database answers, but not as it should: %s", words(error))
            self._next_probe = time.monotonic() + PROBE_INTERVAL_S

    def _change_state(self, state: DatabaseState, why: str = "") -> None:
        if state == self._state:
            return
        self.away_since = datetime.now(UTC) if state == "away" else None
        self.state_words = why
        self._state = state
        if state == "away":
            logger.warning("The database is away: %s", why)
        else:
            logger.info("The database is back.")
        self._tell(state)

    def _truncate_log(self) -> None:
        if self.dialect != "sqlite":
            return
        (busy, *_) = self._outside_transactions("PRAGMA wal_checkpoint(TRUNCATE)")
        if busy:
            logger.warning("Another program is reading the database: deleted data stays in its log until that ends.")

    def _rewrite(self) -> None:
        """Write the tables of faces anew, so that nothing of what was replaced is left between their rows."""
        try:
            if self.dialect == "sqlite":
                self._outside_transactions("VACUUM")
            else:
                with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                    connection.exec_driver_sql(f"VACUUM (FULL) {', '.join(SEALED_TABLES)}")
        except (DatabaseError, sqlite3.Error) as error:
            logger.warning("Free space in the database may still hold faces that are not encrypted: %s", error)
        self._truncate_log()

    def _outside_transactions(self, statement: str) -> tuple[Any, ...]:
        """SQLite: SQLAlchemy's connections always begin one, the driver's own does not."""
        with closing(self._engine.raw_connection()) as connection, closing(connection.cursor()) as cursor:
            cursor.execute(statement)
            return tuple(cursor.fetchone() or ())


def _is_ready(session: Session) -> bool:
    """Whether the tables are those of this program, and usable."""
    current = is_current(session.connection())
    require_grants(session.connection(), upgrading=not current)
    return current


def _upgrade(session: Session) -> None:
    upgrade(session.connection())


def _write_something(session: Session) -> None:
    session.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = version_num")).close()  # noqa: S608 - a constant


def _tighten_folder(folder: Path) -> None:
    """Close the data folder to others, unless it is a place of everybody's, such as /tmp or where we were started."""
    is_shared = Path.cwd().is_relative_to(folder.resolve()) or (folder.exists() and folder.stat().st_mode & 0o1000)
    if not is_shared:
        try:
            tighten(folder, FOLDER_MODE)
        except OSError as error:
            logger.warning("The folder %s can be read by others, and belongs to another user: %s", folder, error)


def _fulfil(future: Future[T], function: Callable[[], T]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = function()
    except BaseException as error:  # noqa: BLE001 - whatever it is belongs to the one who waits; the thread goes on
        future.set_exception(error)
    else:
        future.set_result(result)
