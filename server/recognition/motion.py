"""Motion: where a face is between recognitions, and which of the faces found is the one that was expected.

Pure: no clock, no threads, no pictures. Times are seconds on the camera's own clock, boxes pixels of its picture.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from .pictures import Box

# How much of a new position and a new size counts, and how much of the error of a prediction is taken for speed.
POSITION_GAIN = 0.8
SIZE_GAIN = 0.85
SPEED_GAIN = 0.6
# A box is drawn until the next result comes, so a speed that changes is carried on by this share of its last change.
# Measured by tests/test_motion.py, results 60 to 200 ms late: mean IoU 0.71 and more on each path.
TREND = 1.2
# Errors below this share of the face's size are mostly the detector's noise, and count the less the smaller they are.
NOISE = 0.08

MIN_IOU = 0.2
MAX_SIZE_RATIO = 2.0


@dataclass(slots=True, eq=False)
class Motion:
    """One face's `box` when it was last seen, and its `velocity` in pixels per second from then on.

    `speed` is what was measured; `velocity` is that and its trend.
    """

    box: Box
    seen_at: float
    velocity: tuple[float, float] = (0.0, 0.0)
    speed: tuple[float, float] = (0.0, 0.0)
    sightings: int = 1

    def predicted(self, at: float) -> Box:
        """Where the box is at time `at` if it goes on as it did."""
        x, y, width, height = self.box
        ahead = at - self.seen_at
        return x + self.velocity[0] * ahead, y + self.velocity[1] * ahead, width, height

    def follow(self, seen: Box, at: float) -> None:
        """Take a new sighting: an alpha-beta filter on the centre, a plain mean for the size."""
        elapsed_s = at - self.seen_at
        x, y = (old + speed * elapsed_s for old, speed in zip(centre(self.box), self.speed, strict=True))
        seen_x, seen_y = centre(seen)
        error = (seen_x - x, seen_y - y)
        gain = 1.0 if self.sightings == 1 else POSITION_GAIN
        self._hasten(error, elapsed_s)
        x, y = x + gain * error[0], y + gain * error[1]
        width, height = (old + SIZE_GAIN * (new - old) for new, old in zip(seen[2:], self.box[2:], strict=True))
        self.box = (x - width / 2, y - height / 2, width, height)
        self.seen_at = at
        self.sightings += 1

    def _hasten(self, error: tuple[float, float], elapsed_s: float) -> None:
        """Correct the speed by the error of what was predicted; the first two positions say the whole speed."""
        if self.sightings == 1:
            self.speed = self.velocity = (error[0] / elapsed_s, error[1] / elapsed_s)
            return
        size = math.sqrt(area(self.box))
        gain = SPEED_GAIN / elapsed_s * min(1.0, math.hypot(*error) / (NOISE * size))
        change_x, change_y = gain * error[0], gain * error[1]
        self.speed = (self.speed[0] + change_x, self.speed[1] + change_y)
        self.velocity = (self.speed[0] + TREND * change_x, self.speed[1] + TREND * change_y)


def paired(expected: Sequence[Box], found: Sequence[Box]) -> list[tuple[int, int]]:
    """Pair two sets of boxes, best overlap first; returns indexes into both.

    Boxes that overlap too little still pair when their centres are within one size and the sizes are alike: a face that
    crosses the picture quickly has left its old box after a sixth of a second.
    """
    scores = [(closeness(a, b), i, j) for i, a in enumerate(expected) for j, b in enumerate(found)]
    pairs: list[tuple[int, int]] = []
    for score, i, j in sorted(scores, reverse=True):
        if score > 0 and all(i != a and j != b for a, b in pairs):
            pairs.append((i, j))
    return pairs


def closeness(a: Box, b: Box) -> float:
    """From 2 (the same box) over 1 (just overlapping enough) to 0 (not the same face)."""
    overlap = iou(a, b)
    if overlap >= MIN_IOU:
        return 1 + overlap
    size_a, size_b = math.sqrt(a[2] * a[3]), math.sqrt(b[2] * b[3])
    if not 1 / MAX_SIZE_RATIO < size_a / size_b < MAX_SIZE_RATIO:
        return 0.0
    apart = math.dist(centre(a), centre(b))
    return max(0.0, 1 - apart / max(size_a, size_b))


def iou(a: Box, b: Box) -> float:
    """Shared area divided by the area of both together."""
    both = shared(a, b)
    return both / (area(a) + area(b) - both)


def shared(a: Box, b: Box) -> float:
    """The area of both boxes' overlap, square pixels."""
    across = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    down = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    return max(0.0, across) * max(0.0, down)


def area(box: Box) -> float:
    """Square pixels."""
    return box[2] * box[3]


def centre(box: Box) -> tuple[float, float]:
    """The middle of a box."""
    return box[0] + box[2] / 2, box[1] + box[3] / 2
