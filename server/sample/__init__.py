"""The sample camera: a clip of two people that plays in a loop, and the photo of the one who is enrolled.

Made by tools/make_sample.py from a photograph in the public domain (NASA). `CLIP` is 1280x720 at 30 frames a second for
12 s; its last frame leads into its first. `TRUTH` says where the two faces are in each of its frames
(server/bench/truth.py reads it). `PHOTO` shows the person who sits on the left.
"""

from __future__ import annotations

from pathlib import Path

_FOLDER = Path(__file__).parent

CLIP = _FOLDER / "classroom.mp4"
TRUTH = _FOLDER / "classroom.json"
PHOTO = _FOLDER / "person.jpg"
PERSON_NAME = "Ada Sample"
