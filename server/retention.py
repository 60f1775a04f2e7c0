"""Retention: what proves, groups or reports anything about people goes after its configured time, from the disk too.

One task on the event loop; the stores do the work on the database's thread. One that fails does not keep the others.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from .errors import SurveillxError

INTERVAL_S = 3600.0

logger = logging.getLogger("surveillx.retention")


@dataclass(frozen=True, slots=True)
class Purge:
    """Something that removes what is older than `days`: `words` say what, `remove(days)` returns how many."""

    words: str
    remove: Callable[[int], Awaitable[int]]
    days: int


async def retain(purges: tuple[Purge, ...], forget_deleted: Callable[[], Awaitable[None]]) -> None:
    """Remove what is old at once and then each hour, until cancelled; `forget_deleted` wipes it from the disk."""
    while True:
        removed = [await _remove(purge) for purge in purges]
        if any(removed):
            await _forget(forget_deleted)
        await asyncio.sleep(INTERVAL_S)


async def _remove(purge: Purge) -> int:
    try:
        removed = await purge.remove(purge.days)
    except SurveillxError as error:
        logger.warning("%s older than %d days wait for the next hour: %s", purge.words, purge.days, error.detail)
        return 0
    if removed:
        logger.info("%d %s older than %d days were removed.", removed, purge.words, purge.days)
    return removed


async def _forget(forget_deleted: Callable[[], Awaitable[None]]) -> None:
    try:
        await forget_deleted()
    except SurveillxError as error:
        logger.warning("What was removed is still in the database's log: %s", error.detail)
