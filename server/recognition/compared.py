"""The comparison of all photos, kept until people change: with 500 people it takes seconds, and a slider asks often."""

from __future__ import annotations

import asyncio

from .comparison import Comparison, compare
from .people import PeopleStore


class ComparedPeople:
    """The newest comparison. Use it from one event loop; the work is done beside it."""

    def __init__(self, people: PeopleStore) -> None:
        self._people = people
        self._revision: object = None
        self._comparison: Comparison | None = None
        self._turn = asyncio.Lock()

    async def get(self) -> Comparison:
        """The comparison of everybody who is enrolled now."""
        async with self._turn:
            revision = await self._people.revision()
            if self._comparison is None or revision != self._revision:
                known = await self._people.known()
                self._comparison = await asyncio.to_thread(compare, known)
                self._revision = revision
            return self._comparison
