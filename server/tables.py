"""The tables: ours, and the school's two with what we read and write of them.

A new SQLite file gets all of them. In the school's existing PostgreSQL database `students` is used as it is and
`attendance_logs` is extended; columns we do not know are left alone.
"""

from __future__ import annotations

from datetime import UTC, date, datetime

from sqlalchemy import Connection, DateTime, Dialect, ForeignKey, Index, String, Table, Text, TypeDecorator, inspect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.schema import CreateColumn, CreateIndex

from .errors import ConfigError


class UtcDateTime(TypeDecorator[datetime]):
    """An aware datetime, stored as UTC, also in columns that know no time zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """To the database."""
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """From the database; what carries no zone is UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """The tables' common register."""


class Person(Base):
    """A row of the school's `students`. It may have more columns there; we read and write these."""

    __tablename__ = "students"
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012 - an id is never given twice: tracks and pages keep them

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    roll_no: Mapped[str | None] = mapped_column(String(50), unique=True)
    class_name: Mapped[str | None] = mapped_column("class", String(50))


class FacePhoto(Base):
    """What is kept of one enrolment photo: 128 little-endian float64 and a small JPEG of the face, both sealed."""

    __tablename__ = "face_photos"
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012

    id: Mapped[int] = mapped_column(primary_key=True)
    student_id: Mapped[int] = mapped_column(ForeignKey("students.id", ondelete="CASCADE"), index=True)
    embedding: Mapped[bytes]
    thumbnail: Mapped[bytes]
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class NoConsent(Base):
    """A person who must be pixelated and never marked; without a row there is consent."""

    __tablename__ = "no_consent"

    student_id: Mapped[int] = mapped_column(ForeignKey("students.id", ondelete="CASCADE"), primary_key=True)
    since: Mapped[datetime] = mapped_column(UtcDateTime)


class NotThem(Base):
    """A negative example: this face (sealed) was once taken for the person, and is someone else."""

    __tablename__ = "not_them"
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012

    id: Mapped[int] = mapped_column(primary_key=True)
    student_id: Mapped[int] = mapped_column(ForeignKey("students.id", ondelete="CASCADE"), index=True)
    embedding: Mapped[bytes]
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class AttendanceRow(Base):
    """One person in one session of one local day. The unique index IS the rule; everything before it is a shortcut.

    `day` is NULL in rows that the school's own program wrote. `session` is empty where a day has only one.
    """

    __tablename__ = "attendance_logs"
    __table_args__ = (
        Index("attendance_once_a_session", "student_id", "day", "session", unique=True),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    student_id: Mapped[int] = mapped_column(ForeignKey("students.id", ondelete="CASCADE"))
    day: Mapped[date | None] = mapped_column(index=True)
    session: Mapped[str] = mapped_column(String(50), default="", server_default="")
    camera_id: Mapped[str | None] = mapped_column(String(100))
    timestamp: Mapped[datetime] = mapped_column(UtcDateTime)
    distance: Mapped[float | None]


class AttendanceProof(Base):
    """Why a row was written. `embedding` (the looks' mean) and `crop` are sealed, and go before the rest does."""

    __tablename__ = "attendance_proofs"

    attendance_id: Mapped[int] = mapped_column(
        ForeignKey("attendance_logs.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    source: Mapped[str] = mapped_column(String(20))
    track_id: Mapped[int | None]
    margin: Mapped[float | None]
    looks: Mapped[int | None]
    model: Mapped[str | None] = mapped_column(String(50))
    threshold: Mapped[float | None]
    embedding: Mapped[bytes | None]
    crop: Mapped[bytes | None]


class AnonymousAttendance(Base):
    """What is left of a deleted person's attendance where it is anonymised: that somebody was there."""

    __tablename__ = "anonymous_attendance"
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012

    id: Mapped[int] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(index=True)
    session: Mapped[str] = mapped_column(String(50))
    class_name: Mapped[str | None] = mapped_column(String(50))


class AuditLine(Base):
    """What staff did, in words, and to whom; without a person's name, which the id leads to while there is one."""

    __tablename__ = "audit_lines"
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    action: Mapped[str] = mapped_column(String(30))
    student_id: Mapped[int | None]
    words: Mapped[str] = mapped_column(Text)


class Visitor(Base):
    """Unknown faces that are one person, as far as the embeddings say."""

    __tablename__ = "visitors"
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012

    id: Mapped[int] = mapped_column(primary_key=True)
    first_seen: Mapped[datetime] = mapped_column(UtcDateTime)
    last_seen: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    sightings: Mapped[int]
    camera_id: Mapped[str] = mapped_column(String(100))
    is_ignored: Mapped[bool] = mapped_column(default=False)


class VisitorFace(Base):
    """One good look at a visitor; embedding and crop sealed."""

    __tablename__ = "visitor_faces"
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012

    id: Mapped[int] = mapped_column(primary_key=True)
    visitor_id: Mapped[int] = mapped_column(ForeignKey("visitors.id", ondelete="CASCADE"), index=True)
    embedding: Mapped[bytes]
    crop: Mapped[bytes]
    quality: Mapped[float]
    seen_at: Mapped[datetime] = mapped_column(UtcDateTime)


# Any program's change of a name or a face counts, also one made with the sqlite3 shell.
_SQLITE_REVISION = (
    "CREATE TABLE IF NOT EXISTS people_revision (id INTEGER PRIMARY KEY CHECK (id = 1), revision INTEGER NOT NULL)",
    "INSERT OR IGNORE INTO people_revision VALUES (1, 0)",
    *(
        f"CREATE TRIGGER IF NOT EXISTS people_revision_{table}_{change} AFTER {change} ON {table} "  # noqa: S608
        "BEGIN UPDATE people_revision SET revision = revision + 1; END"  # both words are from the tuples below
        for table in ("students", "face_photos", "no_consent", "not_them")
        for change in ("INSERT", "UPDATE", "DELETE")
    ),
)


def create_missing(connection: Connection) -> None:
    """Create our tables beside the school's, and add to the school's `attendance_logs` what the rule needs.

    Raises:
        ConfigError: a table of the school's lacks what we need and cannot add.
    """
    Base.metadata.create_all(connection)
    _require_columns(connection)
    for name in ("students", "attendance_logs"):
        _extend(connection, Base.metadata.tables[name])
    if connection.dialect.name == "sqlite":
        for statement in _SQLITE_REVISION:
            connection.exec_driver_sql(statement)


def _extend(connection: Connection, table: Table) -> None:
    present = {column["name"] for column in inspect(connection).get_columns(table.name)}
    indexes = {index["name"] for index in inspect(connection).get_indexes(table.name)}
    for column in table.columns:
        if column.name not in present:
            definition = CreateColumn(column).compile(dialect=connection.dialect)
            connection.exec_driver_sql(f"ALTER TABLE {table.name} ADD COLUMN {definition}")
    for index in table.indexes:
        if index.name not in indexes:
            connection.execute(CreateIndex(index))


def _require_columns(connection: Connection) -> None:
    needed = {"students": {"id", "name", "roll_no"}, "attendance_logs": {"id", "student_id", "timestamp"}}
    for table, columns in needed.items():
        missing = columns - {column["name"] for column in inspect(connection).get_columns(table)}
        if missing:
            raise ConfigError(f"The database's table {table} has no column {', '.join(sorted(missing))}.")
