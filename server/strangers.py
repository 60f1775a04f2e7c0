"""Datagrams that belong to nobody's session: each is counted, and the log has one line of them a minute at most."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from .metrics import Metrics

logger = logging.getLogger("surveillx.strangers")

TOLD_EVERY_S = 60.0
# A peer's last packets after its session has ended, a scanner that passes by: not worth a line.
USUAL = 100


class Strangers:
    """Called for every datagram that is ignored. Event loop's thread only."""

    def __init__(self, metrics: Metrics, clock: Callable[[], float] = time.monotonic) -> None:
        self._total = metrics.strange_datagrams
        self._clock = clock
        self._count = 0
        self._since = clock()

    def __call__(self) -> None:
        """Count one."""
        self._total.inc()
        self._count += 1
        if self._count <= USUAL:
            return
        now = self._clock()
        if now - self._since < TOLD_EVERY_S:
            return
        logger.warning(
            "%d datagrams of strangers came to the media ports in %.0f s. They were ignored. If they go on, close the "
            "ports to where they come from.",
            self._count, now - self._since,
        )  # fmt: skip
        self._count, self._since = 0, now
