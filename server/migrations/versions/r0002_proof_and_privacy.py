"""Proof of each mark, sessions of a day, consent, corrections, visitors, the audit."""

from __future__ import annotations

from alembic import op
from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Date,
    DateTime,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    inspect,
)

from server.migrations.in_place import complete, count_changes

revision = "0002"
down_revision = "0001"


def _id() -> Column[int]:
    return Column("id", Integer, primary_key=True)


def _of_student(*, is_key: bool = False) -> Column[int]:
    person = ForeignKey("students.id", ondelete="CASCADE")
    return Column("student_id", person, primary_key=is_key, nullable=False, index=not is_key or None)


def _at(name: str, *, index: bool | None = None) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=False, index=index)


TABLES = MetaData()
Table("students", TABLES, _id(), Column("class", String(50)))
Table(
    "attendance_logs",
    TABLES,
    _id(),
    Column("student_id", Integer),
    Column("day", Date),
    Column("session", String(50), nullable=False, server_default=""),
    Index("attendance_once_a_session", "student_id", "day", "session", unique=True),
)
Table("no_consent", TABLES, _of_student(is_key=True), _at("since"))
Table(
    "not_them",
    TABLES,
    _id(),
    _of_student(),
    Column("embedding", LargeBinary, nullable=False),
    _at("created_at"),
    sqlite_autoincrement=True,
)
Table(
    "attendance_proofs",
    TABLES,
    Column(
        "attendance_id", ForeignKey("attendance_logs.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    ),
    Column("source", String(20), nullable=False),
    Column("track_id", Integer),
    Column("margin", Float),
    Column("looks", Integer),
    Column("model", String(50)),
    Column("threshold", Float),
    Column("embedding", LargeBinary),
    Column("crop", LargeBinary),
)
Table(
    "anonymous_attendance",
    TABLES,
    _id(),
    Column("day", Date, nullable=False, index=True),
    Column("session", String(50), nullable=False),
    Column("class", String(50)),
    sqlite_autoincrement=True,
)
Table(
    "audit_lines",
    TABLES,
    _id(),
    _at("at", index=True),
    Column("action", String(30), nullable=False),
    Column("student_id", Integer),
    Column("words", Text, nullable=False),
    sqlite_autoincrement=True,
)
Table(
    "visitors",
    TABLES,
    _id(),
    _at("first_seen"),
    _at("last_seen", index=True),
    Column("sightings", Integer, nullable=False),
    Column("camera_id", String(100), nullable=False),
    Column("is_ignored", Boolean, nullable=False),
    sqlite_autoincrement=True,
)
Table(
    "visitor_faces",
    TABLES,
    _id(),
    Column("visitor_id", ForeignKey("visitors.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("embedding", LargeBinary, nullable=False),
    Column("crop", LargeBinary, nullable=False),
    Column("quality", Float, nullable=False),
    _at("seen_at"),
    sqlite_autoincrement=True,
)


def upgrade() -> None:
    """To 0002; the rule becomes one mark a session instead of one a day."""
    connection = op.get_bind()
    complete(connection, TABLES)
    op.execute("DROP INDEX IF EXISTS attendance_once_a_day")
    if connection.dialect.name == "sqlite":
        for table in ("no_consent", "not_them"):
            count_changes(connection, table)
    else:
        _write_in_the_schools_time(connection)


def _write_in_the_schools_time(connection: Connection) -> None:
    """The first release wrote UTC into the school's column without a time zone, where the school's own go."""
    columns = {column["name"]: column["type"] for column in inspect(connection).get_columns("attendance_logs")}
    if not getattr(columns["timestamp"], "timezone", False):
        op.execute("UPDATE attendance_logs SET timestamp = timestamp AT TIME ZONE 'UTC' WHERE day IS NOT NULL")
