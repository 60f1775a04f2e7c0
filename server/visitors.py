"""Unknown visitors: unknown faces, grouped by likeness, so that staff can enrol or ignore them.

Of a visitor at most `MAX_FACES` looks are kept, sealed; `purge` removes whoever has not been seen for some days.
Grouping reads the stored faces each time, so that a restart forgets nothing; which track gave what is remembered only
here, to be taken back when the track gets a name after all. Use it from one event loop.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from .audit import note
from .config import Settings
from .database import Database
from .errors import NotFound, Unavailable
from .events import Sighting
from .tables import Visitor, VisitorFace
from .vault import Vault

# Measured on seven people in 20 variations each (48 to 110 px, gamma 0.5 to 2, blur, turned by 12 degrees, mirrored,
# JPEG at 25), in any order: from 0.40 to 0.55 seven people are seven groups; at 0.38 one of them is sometimes two, at
# 0.60 two are sometimes one. Different people were 0.53 and more apart.
SAME_VISITOR = 0.45
MAX_FACES = 4
MAX_VISITORS = 300  # the one not seen for longest makes room
APART = timedelta(minutes=10)  # away for longer, and it is another appearance
MAX_TRACKS = 1000
MAX_WAITING = 50  # sightings that wait for the database

Faces = NDArray[np.float64]
Track = tuple[str, int]

logger = logging.getLogger("surveillx.visitors")


@dataclass(frozen=True, slots=True, eq=False)
class VisitorRecord:
    """Unknown faces that look like one person.

    `first_seen` and `last_seen` are in the school's zone; `appearances` is how often the person came, `camera_id` where
    last. `embeddings` has shape (faces, 128).
    """

    id: int
    first_seen: datetime
    last_seen: datetime
    appearances: int
    camera_id: str
    is_ignored: bool
    embeddings: Faces


@dataclass(frozen=True, slots=True, eq=False)
class VisitorLook:
    """One kept look: `embedding` (128,) float64 and a small JPEG of the face."""

    embedding: NDArray[np.float64]
    crop: bytes


@dataclass(frozen=True, slots=True)
class _Share:
    """What one track gave to a visitor; `face_id` is None where the others were better, or it is ignored."""

    visitor_id: int
    face_id: int | None
    is_appearance: bool


class VisitorStore:
    """Groups unknown faces, tells who came, and forgets them."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._is_on = settings.visitors
        self._zone = ZoneInfo(settings.timezone) if settings.timezone else None
        self._shares: OrderedDict[Track, _Share] = OrderedDict()
        self._turn = asyncio.Lock()
        self._waiting = 0
        self.dropped = 0  # sightings given up because the database was away

    async def take(self, seen: Sighting, at: datetime | None = None) -> None:
        """Put an unknown face to the visitor it resembles, or make it a new one. A named face is none of ours.

        Raises:
            Unavailable: the database cannot be used, or many sightings wait for it already.
        """
        if not self._is_on or seen.person_id is not None or not seen.crop:
            return
        if self._waiting >= MAX_WAITING:
            self.dropped += 1
            raise Unavailable(f"{MAX_WAITING} unknown faces are waiting for the database already.")
        self._waiting += 1
        try:
            async with self._turn:
                await self._take(seen, at or datetime.now(UTC))
        finally:
            self._waiting -= 1

    async def forget_track(self, camera_id: str, track_id: int) -> None:
        """Take back what a track gave: it has a name after all.

        Raises:
            Unavailable: the database cannot be used; what it gave goes with the visitor's purge.
        """
        async with self._turn:
            share = self._shares.pop((camera_id, track_id), None)
            if share is not None:
                await self._database.run(lambda session: _take_back(session, share))

    async def recent(self, *, ignored: bool = False) -> list[VisitorRecord]:
        """The visitors, last seen first: those to be dealt with, or the `ignored` ones."""
        return await self._database.read(lambda session: _recent(session, self._database.vault, self._zone, ignored))

    async def photo(self, visitor_id: int) -> bytes:
        """The JPEG of the best look.

        Raises:
            NotFound: there is no such visitor.
        """
        return (await self.looks(visitor_id))[0].crop

    async def looks(self, visitor_id: int) -> list[VisitorLook]:
        """All that is kept of a visitor's face, the best first; at least one.

        Raises:
            NotFound: there is no such visitor.
        """
        return await self._database.read(lambda session: _looks(session, self._database.vault, visitor_id))

    async def ignore(self, visitor_id: int, *, ignored: bool) -> None:
        """Hide a visitor from the list, or bring one back. Ignored visitors are still grouped, and purged.

        Raises:
            NotFound: there is no such visitor.
        """
        await self._database.run(lambda session: _ignore(session, visitor_id, ignored=ignored))

    async def delete(self, visitor_id: int) -> None:
        """Remove a visitor, from the disk too.

        Raises:
            NotFound: there is no such visitor.
        """
        await self._database.run(lambda session: _delete(session, visitor_id))
        await self._database.forget_deleted()

    async def enrolled(self, visitor_id: int, person_id: int) -> None:
        """The visitor's faces are a person's photos now: remove the visitor. One that is gone already is well."""
        await self._database.run(lambda session: _enrolled(session, visitor_id, person_id))
        await self._database.forget_deleted()

    async def purge(self, days: int) -> int:
        """Remove visitors, ignored or not, last seen more than `days` ago; returns how many."""
        before = datetime.now(UTC) - timedelta(days=days)
        gone = await self._database.run(lambda session: _purge(session, before))
        if gone:
            await self._database.forget_deleted()
        return gone

    async def _take(self, seen: Sighting, at: datetime) -> None:
        track = seen.camera_id, seen.track_id
        earlier = self._shares.get(track)
        self._shares[track] = await self._database.run(
            lambda session: _join(session, self._database.vault, seen, earlier, at)
        )
        self._shares.move_to_end(track)
        if len(self._shares) > MAX_TRACKS:
            self._shares.popitem(last=False)


