"""What staff call the cameras: a name for an id, in the database. A camera may be named before it ever publishes."""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from .audit import note
from .database import Database
from .errors import Conflict
from .tables import CameraName
from .typed import cleaned

MAX_NAME_CHARACTERS = 80
# Several times as many as there can be cameras: some may be gone for good.
MAX_NAMES = 500


class CameraNames:
    """Stores and lists the names."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> dict[str, str]:
        """Every name by its camera's id."""
        return await self._database.read(_all)

    async def store(self, camera_id: str, name: str) -> str:
        """Call the camera so from now on; returns the name as it is stored.

        Raises:
            Unprocessable: the name is empty, too long or has control characters.
            Conflict: there are too many names.
            Unavailable: the database cannot be used.
        """
        stored = cleaned(name, "name", "camera's name", MAX_NAME_CHARACTERS)
        await self._database.run(lambda session: _store(session, camera_id, stored))
        return stored


def _all(session: Session) -> dict[str, str]:
    return {row.camera_id: row.name for row in session.scalars(select(CameraName))}


def _store(session: Session, camera_id: str, name: str) -> None:
    row = session.get(CameraName, camera_id)
    if row is None:
        if (session.scalar(select(func.count()).select_from(CameraName)) or 0) >= MAX_NAMES:
            raise Conflict(f"{MAX_NAMES} cameras have names already.", reason="too_many_names")
        session.add(CameraName(camera_id=camera_id, name=name))
    elif row.name != name:
        row.name = name
    else:
        return
    note(session, "camera_named", f"Camera {camera_id} was given another name")
