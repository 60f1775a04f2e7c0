"""The database, and the one thread that talks to it.

SQLite in the data folder, or PostgreSQL by URL with the school's existing tables. Everything runs on one daemon thread,
`surveillx-database`, one transaction a job, so that neither a slow disk nor a lock held by another program touches the
event loop. What `run` has returned from is on the disk: SQLite is in WAL mode with synchronous=FULL.
"""

from __future__ import annotations

import asyncio
import logging
import os
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, InternalError, OperationalError, SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

from .errors import ConfigError, Unavailable
from .tables import create_missing
from .vault import Vault

T = TypeVar("T")

BUSY_TIMEOUT_S = 2.0  # how long one job waits for another program's lock; callers retry beyond it
CLOSE_TIMEOUT_S = 5.0
MAX_WAITING_JOBS = 1000

logger = logging.getLogger("surveillx.database")


class Database:
    """Runs functions in transactions, one after the other, on the database's own thread."""

    def __init__(self, url: str, vault: Vault | None = None) -> None:
        """Open the database, creating what is missing. `vault` seals faces; without one they are stored as they are.

        Raises:
            ConfigError: the URL, the folder or the file cannot serve; says what to do.
        """
        self.vault = vault or Vault()
        self._engine = _engine(url)
        # SQLite: a transaction that will write takes the lock at its start. Begun as a reader it could be refused in
        # the middle, at once and whatever the busy timeout (SQLITE_BUSY_SNAPSHOT, https://sqlite.org/isolation.html).
        self._writing = sessionmaker(self._engine.execution_options(sqlite_begin="IMMEDIATE"), expire_on_commit=False)
        self._reading = sessionmaker(self._engine, expire_on_commit=False)
        self._jobs: queue.Queue[Callable[[], None] | None] = queue.Queue(MAX_WAITING_JOBS)
        self._closing = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="surveillx-database", daemon=True)
        self._thread.start()
        try:
            self.run_sync(lambda session: create_missing(session.connection()))
        except (SQLAlchemyError, Unavailable) as error:
            self.close()
            raise ConfigError(_start_up_words(self._engine.url, error)) from error
        except ConfigError:
            self.close()
            raise

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        return self._engine.dialect.name

    @property
    def closed(self) -> bool:
        """Whether `close` was asked for: nothing more will be taken."""
        return self._closed

    async def run(self, function: Callable[[Session], T]) -> T:
        """Run `function` in one transaction that may write; when this returns, the result is on the disk.

        A transaction that has begun is not undone by cancelling the caller.

        Raises:
            Unavailable: the database is locked, full, unreachable or closed.
        """
        return await asyncio.wrap_future(self._submit(lambda: _transact(self._writing, function)))

    async def read(self, function: Callable[[Session], T]) -> T:
        """Like `run`, for a function that only reads: it goes on while another program writes."""
        return await asyncio.wrap_future(self._submit(lambda: _transact(self._reading, function)))

    def run_sync(self, function: Callable[[Session], T]) -> T:
        """`run` for the command line: blocks the caller."""
        return self._submit(lambda: _transact(self._writing, function)).result()

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
        while (job := self._jobs.get()) is not None:
            job()
        self._engine.dispose()

    def _truncate_log(self) -> None:
        if self.dialect != "sqlite":
            return
        with closing(self._engine.raw_connection()) as connection:  # raw: it cannot run inside a transaction
            cursor = connection.cursor()
            busy, *_ = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            cursor.close()
        if busy:
            logger.warning("Another program is reading the database: deleted data stays in its log until that ends.")


def _fulfil(future: Future[T], function: Callable[[], T]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = function()
    except BaseException as error:  # noqa: BLE001 - whatever it is belongs to the one who waits; the thread goes on
        future.set_exception(error)
    else:
        future.set_result(result)


def _transact(sessions: sessionmaker[Session], function: Callable[[Session], T]) -> T:
    try:
        with sessions.begin() as session:
            return function(session)
    except DatabaseError as error:
        # Its subclasses for wrong statements and broken constraints are the caller's business.
        if isinstance(error, OperationalError | InternalError) or type(error) is DatabaseError:
            raise Unavailable(_words(error), headers={"Retry-After": "2"}) from error
        raise


def _engine(url: str) -> Engine:
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() not in ("sqlite", "postgresql"):
            raise ConfigError(f"Setting database_url: {parsed.get_backend_name()} is not sqlite or postgresql.")
        if parsed.get_backend_name() == "postgresql":
            return create_engine(
                parsed, pool_pre_ping=True, connect_args={"connect_timeout": 5, "options": "-c timezone=utc"}
            )
        _prepare_file(parsed)
        engine = create_engine(parsed)
    except (ArgumentError, ImportError, ValueError) as error:
        hint = "its driver is missing (pip install psycopg)" if isinstance(error, ImportError) else "it is not a URL"
        # Without its cause, which may quote the password.
        raise ConfigError(f"Setting database_url: {hint}. An example: sqlite:////var/lib/surveillx.db") from None
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_file(url: URL) -> None:
    """Make the folder, and the file readable by its owner only (SQLite gives its log and index the same mode)."""
    if not url.database or url.database == ":memory:":
        return
    file = Path(url.database)
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise ConfigError(
            f"The database {file} cannot be written: {error.strerror}. Choose another folder with --data, "
            "or give this user the right to write there."
        ) from error


def _set_up_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # we begin transactions ourselves, see _begin_sqlite
    for pragma in (
        f"busy_timeout = {int(BUSY_TIMEOUT_S * 1000)}",
        "journal_mode = WAL",
        "synchronous = FULL",  # a committed row survives power loss, not only kill -9
        "foreign_keys = ON",
        "secure_delete = ON",  # deleted faces are overwritten with zeros
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql(f"BEGIN {connection.get_execution_options().get('sqlite_begin', '')}")


_SQLITE_WORDS = {
    "SQLITE_BUSY": "The database is in use by another program. Try again in a moment.",
    "SQLITE_LOCKED": "The database is in use by another program. Try again in a moment.",
    "SQLITE_FULL": "The server's disk is full: free some space, then try again.",
    "SQLITE_READONLY": "The database cannot be written: check the rights of its file and folder.",
    "SQLITE_CANTOPEN": "The database cannot be opened: check the rights of its file and folder.",
    "SQLITE_NOTADB": "The file is not a database of ours: move it away, or restore a backup.",
    "SQLITE_CORRUPT": "The database file is damaged: restore a backup.",
}


def _words(error: SQLAlchemyError) -> str:
    """What went wrong, without the statement and its values."""
    name = getattr(getattr(error, "orig", None), "sqlite_errorname", "")
    return next(
        (words for code, words in _SQLITE_WORDS.items() if name.startswith(code)),
        "The database cannot be used at the moment.",
    )


def _start_up_words(url: URL, error: Exception) -> str:
    """The words for whoever starts the server, who may also read what PostgreSQL says."""
    cause = error.__cause__ if isinstance(error, Unavailable) else error
    words = _words(cause) if isinstance(cause, SQLAlchemyError) else str(error)
    if url.get_backend_name() == "postgresql":
        words += f" It says: {getattr(cause, 'orig', cause)}"
    return f"Database {url.render_as_string(hide_password=True)}: {words}"
