"""What the routes work with: every part of the running server, put into the application's state at start-up."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends
from fastapi.requests import HTTPConnection

from ..access import Access
from ..attendance import AttendanceStore
from ..audit import AuditStore
from ..camera import Cameras
from ..camera_names import CameraNames
from ..config import Settings
from ..database import Database
from ..events import EventBus
from ..health import Health
from ..metrics import Metrics
from ..overload import Overload
from ..overview import Overview
from ..rates import Rate
from ..recognition.compared import ComparedPeople
from ..recognition.people import PeopleStore
from ..recognition.worker import RecognitionWorker
from ..sessions import SessionRegistry
from ..snapshots import Snapshots
from ..strangers import Strangers
from ..visitors import VisitorStore
from ..words import Words
from .looks import Looks


@dataclass(frozen=True)
class Parts:
    """The parts of one server."""

    settings: Settings
    words: Words
    metrics: Metrics
    events: EventBus
    access: Access
    database: Database
    people: PeopleStore
    compared: ComparedPeople
    visitors: VisitorStore
    attendance: AttendanceStore
    audit: AuditStore
    recognition: RecognitionWorker
    overload: Overload
    health: Health
    overview: Overview
    cameras: Cameras
    camera_names: CameraNames
    sessions: SessionRegistry
    snapshots: Snapshots
    strangers: Strangers
    session_requests: Rate
    looks: Looks = field(default_factory=Looks)


def parts(connection: HTTPConnection) -> Parts:
    """The parts of the server that `connection` came to."""
    found: Parts = connection.app.state.parts
    return found


async def _injected(connection: HTTPConnection) -> Parts:
    # FastAPI sends dependencies that are no coroutines through a thread, with every request.
    return parts(connection)


PartsDep = Annotated[Parts, Depends(_injected)]
