"""What is special about SQLite and about PostgreSQL: how each is opened, and its errors in words.

The words for users never hold a statement, its values or a password.
"""

from __future__ import annotations

import logging
import os
import stat
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InternalError, OperationalError, ProgrammingError
from sqlalchemy.exc import DatabaseError as AnyDatabaseError

from .errors import ConfigError

FILE_MODE, FOLDER_MODE = 0o600, 0o700

_AWAY = "The database cannot be used at the moment."
_LOCKED = "The database is in use by another program. Try again in a moment."
_FULL = "The server's disk is full: free some space, then try again."
_RIGHTS = "The database cannot be written: check the rights of its file and folder."

# By the beginning of SQLite's result code, https://sqlite.org/rescode.html
_SQLITE_WORDS = {
    "SQLITE_BUSY": _LOCKED,
    "SQLITE_LOCKED": _LOCKED,
    "SQLITE_FULL": _FULL,
    "SQLITE_IOERR": "The server's disk refuses to be read or written: it may be full or failing.",
    "SQLITE_READONLY": _RIGHTS,
    "SQLITE_CANTOPEN": "The database cannot be opened: check the rights of its file and folder.",
    "SQLITE_NOTADB": "The file is not a database of ours: move it away, or restore a backup.",
    "SQLITE_CORRUPT": "The database file is damaged: restore a backup.",
}

# By the beginning of the SQLSTATE, https://www.postgresql.org/docs/current/errcodes-appendix.html
_POSTGRESQL_WORDS = {
    "55P03": _LOCKED,
    "57P": "The database server is restarting or shutting down. Try again in a moment.",
    "53100": "The database server's disk is full: free some space there, then try again.",
    "53300": "The database server has no connection to spare. Try again in a moment.",
    "25006": "The database server is read-only at the moment.",
    "42501": "The database's role lacks a right that this server needs; docs/database.md lists them.",
    "40": _LOCKED,  # a deadlock, or two that wanted to be the one
    "": "The database server does not answer.",  # psycopg knows no SQLSTATE of a connection that is gone
}

logger = logging.getLogger("surveillx.database")


def open_engine(url: str, lock_timeout_s: float) -> Engine:
    """An engine for `url`; a statement waits `lock_timeout_s` at most for another program's lock.

    Raises:
        ConfigError: the URL, the folder or the file cannot serve; says what to do.
    """
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() == "postgresql":
            return _open_postgresql(parsed, lock_timeout_s)
        if parsed.get_backend_name() == "sqlite":
            return _open_sqlite(parsed, lock_timeout_s)
    except (ArgumentError, ImportError, ValueError) as error:
        hint = "its driver is missing (pip install psycopg)" if isinstance(error, ImportError) else "it is not a URL"
        # Without its cause, which may quote the password.
        raise ConfigError(f"Setting database_url: {hint}. An example: sqlite:////var/lib/surveillx.db") from None
    raise ConfigError(f"Setting database_url: {parsed.get_backend_name()} is not sqlite or postgresql.")


def is_away(error: AnyDatabaseError) -> bool:
    """Whether it is the database's state, not the statement or a broken constraint: those are the caller's business."""
    if isinstance(error, ProgrammingError):
        return getattr(error.orig, "sqlstate", None) == "42501"  # a right that was taken away
    return isinstance(error, OperationalError | InternalError) or type(error) is AnyDatabaseError


def words(error: Exception | None) -> str:
    """What went wrong, for a user."""
    cause = error.orig if isinstance(error, DBAPIError) else None
    code: str = getattr(cause, "sqlite_errorname", None) or ""
    if code:
        return _first(_SQLITE_WORDS, code)
    if cause is None or not hasattr(cause, "sqlstate"):
        return _AWAY
    return _first(_POSTGRESQL_WORDS, cause.sqlstate or "")


def start_up_words(url: URL, error: Exception) -> str:
    """The words for whoever starts the server, who may also read what PostgreSQL says."""
    said = words(error)
    if url.get_backend_name() == "postgresql":
        said += f" It says: {getattr(error, 'orig', error)}"
    return f"Database {url.render_as_string(hide_password=True)}: {said}"


def tighten(path: Path, mode: int) -> None:
    """Take the rights of others from a file or folder that is there, and say so.

    Raises:
        OSError: it is not ours.
    """
    if os.name == "nt":  # rights are another matter there
        return
    try:
        now = stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        return
    if now & ~mode:
        path.chmod(mode & now)
        logger.warning("%s could be read by others; its rights are now %03o.", path, mode & now)


def _first(table: dict[str, str], code: str) -> str:
    fitting = (said for beginning, said in table.items() if code.startswith(beginning) and (beginning or not code))
    return next(fitting, _AWAY)


def _open_postgresql(url: URL, lock_timeout_s: float) -> Engine:
    """The TimeZone setting stays the database's own, see `tables.UtcDateTime`."""
    if url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg")  # the one we ship with; SQLAlchemy's default was another once
    lock_ms = int(lock_timeout_s * 1000)
    return create_engine(
        url,
        hide_parameters=True,  # in the words of errors, which are logged: they would name people
        pool_pre_ping=True,
        connect_args={
            "connect_timeout": 5,
            # A server that vanished without a word is given up after 10 s, not after the system's quarter of an hour.
            "keepalives_idle": 5,
            "keepalives_interval": 2,
            "keepalives_count": 3,
            "tcp_user_timeout": 10_000,
            "options": f"-c lock_timeout={lock_ms}",
        },
    )


def _open_sqlite(url: URL, lock_timeout_s: float) -> Engine:
    if url.database and url.database != ":memory:":
        _prepare_file(Path(url.database))
    engine = create_engine(url, hide_parameters=True)

    def set_up(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # we begin transactions ourselves, see below
        for pragma in (
            f"busy_timeout = {int(lock_timeout_s * 1000)}",
            "journal_mode = WAL",
            "synchronous = FULL",  # a committed row survives power loss, not only kill -9
            "foreign_keys = ON",
            "secure_delete = ON",  # deleted faces are overwritten with zeros
        ):
            connection.execute(f"PRAGMA {pragma}")

    def begin(connection: Connection) -> None:
        options = connection.get_execution_options()
        timeout_s = options.get("sqlite_busy_timeout_s", lock_timeout_s)
        connection.exec_driver_sql(f"PRAGMA busy_timeout = {int(timeout_s * 1000)}")
        connection.exec_driver_sql(f"BEGIN {options.get('sqlite_begin', '')}")

    event.listen(engine, "connect", set_up)
    event.listen(engine, "begin", begin)
    return engine


def _prepare_file(file: Path) -> None:
    """Make the folder, and the file readable by its owner only; SQLite gives its log and index the same mode."""
    try:
        file.parent.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        os.close(os.open(file, os.O_CREAT | os.O_RDWR, FILE_MODE))
        for each in (file, *(file.with_name(file.name + ending) for ending in ("-wal", "-shm"))):
            tighten(each, FILE_MODE)
    except OSError as error:
        raise ConfigError(
            f"The database {file} cannot be written: {error.strerror}. Choose another folder with --data, "
            "or give this user the right to write there."
        ) from error
