"""PostgreSQL: which rights the server's role still needs, as the statements to give them."""

from __future__ import annotations

from sqlalchemy import Connection, inspect, text

from .errors import ConfigError

_SCHOOLS = ("students", "attendance_logs")
_EVERY_DAY = ("SELECT", "INSERT", "UPDATE", "DELETE")


def require_grants(connection: Connection, *, upgrading: bool) -> None:
    """Refuse to start without the rights on the school's tables, and `upgrading`, without those to complete them.

    Raises:
        ConfigError: rights are missing; holds the statements for the database's owner.
    """
    if connection.dialect.name != "postgresql":
        return
    statements = [*_missing_for_upgrade(connection)] if upgrading else []
    for table in _SCHOOLS:
        if inspect(connection).has_table(table):
            statements += _missing_on(connection, table, (*_EVERY_DAY, "REFERENCES") if upgrading else _EVERY_DAY)
    if statements:
        raise ConfigError(
            "The database's role lacks rights that this server needs. Let the owner of the database run: "
            + " ".join(f"{statement};" for statement in dict.fromkeys(statements))
        )


def _missing_for_upgrade(connection: Connection) -> list[str]:
    """Our tables are made in the schema; only the owner of a table may add columns to it."""
    role, schema = _role(connection), connection.scalar(text("SELECT quote_ident(current_schema())"))
    statements = []
    if not connection.scalar(text("SELECT has_schema_privilege(current_schema(), 'CREATE')")):
        statements.append(f"GRANT CREATE ON SCHEMA {schema} TO {role}")
    for table in _SCHOOLS:
        owner = connection.scalar(
            text(
                "SELECT quote_ident(pg_get_userbyid(relowner)) FROM pg_class"
                " WHERE oid = to_regclass(:table) AND NOT pg_has_role(relowner, 'USAGE')"
            ),
            {"table": table},
        )
        if owner:
            statements.append(f"GRANT {owner} TO {role}")
    return statements


def _missing_on(connection: Connection, table: str, rights: tuple[str, ...]) -> list[str]:
    def has(right: str) -> bool:
        asked = text("SELECT has_table_privilege(CAST(:table AS text), :right)")
        return bool(connection.scalar(asked, {"table": table, "right": right}))

    role = _role(connection)
    missing = [right for right in rights if not has(right)]
    statements = [f"GRANT {', '.join(missing)} ON {table} TO {role}"] if missing else []
    sequence = connection.scalar(
        text(
            "SELECT name FROM pg_get_serial_sequence(:table, 'id') AS name"
            " WHERE NOT has_sequence_privilege(name, 'USAGE')"
        ),
        {"table": table},
    )
    return [*statements, f"GRANT USAGE ON SEQUENCE {sequence} TO {role}"] if sequence else statements


def _role(connection: Connection) -> str:
    return str(connection.scalar(text("SELECT quote_ident(current_user)")))
