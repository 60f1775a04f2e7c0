"""`surveillx enroll`: photos in, a person in the gallery. Runs its own recogniser; the server need not be up."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .config import Settings
from .database import open_database
from .errors import Unprocessable
from .recognition.engine import open_engine
from .recognition.people import PeopleStore, PersonRecord
from .recognition.photos import examine


def enroll(settings: Settings, name: str, roll_no: str | None, files: Sequence[Path]) -> PersonRecord:
    """Examine every photo, then store the person; one photo that cannot serve and nothing is stored.

    Raises:
        Unprocessable: a photo cannot serve; says which and why.
    """
    engine = open_engine()
    examined = []
    for file in files:
        try:
            examined.append(examine(file.read_bytes(), engine))
        except OSError as error:
            raise Unprocessable(f"{file}: cannot be read ({error.strerror}).", reason="not_an_image") from error
        except Unprocessable as error:
            raise Unprocessable(f"{file}: {error.detail}", reason=error.reason) from error
    database = open_database(settings)
    try:
        return PeopleStore(database).add_sync(name, roll_no, examined)
    finally:
        database.close()
