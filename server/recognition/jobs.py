"""What the recognition process does, from its first line to its last. Runs only there, on its one thread.

It ends when the pipe does: a server that was killed leaves no process behind. It must not import the engine before it
has settled, because libraries read their thread counts when they are loaded; nor may the server import it by accident.
"""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Iterator, Mapping
from multiprocessing.connection import Connection
from multiprocessing.shared_memory import SharedMemory
from typing import TYPE_CHECKING

import numpy as np

from ..errors import NotFound, Unavailable, Unprocessable
from ..events import Detections, Face, Sighting
from . import photos
from .gallery import Gallery, Known
from .messages import Done, Examine, Failed, Forget, Message, Ready, Recognise, Reply, Request, TakeFace, UseGallery
from .options import RecogniserOptions
from .pictures import Planes, plane_sizes
from .quality import Flaw, quality
from .search import Search
from .tracks import Track, Tracks

if TYPE_CHECKING:
    from .engine import Engine

# Video goes first: this much nicer than the server. Where camera, server and browser share two cores, 5 instead of 15
# means 29.0 instead of 29.7 pictures a second, 72 instead of 61 ms old at the 95th percentile (two runs each).
NICENESS = 15
CLOCK_HZ = 90_000
# Of more faces than this the quality is not judged in one frame: each takes most of a millisecond.
MOST_JUDGED = 8
# A face of the live picture that is enrolled must say more than one that is only named: at this size it is at most
# 0.29 apart from its own large picture (24 real faces), at 40 px 0.41.
MIN_ENROLLED_PX = 56.0
# What makes the 128 numbers: dlib_face_recognition_resnet_model_v1. Numbers of another model cannot be compared.
MODEL = "dlib-resnet-v1"

_FLAWS: Mapping[Flaw, str] = {
    "too_small": "This face is too small in the picture to be recognised later. Please come nearer to the camera.",
    "blurred": "This face is blurred. Please hold still for a moment, in good light.",
}


def run(connection: Connection[Message, Request], first_track_id: int, options: RecogniserOptions) -> None:
    """Load the models, then answer requests until the server hangs up."""
    _settle()
    from .detectors import EngineError  # noqa: PLC0415 - only here and only now, see above
    from .engine import open_engine  # noqa: PLC0415

    try:
        engine = open_engine(options.yunet)
    except EngineError as error:
        connection.send(Failed(str(error)))
        return
    recogniser = Recogniser(engine, options, first_track_id)
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


class _Camera:
    """What is kept of one camera between its frames: nothing of the pictures but a crop for each face in sight."""

    def __init__(self, engine: Engine, tracks: Tracks) -> None:
        self.search = Search(engine.detector)
        self.tracks = tracks


class Recogniser:
    """Answers requests with one engine, and keeps every camera's tracks between them."""

    def __init__(self, engine: Engine, options: RecogniserOptions, first_track_id: int = 1) -> None:
        self._engine = engine
        self._options = options
        self._ids = itertools.count(first_track_id)
        self._gallery = self._gallery_of(Known())
        self._cameras: dict[str, _Camera] = {}
        self._memory: SharedMemory | None = None

    def answer(self, request: Request) -> Iterator[Reply]:
        """Do what is asked; replies come as soon as they are known."""
        match request:
            case Recognise():
                yield from self._recognise(request)
            case Examine(photo):
                yield self._examined(photo)
            case TakeFace(camera_id, track_id):
                yield self._face(camera_id, track_id)
            case UseGallery(known):
                self._gallery = self._gallery_of(known)
                for camera in self._cameras.values():
                    camera.tracks.change_gallery(self._gallery)
            case Forget(camera_id):
                self._cameras.pop(camera_id, None)

    def close(self) -> None:
        """Let go of the shared memory; it belongs to the server."""
        if self._memory is not None:
            self._memory.close()
            self._memory = None

    def _gallery_of(self, known: Known) -> Gallery:
        options = self._options
        return Gallery(known, options.max_distance, options.margin, options.not_them_distance)

    def _camera(self, camera_id: str) -> _Camera:
        if camera_id not in self._cameras:
            self._cameras[camera_id] = _Camera(self._engine, Tracks(self._ids, self._gallery, self._options))
        return self._cameras[camera_id]

    def _recognise(self, request: Recognise) -> Iterator[Detections | Sighting]:
        """Boxes at once; then at most one look, because each holds up the next boxes by 84 ms."""
        planes = self._planes(request)
        camera, at = self._camera(request.camera_id), request.pts / CLOCK_HZ
        tracks = camera.tracks
        tracks.update(camera.search.faces(planes, tracks.expected(at), bool(tracks.waiting())), at)
        before = tracks.faces()
        yield _detections(request, before)
        track = self._look(planes, tracks)
        if track is None:
            return
        after = tracks.faces()
        if after != before:
            yield _detections(request, after)
        if tracks.shall_tell(track):
            yield self._sighting(request.camera_id, track)

    def _look(self, planes: Planes, tracks: Tracks) -> Track | None:
        """Take the best of the most urgent looks, if any is worth it; returns whose it was."""
        options = self._options
        candidates = []
        for track in tracks.waiting()[:MOST_JUDGED]:
            judged = quality(planes, track.seen.box, options.min_face_px, options.min_sharpness)
            if tracks.is_worth(track, judged):
                candidates.append((track, judged))
        if not candidates:
            return None
        # Of those that are as urgent as the first, the best crop.
        first = tracks.urgency(candidates[0][0])
        track, judged = max(
            (each for each in candidates if tracks.urgency(each[0]) == first), key=lambda each: each[1].score
        )
        embedding = self._engine.embed(planes, track.seen.box)
        tracks.look(track, embedding, judged, photos.thumbnail(planes, track.seen.box))
        return track

    def _sighting(self, camera_id: str, track: Track) -> Sighting:
        naming, options = track.naming, self._options
        is_kept = options.evidence if naming.is_named else options.visitors
        best = naming.best()
        return Sighting(
            camera_id=camera_id,
            track_id=track.id,
            person_id=naming.settled.person_id,
            distance=naming.settled.distance,
            margin=naming.settled.margin,
            looks=naming.agreeing(),
            model=MODEL,
            threshold=options.max_distance,
            quality=best.quality.score,
            embedding=naming.embedding().astype("<f8").tobytes(),
            crop=best.crop if is_kept else b"",
        )

    def _face(self, camera_id: str, track_id: int) -> photos.ExaminedPhoto | NotFound | Unprocessable | Unavailable:
        """What a click on a face in the live picture gives."""
        camera = self._cameras.get(camera_id)
        track = camera.tracks.find(track_id) if camera else None
        if track is None:
            return NotFound("This face has left the picture. Wait until it is back, then click it again.")
        if track.naming.is_hidden:
            return Unprocessable(
                "This person gave no consent, so no picture is taken of them. Add photos as files.", reason="no_consent"
            )
        flaw = track.flaw
        if track.naming.looks:
            best = track.naming.best()
            if best.quality.size_px >= MIN_ENROLLED_PX:
                return photos.ExaminedPhoto(track.naming.embedding(), best.crop)
            flaw = "too_small"
        if flaw is not None:
            return Unprocessable(_FLAWS[flaw], reason=flaw)
        return Unavailable("There was no good look at this face yet. Click it again in a moment.", reason="no_look")

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
