"""How many sessions there may be: in all, of one client address, connecting, and of one camera's viewers.

One address may be a whole school behind its router, so its share is large; yet it cannot take every place, nor fill the
waiting room. Pure but for the question to the system whether it has room.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from .config import PREFIX, Settings
from .errors import SurveillxError, TooManyRequests, Unavailable
from .room import shortage

logger = logging.getLogger("surveillx.limits")

Kind = Literal["publisher", "viewer"]

# What a client is told to wait: for the next connection to stand or fail, for somebody to leave.
SOON_S, LATER_S = 1, 10


@dataclass(frozen=True)
class Place:
    """What one session takes, or would take. An empty `address` is nobody's, and not limited."""

    kind: Kind
    camera_id: str
    address: str = ""
    is_connecting: bool = True


def require_room(settings: Settings, taken: Sequence[Place], wanted: Place) -> None:
    """Let one more session be opened.

    Raises:
        TooManyRequests: its address has its share. Unavailable: all places are taken. Both with `Retry-After`.
    """
    for refusal in _refusals(settings, taken, wanted):
        raise refusal
    if what := shortage():
        logger.warning("a %s was refused: the server has no room: %s", wanted.kind, what)
        raise _later(Unavailable, f"This server has no room for one more: {what}.")


def _refusals(settings: Settings, taken: Sequence[Place], wanted: Place) -> Iterator[SurveillxError]:
    of_address = [each for each in taken if wanted.address and each.address == wanted.address]
    if len(of_address) >= settings.max_sessions_per_address:
        yield _later(
            TooManyRequests,
            f"{len(of_address)} connections are open from your network's address, and it may have no more. Close pages "
            f"that show a camera, or ask the administrator to raise {PREFIX}MAX_SESSIONS_PER_ADDRESS.",
        )
    if len(taken) >= settings.max_sessions:
        words = f"This server serves {settings.max_sessions} connections at a time, and all are taken."
        yield _later(Unavailable, words)
    viewers = sum(each.kind == "viewer" and each.camera_id == wanted.camera_id for each in taken)
    if wanted.kind == "viewer" and viewers >= settings.max_viewers_per_camera:
        words = f"{viewers} are watching this camera, and it can have no more viewers at a time."
        yield _later(Unavailable, words)
    if sum(each.is_connecting for each in of_address) >= settings.max_connecting_per_address:
        yield _soon(TooManyRequests, "Too many are connecting from your network's address just now.")
    if sum(each.is_connecting for each in taken) >= settings.max_connecting:
        yield _soon(Unavailable, "Too many are connecting just now.")


def _later(kind: type[SurveillxError], words: str) -> SurveillxError:
    return kind(words, reason="full", headers={"Retry-After": str(LATER_S)})


def _soon(kind: type[SurveillxError], words: str) -> SurveillxError:
    return kind(words, reason="full", headers={"Retry-After": str(SOON_S)})
