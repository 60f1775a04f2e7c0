"""The database's revisions, one after the other; Alembic runs what a database lacks.

Never edit a revision that was released: add one. There is no way back; a backup is. Alembic itself is imported only
when there is something to do, which saves every start a third of a second.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from ..errors import ConfigError

REVISIONS = ("0001", "0002", "0003", "0004")  # oldest first

# Our own name for Alembic's table: the school's program may keep its revisions in the same database.
VERSION_TABLE = "surveillx_revision"

_LOCK = 0x5E1F_F0CA  # any number that no other program takes as its lock; PostgreSQL only


def revision_of(connection: Connection) -> str | None:
    """The database's revision; None when we have never been here, or came before there were revisions."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    revision: str | None = connection.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}"))  # noqa: S608 - a constant
    return revision


def is_current(connection: Connection) -> bool:
    """Whether there is nothing to upgrade.

    Raises:
        ConfigError: a newer version of this program has been here.
    """
    revision = revision_of(connection)
    if revision is not None and revision not in REVISIONS:
        raise ConfigError(
            f"A newer version of SurveillX has used this database (revision {revision}; this one knows "
            f"{REVISIONS[-1]} at most). Start that version, or restore a backup from before it."
        )
    return revision == REVISIONS[-1]


def upgrade(connection: Connection) -> None:
    """Bring the database to the newest revision, inside the caller's transaction, which must be able to write.

    Of several programs that start at once one does it: SQLite's write lock, or a lock of PostgreSQL's, excludes the
    others until the transaction ends.

    Raises:
        ConfigError: a table of the school's lacks what we need and cannot add.
    """
    from alembic import command  # noqa: PLC0415 - see above
    from alembic.config import Config  # noqa: PLC0415

    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK}).close()
    if is_current(connection):  # another program was faster
        return
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    command.upgrade(config, "head")
