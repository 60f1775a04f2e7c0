"""Looks at faces that somebody is about to name. In memory only, few and for some minutes; never on a disk."""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict

from ..errors import NotFound
from ..recognition.photos import ExaminedPhoto

KEPT_S = 300.0
MAX_LOOKS = 32


class Looks:
    """Keeps looks under names that nobody guesses; the oldest makes room. Event loop's thread only."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[float, ExaminedPhoto]] = OrderedDict()

    def keep(self, photo: ExaminedPhoto) -> str:
        """Keep a look; returns its name."""
        self._drop_old()
        while len(self._kept) >= MAX_LOOKS:
            self._kept.popitem(last=False)
        name = secrets.token_urlsafe(16)
        self._kept[name] = (time.monotonic() + KEPT_S, photo)
        return name

    def get(self, name: str) -> ExaminedPhoto:
        """The look of that name.

        Raises:
            NotFound: it was kept for too long, or never.
        """
        self._drop_old()
        if name not in self._kept:
            raise NotFound("This look at the face is kept no longer. Please pick the face again.")
        return self._kept[name][1]

    def forget(self, name: str) -> None:
        """It has served."""
        self._kept.pop(name, None)

    def _drop_old(self) -> None:
        while self._kept and next(iter(self._kept.values()))[0] <= time.monotonic():
            self._kept.popitem(last=False)
