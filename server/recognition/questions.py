"""What people ask of recognition between two frames: to examine a photo, or for a face of the live picture.

A bounded number of questions waits for the process, each with a deadline; every one gets an answer, also when the
process dies or the server stops. Event loop's thread only.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial

from ..errors import SurveillxError, Unavailable
from .messages import Examine, Reply, TakeFace
from .photos import ExaminedPhoto
from .process import RecognitionProcess

# A photo of fifty million pixels takes a few seconds.
ANSWER_TIMEOUT_S = 10.0
# What a person who asks waits at most, a restart of the process included.
PATIENCE_S = 20.0
MAX_WAITING = 8
# How long a face that was clicked may take until there is a good look at it.
LOOK_PATIENCE_S = 2.0


@dataclass(frozen=True, slots=True, eq=False)
class _Question:
    """What is asked, and who waits for the answer."""

    request: Examine | TakeFace
    answer: asyncio.Future[ExaminedPhoto]


class Questions:
    """Questions that wait, first come, first served."""

    def __init__(self, on_new: Callable[[], None], why_not: str) -> None:
        """`on_new` is called for each new question. Until `accept`, all are refused because of `why_not`."""
        self._on_new = on_new
        self._why_not = why_not
        self._waiting: deque[_Question] = deque()
        self._watched: set[tuple[str, asyncio.Event]] = set()

    def __len__(self) -> int:
        """How many questions wait."""
        return len(self._waiting)

    def accept(self) -> None:
        """From now on questions may wait for their answer."""
        self._why_not = ""

    def refuse(self, why_not: str) -> None:
        """From now on every question, waiting or new, is refused in these words."""
        self._why_not = why_not
        while self._waiting:
            _settle(self._waiting.popleft().answer, Unavailable(why_not))

    async def examine(self, photo: bytes) -> ExaminedPhoto:
        """See `RecognitionWorker.examine`."""
        return await self._ask(Examine(photo))

    async def face_of(self, camera_id: str, track_id: int) -> ExaminedPhoto:
        """See `RecognitionWorker.face_of`."""
        deadline = asyncio.get_running_loop().time() + LOOK_PATIENCE_S
        with self._watching(camera_id) as recognised:
            while True:
                recognised.clear()
                try:
                    return await self._ask(TakeFace(camera_id, track_id))
                except Unavailable as refusal:
                    if refusal.reason != "no_look" or not await _set_before(deadline, recognised):
                        raise

    def recognised(self, camera_id: str) -> None:
        """Another frame of this camera has been recognised: there may be a look that was not there before."""
        for watched, event in self._watched:
            if watched == camera_id:
                event.set()

    async def answer_one(self, process: RecognitionProcess) -> None:
        """Have the process answer the question that waits longest, if any.

        Raises:
            ProcessLost: see `RecognitionProcess.ask`. The question is answered all the same.
        """
        if not self._waiting:
            return
        question = self._waiting.popleft()
        if question.answer.done():
            return  # whoever asked has left
        try:
            await process.ask(question.request, ANSWER_TIMEOUT_S, partial(_settle, question.answer))
        finally:
            # Not tried again: it may be what killed the process.
            _settle(question.answer, _busy("The photo could not be examined."))

    async def _ask(self, request: Examine | TakeFace) -> ExaminedPhoto:
        if self._why_not:
            raise Unavailable(self._why_not)
        if len(self._waiting) >= MAX_WAITING:
            raise _busy("Too many photos are being examined at once.")
        question = _Question(request, asyncio.get_running_loop().create_future())
        self._waiting.append(question)
        self._on_new()
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await question.answer
        except TimeoutError as error:
            raise _busy("Recognition is too busy, or starting again.") from error
        finally:
            with suppress(ValueError):  # it is there no more when it was its turn
                self._waiting.remove(question)

    @contextmanager
    def _watching(self, camera_id: str) -> Iterator[asyncio.Event]:
        watched = camera_id, asyncio.Event()
        self._watched.add(watched)
        try:
            yield watched[1]
        finally:
            self._watched.discard(watched)


async def _set_before(deadline: float, event: asyncio.Event) -> bool:
    try:
        async with asyncio.timeout_at(deadline):
            return await event.wait()
    except TimeoutError:
        return False


def _settle(answer: asyncio.Future[ExaminedPhoto], result: Reply) -> None:
    if answer.done():
        return
    if isinstance(result, ExaminedPhoto):
        answer.set_result(result)
    elif isinstance(result, SurveillxError):
        answer.set_exception(result)


def _busy(what: str) -> Unavailable:
    return Unavailable(f"{what} Please try again in a moment.", headers={"Retry-After": "5"})