def _join(session: Session, vault: Vault, seen: Sighting, earlier: _Share | None, at: datetime) -> _Share:
    visitor = _resembled(session, vault, seen, earlier)
    if visitor is None:
        visitor = _new(session, seen, at)
        return _Share(visitor.id, _keep_best(session, vault, visitor.id, None, seen, at), is_appearance=True)
    own = earlier if earlier is not None and earlier.visitor_id == visitor.id else None
    is_back = own is None and at - visitor.last_seen > APART
    visitor.sightings += is_back
    visitor.first_seen = min(visitor.first_seen, at)  # a clock may be set back
    visitor.last_seen = max(visitor.last_seen, at)
    visitor.camera_id = seen.camera_id
    face_id = own.face_id if own is not None else None
    if not visitor.is_ignored:
        face_id = _keep_best(session, vault, visitor.id, face_id, seen, at)
    return _Share(visitor.id, face_id, is_back or (own is not None and own.is_appearance))


def _resembled(session: Session, vault: Vault, seen: Sighting, earlier: _Share | None) -> Visitor | None:
    """The nearest visitor, or who the same track was before: following a face is evidence as well."""
    nearest = _nearest(session, vault, _embedding(seen.embedding))
    if nearest is None and earlier is not None:
        nearest = earlier.visitor_id
    return None if nearest is None else session.get(Visitor, nearest)


def _nearest(session: Session, vault: Vault, embedding: NDArray[np.float64]) -> int | None:
    rows = session.execute(select(VisitorFace.visitor_id, VisitorFace.embedding)).all()
    if not rows:
        return None
    faces = np.array([_embedding(vault.open(row.embedding)) for row in rows])
    distances = np.linalg.norm(faces - embedding, axis=1)
    best = int(np.argmin(distances))
    return rows[best].visitor_id if distances[best] <= SAME_VISITOR else None


def _new(session: Session, seen: Sighting, at: datetime) -> Visitor:
    excess = (session.scalar(select(func.count(Visitor.id))) or 0) - MAX_VISITORS + 1
    if excess > 0:
        oldest = select(Visitor.id).order_by(Visitor.last_seen, Visitor.id).limit(excess)
        session.execute(delete(Visitor).where(Visitor.id.in_(session.scalars(oldest).all())))
    visitor = Visitor(first_seen=at, last_seen=at, sightings=1, camera_id=seen.camera_id)
    session.add(visitor)
    session.flush()
    return visitor


