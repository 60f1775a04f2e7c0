"""Names of the cameras."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, MetaData, String, Table

from server.migrations.in_place import complete

revision = "0003"
down_revision = "0002"

TABLES = MetaData()
Table(
    "camera_names",
    TABLES,
    Column("camera_id", String(100), primary_key=True),
    Column("name", String(100), nullable=False),
)


def upgrade() -> None:
    """To 0003."""
    complete(op.get_bind(), TABLES)
