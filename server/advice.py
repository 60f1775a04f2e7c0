"""What is wrong with the server now, in the words of the pages' language, and what whoever runs it can do about it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .camera import Camera
from .events import ServerChanged
from .words import Words

# Less disk than this is worth a word while there is time to act; the database and its log take some tenths a month.
DISK_LOW_BYTES = 1_000_000_000
# Names that come later than this hang behind a face that walks by.
LATE_RESULTS_MS = 2_000
# Loading the models takes seconds after every start; only a longer wait is worth a word.
STARTING_S = 60.0


@dataclass(frozen=True, slots=True)
class Problem:
    """`what` is wrong and what `todo` about it, each a sentence or two. `since` is ISO 8601 where it is known."""

    kind: str
    what: str
    todo: str
    since: str | None = None
    camera_id: str | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """How the server is. `shortage` says why no session more can be opened, `database_words` why it is away."""

    server: ServerChanged
    cameras: Sequence[Camera]
    up_s: float
    disk_free_bytes: int
    shortage: str
    database_words: str
    database_since: str | None
    sessions: int
    max_sessions: int
    waiting_limit: int


def advise(facts: Facts, words: Words) -> list[Problem]:
    """Every problem, what stops most first."""
    return [*_storage(facts, words), *_recognition(facts, words), *_load(facts, words), *_cameras(facts, words)]


def _storage(facts: Facts, words: Words) -> Iterator[Problem]:
    server = facts.server
    if server.database == "away":
        yield problem("database_away", words, since=facts.database_since, why=facts.database_words)
    if server.waiting_marks >= facts.waiting_limit:
        yield problem("marks_refused", words, count=facts.waiting_limit)
    elif server.waiting_marks:
        yield problem("marks_waiting", words, count=server.waiting_marks, limit=facts.waiting_limit)
    if facts.disk_free_bytes < DISK_LOW_BYTES:
        yield problem("disk_low", words, free=f"{facts.disk_free_bytes / 1e6:.0f}")


def _recognition(facts: Facts, words: Words) -> Iterator[Problem]:
    server = facts.server
    if server.recognition == "restarting":
        yield problem("recognition_away", words, why=server.recognition_words)
    elif server.recognition == "starting" and facts.up_s > STARTING_S:
        yield problem("recognition_slow_start", words)
    late = [each for each in facts.cameras if each.state == "online" and each.result_age_ms > LATE_RESULTS_MS]
    if server.recognition == "running" and late:
        yield problem("results_late", words, seconds=f"{max(each.result_age_ms for each in late) / 1000:.0f}")


def _load(facts: Facts, words: Words) -> Iterator[Problem]:
    if facts.server.degraded:
        yield problem("server_busy", words, why=facts.server.degraded)
    if facts.shortage:
        yield problem("no_room", words, why=facts.shortage)
    elif facts.sessions >= facts.max_sessions:
        yield problem("sessions_full", words, count=facts.max_sessions)


def _cameras(facts: Facts, words: Words) -> Iterator[Problem]:
    for camera in facts.cameras:
        if camera.state == "online":
            continue
        kind = "camera_stale" if camera.state == "stale" else "camera_offline" if camera.has_sent else "camera_awaited"
        shown = camera.name or words.text("player.camera", id=camera.id)
        since = camera.since.isoformat(timespec="seconds")
        yield problem(kind, words, since=since, camera_id=camera.id, camera=shown, id=camera.id)


def problem(
    kind: str, words: Words, since: str | None = None, camera_id: str | None = None, **values: object
) -> Problem:
    """The problem with its sentences, `problem.KIND` and `problem.KIND.todo` of the language's file."""
    what, todo = (words.text(f"problem.{kind}{part}", **values) for part in ("", ".todo"))
    return Problem(kind, what, todo, since, camera_id)