def _keep_best(
    session: Session, vault: Vault, visitor_id: int, own: int | None, seen: Sighting, at: datetime
) -> int | None:
    """Keep the face if it is good enough; one for each track, so that the kept ones are of different moments.

    Returns the id of the track's face, None where it has none.
    """
    faces = session.scalars(select(VisitorFace).where(VisitorFace.visitor_id == visitor_id)).all()
    rival = next((face for face in faces if face.id == own), None)
    if rival is None and len(faces) >= MAX_FACES:
        rival = min(faces, key=lambda face: face.quality)
    if rival is not None and rival.quality >= seen.quality:
        return rival.id if rival.id == own else None
    if rival is not None:
        session.delete(rival)
    face = VisitorFace(
        visitor_id=visitor_id,
        embedding=vault.seal(seen.embedding),
        crop=vault.seal(seen.crop),
        quality=seen.quality,
        seen_at=at,
    )
    session.add(face)
    session.flush()
    return face.id


def _take_back(session: Session, share: _Share) -> None:
    visitor = session.get(Visitor, share.visitor_id)
    if visitor is None:
        return
    session.execute(delete(VisitorFace).where(VisitorFace.id == share.face_id))
    left = session.scalar(select(func.count(VisitorFace.id)).where(VisitorFace.visitor_id == visitor.id))
    if not left:
        session.delete(visitor)
    elif share.is_appearance:
        visitor.sightings = max(1, visitor.sightings - 1)


def _recent(session: Session, vault: Vault, zone: tzinfo | None, ignored: bool) -> list[VisitorRecord]:
    visitors = session.scalars(
        select(Visitor).where(Visitor.is_ignored == ignored).order_by(Visitor.last_seen.desc(), Visitor.id.desc())
    ).all()
    faces: dict[int, list[NDArray[np.float64]]] = {visitor.id: [] for visitor in visitors}
    for row in session.execute(select(VisitorFace.visitor_id, VisitorFace.embedding)):
        if row.visitor_id in faces:
            faces[row.visitor_id].append(_embedding(vault.open(row.embedding)))
    return [_record(visitor, faces[visitor.id], zone) for visitor in visitors]


def _record(visitor: Visitor, embeddings: Sequence[NDArray[np.float64]], zone: tzinfo | None) -> VisitorRecord:
    return VisitorRecord(
        id=visitor.id,
        first_seen=visitor.first_seen.astimezone(zone),
        last_seen=visitor.last_seen.astimezone(zone),
        appearances=visitor.sightings,
        camera_id=visitor.camera_id,
        is_ignored=visitor.is_ignored,
        embeddings=np.array(embeddings),
    )


def _looks(session: Session, vault: Vault, visitor_id: int) -> list[VisitorLook]:
    best_first = select(VisitorFace).where(VisitorFace.visitor_id == visitor_id).order_by(VisitorFace.quality.desc())
    looks = [
        VisitorLook(_embedding(vault.open(face.embedding)), vault.open(face.crop))
        for face in session.scalars(best_first)
    ]
    if not looks:
        raise _no_visitor()
    return looks


def _ignore(session: Session, visitor_id: int, *, ignored: bool) -> None:
    visitor = session.get(Visitor, visitor_id)
    if visitor is None:
        raise _no_visitor()
    visitor.is_ignored = ignored
    words = "An unknown visitor is ignored." if ignored else "An unknown visitor is no longer ignored."
    note(session, "visitor_ignored", words)


def _delete(session: Session, visitor_id: int) -> None:
    if not session.scalars(delete(Visitor).where(Visitor.id == visitor_id).returning(Visitor.id)).all():
        raise _no_visitor()
    note(session, "visitor_deleted", "An unknown visitor's faces were deleted.")


def _enrolled(session: Session, visitor_id: int, person_id: int) -> None:
    session.execute(delete(Visitor).where(Visitor.id == visitor_id))
    note(session, "visitor_enrolled", "An unknown visitor's faces became photos of this person.", person_id)


def _purge(session: Session, before: datetime) -> int:
    return len(session.scalars(delete(Visitor).where(Visitor.last_seen < before).returning(Visitor.id)).all())


def _embedding(stored: bytes) -> NDArray[np.float64]:
    return np.frombuffer(stored, "<f8")


def _no_visitor() -> NotFound:
    return NotFound("This visitor is gone: enrolled, deleted or purged meanwhile.")
