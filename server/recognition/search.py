"""The search for faces in one camera's frames: every face of 24 px and up in a 720p picture, within a small budget.

A detector sees faces from about 20 of its own pixels, and its cost is the number of pixels; the whole frame large
enough for small faces costs 105 ms. So each frame is searched in three cheap passes:

1. the whole picture, small: every large face, and hints of smaller ones;
2. one tile of the picture, large; the tiles take turns, so that a small face is met within a second;
3. a mosaic: the surroundings of every face that is expected but was not surely found, and of every find that is not
   certain, each at the size that suits the detector, side by side in one small canvas. So a followed face is seen in
   every frame, however small, and a pattern that looks like a face at one size only begins no track.

Together 63 ms while nobody is there or one small face is, 76 ms for thirty followed faces of 32 px, 42 ms without the
tile; an embedding took 125 ms on that (loaded) machine. All six people of the tests' photograph are found in the first
frame from 20 px. `python -m tests.bench.recognition` prints it. Runs in the recognition process; keeps nothing of a
picture.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from .detectors import Detector
from .motion import area, centre, closeness, iou, shared
from .pictures import LIKELY, SURE, Box, Detection, Picture, Pixels

WHOLE_LONG_SIDE = 480
SWEEP_LONG_SIDE = 960

# Tiles of the sweep in its own pixels. Neighbours share enough for every face that the whole picture may not show.
TILE_PX = 352
TILE_OVERLAP_PX = 48
# While embeddings are due, only every so-manieth frame has its tile.
BUSY_TILE_EVERY = 3

# Finds from here on count without a closer look.
CERTAIN = 0.85
# What a find without a confirming closer look is at most: it goes on with a track, but begins none.
DOUBTFUL = SURE - 0.01
# A closer look: the face at this size, with so much of its surroundings on every side.
CLOSE_PX = 40.0
CLOSE_MARGIN = 0.6
MAX_ENLARGED = 2.0
# More closer looks in one frame than this would hold up the next: expected faces and the likeliest finds come first.
MAX_CLOSE = 36
MOSAIC_ACROSS_PX = 480
GREY = 110

# Two finds are one face when they overlap so much, or when so much of the smaller lies in the larger.
SAME_IOU = 0.3
SAME_INSIDE = 0.65


class Search:
    """Finds the faces in the frames of one camera; remembers which tile is next."""

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        self._next_tile = 0
        self._without_tile = 0

    def faces(self, picture: Picture, expected: Sequence[Box], busy: bool) -> list[Detection]:
        """The faces of a frame, boxes in its pixels, the surest first.

        `expected` are the boxes where followed faces should be by now. `busy`: embeddings are due, so the sweep slows.
        """
        everything = (0.0, 0.0, float(picture.width), float(picture.height))
        found = self._pass(picture, everything, self._detector.long_side(WHOLE_LONG_SIDE) / _long_side(picture))
        if self._detector.is_quick:
            found = merged([*found, *self._tile(picture, busy)])
            found = self._closer(picture, found, expected)
        likely = [each for each in merged(found) if each.confidence >= LIKELY]
        return sorted(likely, key=lambda each: each.confidence, reverse=True)

    def _pass(self, picture: Picture, box: Box, scale: float) -> list[Detection]:
        """One part of the picture at `scale`, never enlarged."""
        bgr, shown = picture.part(box, min(1.0, scale))
        across, down = shown[2] / bgr.shape[1], shown[3] / bgr.shape[0]
        return [each.scaled(across, down).moved(shown[0], shown[1]) for each in self._detector.detect(bgr)]

    def _tile(self, picture: Picture, busy: bool) -> list[Detection]:
        """The next tile of the sweep. What its inner edges cut is left to the whole picture or the neighbour."""
        if _long_side(picture) <= WHOLE_LONG_SIDE:
            return []
        self._without_tile += 1
        if busy and self._without_tile < BUSY_TILE_EVERY:
            return []
        self._without_tile = 0
        scale = min(1.0, SWEEP_LONG_SIDE / _long_side(picture))
        all_tiles = tiles(picture.width, picture.height, scale)
        tile = all_tiles[self._next_tile % len(all_tiles)]
        self._next_tile = (self._next_tile + 1) % len(all_tiles)
        found = self._pass(picture, tile, scale)
        return [each for each in found if not _is_cut(each.box, tile, picture)]

    def _closer(self, picture: Picture, found: list[Detection], expected: Sequence[Box]) -> list[Detection]:
        """Take a closer look at expected faces that were not surely found and at finds that are not certain."""
        sure = [each.box for each in found if each.confidence >= SURE]
        missed = [box for box in expected if _inside(box, picture) and not any(closeness(box, s) > 1 for s in sure)]
        doubted = [each for each in found if each.confidence < CERTAIN and not _is_expected(each, expected)]
        doubted.sort(key=lambda each: each.confidence, reverse=True)
        boxes = [*missed, *(each.box for each in doubted)][:MAX_CLOSE]
        seen = self._mosaic(picture, boxes)
        confirmed = [each for each in seen[: len(missed)] if each is not None]
        checked = [_checked(each, look) for each, look in zip(doubted, seen[len(missed) :], strict=False)]
        certain = [each for each in found if each not in doubted]
        return [*certain, *confirmed, *checked]

    def _mosaic(self, picture: Picture, boxes: Sequence[Box]) -> list[Detection | None]:
        """The face around each of `boxes`, from one pass over all their surroundings."""
        if not boxes:
            return []
        cells = [_cut(picture, box) for box in boxes]
        places, height = packed_places([pixels.shape for pixels, _ in cells], MOSAIC_ACROSS_PX)
        canvas = np.full((height, MOSAIC_ACROSS_PX, 3), GREY, np.uint8)
        for (pixels, _), (left, top) in zip(cells, places, strict=True):
            canvas[top : top + pixels.shape[0], left : left + pixels.shape[1]] = pixels
        faces = self._detector.detect(canvas)
        return [_in_cell(faces, *each) for each in zip(boxes, cells, places, strict=True)]


def tiles(width: int, height: int, scale: float) -> list[Box]:
    """The parts of a picture of this size that are at most `TILE_PX` at `scale`, row by row, in its pixels."""
    lefts, across = _spans(width, scale)
    tops, down = _spans(height, scale)
    return [(left, top, across, down) for top in tops for left in lefts]


def merged(found: Sequence[Detection]) -> list[Detection]:
    """Non-maximum suppression: of finds that are one face, the surest."""
    kept: list[Detection] = []
    for each in sorted(found, key=lambda each: each.confidence, reverse=True):
        if not any(_is_same(each.box, other.box) for other in kept):
            kept.append(each)
    return kept


def packed_places(shapes: Sequence[tuple[int, ...]], across: int) -> tuple[list[tuple[int, int]], int]:
    """Left and top for rectangles of these (height, width) on shelves `across` pixels wide, and how high all are."""
    places = [(0, 0)] * len(shapes)
    left = top = shelf = 0
    for index in sorted(range(len(shapes)), key=lambda index: -shapes[index][0]):
        height, width = shapes[index][:2]
        if left + width > across:
            left, top, shelf = 0, top + shelf, 0
        places[index] = (left, top)
        left, shelf = left + width, max(shelf, height)
    return places, top + shelf


def _spans(length: int, scale: float) -> tuple[list[float], float]:
    """Where the tiles of one direction begin, and how long each is."""
    tile, overlap = TILE_PX / scale, TILE_OVERLAP_PX / scale
    count = max(1, math.ceil((length - overlap) / (tile - overlap) - 1e-6))
    each = (length + (count - 1) * overlap) / count
    return [index * (each - overlap) for index in range(count)], each


def _is_cut(box: Box, tile: Box, picture: Picture) -> bool:
    """Whether the box touches an edge of the tile that is none of the picture."""
    slack = 0.05 * max(box[2:])
    left, top, right, bottom = tile[0], tile[1], tile[0] + tile[2], tile[1] + tile[3]
    return (
        (left > 0 and box[0] - slack <= left)
        or (top > 0 and box[1] - slack <= top)
        or (right < picture.width - 1 and box[0] + box[2] + slack >= right)
        or (bottom < picture.height - 1 and box[1] + box[3] + slack >= bottom)
    )


def _is_expected(seen: Detection, expected: Sequence[Box]) -> bool:
    return any(closeness(seen.box, box) > 1 for box in expected)


def _is_same(a: Box, b: Box) -> bool:
    return iou(a, b) >= SAME_IOU or shared(a, b) >= SAME_INSIDE * min(area(a), area(b))


def _inside(box: Box, picture: Picture) -> bool:
    x, y = centre(box)
    return 0 <= x < picture.width and 0 <= y < picture.height


def _cut(picture: Picture, box: Box) -> tuple[Pixels, Box]:
    """The surroundings of `box` at the size for a closer look, and what they show of the picture."""
    side = max(box[2:])
    x, y = centre(box)
    reach = side * (0.5 + CLOSE_MARGIN)
    return picture.part((x - reach, y - reach, 2 * reach, 2 * reach), min(MAX_ENLARGED, CLOSE_PX / side))


def _in_cell(
    faces: Sequence[Detection], box: Box, cell: tuple[Pixels, Box], place: tuple[int, int]
) -> Detection | None:
    """The one of the mosaic's `faces` that is the face in `box`, in the picture's pixels."""
    pixels, shown = cell
    across, down = shown[2] / pixels.shape[1], shown[3] / pixels.shape[0]
    here = [
        each.moved(-place[0], -place[1]).scaled(across, down).moved(shown[0], shown[1])
        for each in faces
        if _holds(pixels, place, centre(each.box))
    ]
    return max(here, key=lambda each: closeness(box, each.box), default=None)


def _holds(pixels: Pixels, place: tuple[int, int], point: tuple[float, float]) -> bool:
    height, width = pixels.shape[:2]
    return bool(0 <= point[0] - place[0] < width and 0 <= point[1] - place[1] < height)


def _checked(find: Detection, look: Detection | None) -> Detection:
    """A find after its closer look: sure when that is, or when both together are; else one that begins no track."""
    if look is None or closeness(find.box, look.box) <= 1:
        return replace(find, confidence=min(find.confidence, DOUBTFUL))
    return replace(look, confidence=max(look.confidence, (find.confidence + look.confidence) / 2))


def _long_side(picture: Picture) -> int:
    return max(picture.width, picture.height)
