"""Tables that may be there already, the school's or ours from before there were revisions, are completed in place."""

from __future__ import annotations

from sqlalchemy import Connection, MetaData, Table, inspect
from sqlalchemy.schema import CreateColumn, CreateIndex

from server.errors import ConfigError


def complete(connection: Connection, tables: MetaData) -> None:
    """Create the tables that are missing; add missing columns and indexes to those that are there."""
    for table in tables.sorted_tables:
        if inspect(connection).has_table(table.name):
            _extend(connection, table)
        else:
            table.create(connection)


def require_columns(connection: Connection, table: str, needed: set[str]) -> None:
    """Refuse a table that is there already and cannot serve.

    Raises:
        ConfigError: it lacks one of the columns.
    """
    if not inspect(connection).has_table(table):
        return
    missing = needed - {column["name"] for column in inspect(connection).get_columns(table)}
    if missing:
        raise ConfigError(f"The database's table {table} has no column {', '.join(sorted(missing))}.")


def count_changes(connection: Connection, table: str) -> None:
    """SQLite: any program's change of `table` counts in people_revision, also one made with the sqlite3 shell."""
    for change in ("INSERT", "UPDATE", "DELETE"):
        connection.exec_driver_sql(
            f"CREATE TRIGGER IF NOT EXISTS people_revision_{table}_{change} AFTER {change} ON {table} "  # noqa: S608
            "BEGIN UPDATE people_revision SET revision = revision + 1; END"  # both words are the revisions' own
        )


def _extend(connection: Connection, table: Table) -> None:
    inspector = inspect(connection)
    columns = {column["name"] for column in inspector.get_columns(table.name)}
    indexes = {index["name"] for index in inspector.get_indexes(table.name)}
    for column in table.columns:
        if column.name not in columns:
            definition = CreateColumn(column).compile(dialect=connection.dialect)
            connection.exec_driver_sql(f"ALTER TABLE {table.name} ADD COLUMN {definition}")
    for index in table.indexes:
        if index.name not in indexes:
            connection.execute(CreateIndex(index))
