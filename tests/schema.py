"""Upgrading from outside: how a database's tables differ from the program's, and several programs at once."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, create_engine

from server.migrations import VERSION_TABLE
from server.tables import Base


def differences(url: str) -> list[Any]:
    """What Alembic would still do to reach the tables that the program uses."""

    def is_in_tables(_object: object, name: str | None, kind: str, _reflected: bool, _to: object) -> bool:
        return kind != "table" or name not in ("people_revision", VERSION_TABLE)

    def compare(connection: Connection) -> list[Any]:
        options = {"compare_type": True, "include_object": is_in_tables}
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), Base.metadata))

    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    try:
        with engine.connect() as connection:
            return compare(connection)
    finally:
        engine.dispose()


def start_at_once(url: str) -> None:
    """Two processes open the database at the same time; both must, and leave it up to date."""
    program = "import sys; from server.database import Database; Database(sys.argv[1]).close()"
    programs = [subprocess.Popen([sys.executable, "-c", program, url], stderr=subprocess.PIPE) for _ in range(2)]
    for each in programs:
        _, said = each.communicate(timeout=60)
        assert each.returncode == 0, said.decode()
    assert differences(url) == []
