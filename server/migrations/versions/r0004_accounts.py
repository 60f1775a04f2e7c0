"""Accounts, tokens, sign-ins; and who did what the audit tells."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, DateTime, ForeignKey, Integer, LargeBinary, MetaData, String, Table, Text

from server.migrations.in_place import complete

revision = "0004"
down_revision = "0003"

TABLES = MetaData()
Table(
    "surveillx_accounts",
    TABLES,
    Column("id", Integer, primary_key=True),
    Column("name", String(100), nullable=False, unique=True),
    Column("password_hash", String(200), nullable=False),
    Column("role", String(20), nullable=False),
    Column("cameras", Text),
    Column("created_at", DateTime(timezone=True), nullable=False),
    sqlite_autoincrement=True,
)
Table(
    "surveillx_tokens",
    TABLES,
    Column("id", Integer, primary_key=True),
    Column("label", String(100), nullable=False),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("scope", String(20), nullable=False),
    Column("cameras", Text),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("expires_at", DateTime(timezone=True)),
    sqlite_autoincrement=True,
)
Table(
    "surveillx_sign_ins",
    TABLES,
    Column("id", Integer, primary_key=True),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("account_id", Integer, ForeignKey("surveillx_accounts.id", ondelete="CASCADE"), index=True),
    Column("token_id", Integer, ForeignKey("surveillx_tokens.id", ondelete="CASCADE"), index=True),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    sqlite_autoincrement=True,
)
Table("audit_lines", TABLES, Column("id", Integer, primary_key=True), Column("who", String(120)))


def upgrade() -> None:
    """To 0004."""
    complete(op.get_bind(), TABLES)
