"""What the recognition process does, from its first line to its last. Runs only there, on its one thread.

It ends when the pipe does: a server that was killed leaves no process behind. It must not import the engine before it
has settled, because libraries read their thread counts when they are loaded; nor may the server import it by accident.
"""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Iterator
from multiprocessing.connection import Connection
from multiprocessing.shared_memory import SharedMemory
from typing import TYPE_CHECKING

import numpy as np

from ..errors import Unprocessable
from ..events import Detections, Face
from . import photos
from .gallery import Gallery
from .messages import Done, Examine, Failed, Forget, Message, Ready, Recognise, Reply, Request, UseGallery
from .pictures import Planes, plane_sizes
from .search import Search
from .tracks import Tracks

if TYPE_CHECKING:
    from .engine import Engine

# Video goes first: this much nicer than the server.
NICENESS = 5
CLOCK_HZ = 90_000


def run(connection: Connection[Message, Request], first_track_id: int) -> None:
    """Load the models, then answer requests until the server hangs up."""
    _settle()
    from .detectors import EngineError  # noqa: PLC0415 - only here and only now, see above
    from .engine import open_engine  # noqa: PLC0415

    try:
        engine = open_engine()
    except EngineError as error:
        connection.send(Failed(str(error)))
        return
    recogniser = Recogniser(engine, first_track_id)
    try:
        connection.send(Ready(engine.detector.name))
        while True:
            for reply in recogniser.answer(connection.recv()):
                connection.send(reply)
            connection.send(Done())
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # the server is gone or wants no more
    finally:
        recogniser.close()


class Recogniser:
    """Answers requests with one engine, and keeps every camera's tracks between them."""

    def __init__(self, engine: Engine, first_track_id: int = 1) -> None:
        self._engine = engine
        self._ids = itertools.count(first_track_id)
        self._gallery = Gallery([], max_distance=0.0, margin=0.0)
        self._tracks: dict[str, Tracks] = {}
        self._searches: dict[str, Search] = {}
        self._memory: SharedMemory | None = None

    def answer(self, request: Request) -> Iterator[Reply]:
        """Do what is asked; replies come as soon as they are known."""
        match request:
            case Recognise():
                yield from self._recognise(request)
            case Examine(photo):
                yield self._examined(photo)
            case UseGallery(gallery):
                self._gallery = gallery
                for tracks in self._tracks.values():
                    tracks.change_gallery(gallery)
            case Forget(camera_id):
                self._tracks.pop(camera_id, None)
                self._searches.pop(camera_id, None)

    def close(self) -> None:
        """Let go of the shared memory; it belongs to the server."""
        if self._memory is not None:
            self._memory.close()
            self._memory = None

    def _recognise(self, request: Recognise) -> Iterator[Detections]:
        """Boxes at once; then at most one look, because each holds up the next boxes by 84 ms."""
        planes = self._planes(request)
        tracks = self._tracks.setdefault(request.camera_id, Tracks(self._ids, self._gallery))
        search = self._searches.setdefault(request.camera_id, Search(self._engine.detector))
        at = request.pts / CLOCK_HZ
        busy = tracks.wanting_a_look() is not None
        tracks.update(search.faces(planes, tracks.expected(at), busy), at)
        before = tracks.faces()
        yield _detections(request, before)
        track = tracks.wanting_a_look()
        if track is None:
            return
        tracks.look(track, self._engine.embed(planes, track.motion.box))
        after = tracks.faces()
        if [face.person_id for face in after] != [face.person_id for face in before]:
            yield _detections(request, after)

    def _examined(self, photo: bytes) -> photos.ExaminedPhoto | Unprocessable:
        try:
            return photos.examine(photo, self._engine)
        except Unprocessable as refusal:
            return refusal

    def _planes(self, request: Recognise) -> Planes:
        size = sum(width * height for width, height in plane_sizes(request.width, request.height))
        if self._memory is None or self._memory.name != request.memory:
            self.close()
            self._memory = SharedMemory(request.memory)
        # A copy, so that no array points into memory that may be unmapped.
        return Planes(request.width, request.height, np.ndarray(size, np.uint8, buffer=self._memory.buf).copy())


def _settle() -> None:
    """Behave as a background process: interrupts are for the server, and one thread is enough."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    # For libgomp, which reads it when the detector is loaded. A spawned process has no other use of its environment.
    os.putenv("OMP_NUM_THREADS", "1")


def _detections(request: Recognise, faces: tuple[Face, ...]) -> Detections:
    return Detections(request.camera_id, request.pts, request.width, request.height, faces)
