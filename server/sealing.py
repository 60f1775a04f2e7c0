"""Encryption at rest is complete or the server does not start: the key fits, and nothing of a face is left plain."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, Table, func, literal, or_, select, update
from sqlalchemy.orm import Session

from .errors import ConfigError
from .tables import AttendanceProof, Base, FacePhoto, NotThem, VisitorFace
from .vault import SEALED, Sealed, Vault

ROWS_A_TRANSACTION = 200
SAMPLES = 5  # one that does not open may be damaged; all of them mean another key

# Every column that holds an embedding or a picture of a face.
_SEALED_COLUMNS: dict[type[Base], tuple[str, ...]] = {
    FacePhoto: ("embedding", "thumbnail"),
    NotThem: ("embedding",),
    AttendanceProof: ("embedding", "crop"),
    VisitorFace: ("embedding", "crop"),
}

TABLES = tuple(table.__tablename__ for table in _SEALED_COLUMNS)


def require_key(session: Session, vault: Vault) -> None:
    """Refuse to start with faces that cannot be read.

    Raises:
        ConfigError: there are encrypted faces, and no key or another one.
    """
    for table, column in _columns():
        newest = select(column).where(_is_sealed(column)).order_by(_key(table).desc()).limit(SAMPLES)
        sealed = session.scalars(newest).all()
        if sealed and not any(_opens(vault, each) for each in sealed):
            raise ConfigError(_WRONG_KEY if vault.has_key else _NO_KEY)


def seal_some(session: Session, vault: Vault) -> int:
    """Encrypt up to `ROWS_A_TRANSACTION` rows that were stored before there was a key; returns how many, at last 0."""
    if not vault.has_key:
        return 0
    for model, names in _SEALED_COLUMNS.items():
        table: Table = model.metadata.tables[model.__tablename__]
        columns = [table.c[name] for name in names]
        plain = or_(*((column.is_not(None) & ~_is_sealed(column)) for column in columns))
        # Locked (PostgreSQL), so that what is being deleted is not written back.
        rows = session.execute(
            select(_key(table), *columns).where(plain).limit(ROWS_A_TRANSACTION).with_for_update()
        ).all()
        for key, *values in rows:
            sealed = {name: _sealed(value, vault) for name, value in zip(names, values, strict=True)}
            session.execute(update(table).where(_key(table) == key).values(sealed))
        if rows:
            return len(rows)
    return 0


_NO_KEY = (
    "The faces in the database are encrypted, and no key is set. Set SURVEILLX_ENCRYPTION_KEY, or "
    "SURVEILLX_ENCRYPTION_KEY_FILE, to the key they were encrypted with. If it is lost: docs/database.md."
)
_WRONG_KEY = (
    "Setting encryption_key: the faces in the database are encrypted with another key. Set the one they were "
    "encrypted with. If it is lost: docs/database.md."
)


def _columns() -> list[tuple[Table, Column[Any]]]:
    tables = [(model.metadata.tables[model.__tablename__], names) for model, names in _SEALED_COLUMNS.items()]
    return [(table, table.c[name]) for table, names in tables for name in names]


def _key(table: Table) -> Column[Any]:
    (column,) = table.primary_key.columns
    return column


def _opens(vault: Vault, stored: bytes) -> bool:
    try:
        vault.open(stored)
    except Sealed:
        return False
    return True


def _is_sealed(column: Column[Any]) -> Any:
    return func.substr(column, 1, len(SEALED)) == literal(SEALED)


def _sealed(value: bytes | None, vault: Vault) -> bytes | None:
    return value if value is None or vault.is_sealed(value) else vault.seal(value)
