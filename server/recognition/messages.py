"""What the server and the recognition process say to each other over their pipe.

One request at a time; the process answers each with any number of replies and then `Done`. It speaks first: `Ready` or
`Failed`. Both ends are our own, on one machine, so the messages are simply pickled.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import NotFound, Unavailable, Unprocessable
from ..events import Detections, Sighting
from .gallery import Known
from .photos import ExaminedPhoto


@dataclass(frozen=True, slots=True)
class Ready:
    """The models are loaded; `detector` names what finds faces."""

    detector: str


@dataclass(frozen=True, slots=True)
class Failed:
    """The models cannot be loaded."""

    why: str


@dataclass(frozen=True, slots=True)
class Recognise:
    """Recognise the frame in the shared memory called `memory`, packed as `pictures.Planes`.

    Replies: Detections at once, after a look Detections again if it changed anything, and a Sighting if it settled.
    """

    camera_id: str
    pts: int
    width: int
    height: int
    memory: str


@dataclass(frozen=True, slots=True)
class UseGallery:
    """From now on these are the people known. No reply."""

    known: Known


@dataclass(frozen=True, slots=True)
class Forget:
    """This camera has ended; its tracks too. No reply."""

    camera_id: str


@dataclass(frozen=True, slots=True)
class Examine:
    """Examine a photo for enrolment. Reply: ExaminedPhoto, or the Unprocessable that says why not."""

    photo: bytes


@dataclass(frozen=True, slots=True)
class TakeFace:
    """Give the best look at a face in the live picture, as if it were a photo.

    Reply: ExaminedPhoto; or why not: NotFound (it has left), Unprocessable (too small, blurred), Unavailable (there was
    no look yet, but there may be one soon).
    """

    camera_id: str
    track_id: int


@dataclass(frozen=True, slots=True)
class Done:
    """The request is dealt with."""


Request = Recognise | UseGallery | Forget | Examine | TakeFace
Reply = Detections | Sighting | ExaminedPhoto | Unprocessable | NotFound | Unavailable
Message = Ready | Failed | Reply | Done
