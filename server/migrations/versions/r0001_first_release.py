"""People, their faces, attendance once a day. Tolerates what is there: the school's tables, or our first release's."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, Date, DateTime, Float, ForeignKey, Index, Integer, LargeBinary, MetaData, String, Table

from server.migrations.in_place import complete, count_changes, require_columns

revision = "0001"
down_revision = None

TABLES = MetaData()
Table(
    "students",
    TABLES,
    Column("id", Integer, primary_key=True),
    Column("name", String(100), nullable=False),
    Column("roll_no", String(50), unique=True),
    sqlite_autoincrement=True,
)
Table(
    "face_photos",
    TABLES,
    Column("id", Integer, primary_key=True),
    Column("student_id", ForeignKey("students.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("embedding", LargeBinary, nullable=False),
    Column("thumbnail", LargeBinary, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    sqlite_autoincrement=True,
)
Table(
    "attendance_logs",
    TABLES,
    Column("id", Integer, primary_key=True),
    Column("student_id", ForeignKey("students.id", ondelete="CASCADE"), nullable=False),
    Column("day", Date, index=True),
    Column("camera_id", String(100)),
    Column("timestamp", DateTime(timezone=True), nullable=False),
    Column("distance", Float),
    Index("attendance_once_a_day", "student_id", "day", unique=True),
    sqlite_autoincrement=True,
)


def upgrade() -> None:
    """To 0001 from nothing, from the school's tables or from the first release's."""
    connection = op.get_bind()
    require_columns(connection, "students", {"id", "name", "roll_no"})
    require_columns(connection, "attendance_logs", {"id", "student_id", "timestamp"})
    complete(connection, TABLES)
    if connection.dialect.name == "sqlite":
        op.execute(
            "CREATE TABLE IF NOT EXISTS people_revision"
            " (id INTEGER PRIMARY KEY CHECK (id = 1), revision INTEGER NOT NULL)"
        )
        op.execute("INSERT OR IGNORE INTO people_revision VALUES (1, 0)")
        for table in ("students", "face_photos"):
            count_changes(connection, table)
