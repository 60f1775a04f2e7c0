"""Sightings as the recognition process sends them, of made-up faces."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from server.events import Sighting

CROP = b"\xff\xd8 a small picture \xff\xd9"


def face(seed: int, away: float = 0.0) -> bytes:
    """The embedding of a made-up face; `away` is its distance from the face of the same seed."""
    direction = np.random.default_rng(seed).normal(size=128)
    other = np.random.default_rng(seed + 10_000).normal(size=128)
    place = direction / np.linalg.norm(direction) + away * other / np.linalg.norm(other)
    return np.asarray(place, "<f8").tobytes()


def sighting(person_id: int | None, **changes: Any) -> Sighting:
    """A sighting that proves this person, by their own face unless `embedding` is given."""
    seen = Sighting(
        camera_id="1",
        track_id=4,
        person_id=person_id,
        distance=0.31,
        margin=0.22,
        looks=3,
        model="dlib_face_recognition_resnet_model_v1",
        threshold=0.5,
        quality=0.8,
        embedding=face(person_id or 0),
        crop=CROP,
    )
    return replace(seen, **changes)
