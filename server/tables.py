"""The tables: ours, and the school's two with what we read and write of them.

`server.migrations` makes them, or completes the school's existing `students` and `attendance_logs`; columns we do not
know are left alone. What SQLite has besides, `people_revision` and its triggers, stands there only.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any, ClassVar

from sqlalchemy import ColumnElement, DateTime, Dialect, Float, ForeignKey, Index, String, Text, TypeDecorator
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from .callers import Role


class UtcDateTime(TypeDecorator[datetime]):
    """An aware datetime. SQLite stores UTC, PostgreSQL an instant.

    The school's own `timestamp` column may know no time zone: there PostgreSQL reads and writes the time of its own
    `TimeZone` setting, as its now() does, so that the school's program and ours mean the same.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """To the database."""
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """From the database; what carries no zone is SQLite's UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)

    def column_expression(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        """What to select for the column."""
        return _Instant(column, type_=self)


class _Instant(FunctionElement[datetime]):
    """A column that may know no time zone, as an instant."""

    inherit_cache = True

    def __init__(self, column: ColumnElement[Any], type_: UtcDateTime) -> None:
        super().__init__(column)
        self.type = type_


@compiles(_Instant)
def _as_it_is(element: _Instant, compiler: SQLCompiler, **how: Any) -> str:
    return compiler.process(element.clauses, **how)


@compiles(_Instant, "postgresql")
def _by_the_time_zone_setting(element: _Instant, compiler: SQLCompiler, **how: Any) -> str:
    return f"CAST({compiler.process(element.clauses, **how)} AS TIMESTAMP WITH TIME ZONE)"


class Base(DeclarativeBase):
    """The tables' common register."""

    type_annotation_map: ClassVar = {float: Float}  # what it means has changed between versions of SQLAlchemy


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
    class_name: Mapped[str | None] = mapped_column("class", String(50))


class AuditLine(Base):
    """What somebody did, in words, and to whom; without a person's name, which the id leads to while there is one.

    `who` is the account or token that did it; NULL in lines from before there were any.
    """

    __tablename__ = "audit_lines"
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    action: Mapped[str] = mapped_column(String(30))
    student_id: Mapped[int | None]
    words: Mapped[str] = mapped_column(Text)
    who: Mapped[str | None] = mapped_column(String(120))


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


class CameraName(Base):
    """What staff call a camera."""

    __tablename__ = "camera_names"

    camera_id: Mapped[str] = mapped_column(String(100), primary_key=True)
    name: Mapped[str] = mapped_column(String(100))


# The school's program may well have a table of users: ours have a name of their own.
class Account(Base):
    """Somebody who signs in with a name and a password (argon2id). `cameras`: ids with commas; NULL is all."""

    __tablename__ = "surveillx_accounts"
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(100), unique=True)
    password_hash: Mapped[str] = mapped_column(String(200))
    role: Mapped[Role] = mapped_column(String(20))
    cameras: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class AccessToken(Base):
    """What a program or a wall screen shows; of the token itself only the SHA-256."""

    __tablename__ = "surveillx_tokens"
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012

    id: Mapped[int] = mapped_column(primary_key=True)
    label: Mapped[str] = mapped_column(String(100))
    digest: Mapped[bytes] = mapped_column(unique=True)
    scope: Mapped[str] = mapped_column(String(20))
    cameras: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class SignIn(Base):
    """A browser that is signed in, with an account or a token; of its cookie only the SHA-256."""

    __tablename__ = "surveillx_sign_ins"
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012

    id: Mapped[int] = mapped_column(primary_key=True)
    digest: Mapped[bytes] = mapped_column(unique=True)
    account_id: Mapped[int | None] = mapped_column(ForeignKey("surveillx_accounts.id", ondelete="CASCADE"), index=True)
    token_id: Mapped[int | None] = mapped_column(ForeignKey("surveillx_tokens.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
