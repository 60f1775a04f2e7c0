"""How late a camera's pictures are: from the moment one was taken until it is sent, told once a second.

All moments are seconds of this machine's monotonic clock. Event loop's thread only.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

from .events import Timing

REPORT_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class Origin:
    """When a picture was taken (None: its publisher does not tell), and when its last packet arrived."""

    received_at: float
    captured_at: float | None = None


class Delays:
    """Sums up what pictures of one camera went through."""

    def __init__(self, camera_id: str) -> None:
        self._camera_id = camera_id
        self._camera_s: list[float] = []
        self._server_s: list[float] = []
        self._due_at = 0.0

    def note(self, rtp_timestamp: int, origin: Origin, sent_at: float) -> Timing | None:
        """A picture has left with this timestamp (90 kHz); the figures of the last second, when it is over."""
        self._server_s.append(sent_at - origin.received_at)
        if origin.captured_at is not None:
            self._camera_s.append(origin.received_at - origin.captured_at)
        if sent_at < self._due_at:
            return None
        self._due_at = sent_at + REPORT_EVERY_S
        camera_s, self._camera_s = self._camera_s, []
        server_s, self._server_s = self._server_s, []
        return Timing(
            self._camera_id,
            rtp_timestamp & 0xFFFFFFFF,
            None if origin.captured_at is None else _ms(origin.captured_at),
            _ms(median(camera_s)) if camera_s else None,
            _ms(median(server_s)),
        )


def _ms(seconds: float) -> float:
    return round(1000 * seconds, 1)
