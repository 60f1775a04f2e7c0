"""A clock in the pixels: milliseconds as a row of black and white blocks, drawn into a picture and read back.

The browser's reader is `READ_CLOCK_SCRIPT` in `browser`; both follow the layout here. Times are Unix milliseconds
modulo 2**16: 65 seconds, far more than any latency.
"""

from __future__ import annotations

import time

import av
import numpy as np
from numpy.typing import NDArray

BLOCK = 32  # pixels; four VP8 macroblocks each, so that no bit shares one with its neighbour
TIME_BITS = 16
CHECK_BITS = 4
BITS = TIME_BITS + CHECK_BITS
WIDTH, HEIGHT = BITS * BLOCK, BLOCK
MODULUS = 1 << TIME_BITS
BLACK, WHITE, GREY = 16, 235, 128

Plane = NDArray[np.uint8]


def unix_ms() -> int:
    """Now, as browsers' `Date.now()` has it."""
    return time.time_ns() // 1_000_000


def draw(frame: av.VideoFrame, now_ms: int) -> None:
    """Draw `now_ms` into the top left corner of a yuv420p picture that nobody else uses."""
    luma, *chroma = (plane_of(frame, index) for index in range(3))
    bits = np.array([encode(now_ms) >> place & 1 for place in reversed(range(BITS))], np.uint8)
    luma[:HEIGHT, :WIDTH] = np.where(np.repeat(bits, BLOCK), WHITE, BLACK)
    for plane in chroma:
        plane[: HEIGHT // 2, : WIDTH // 2] = GREY


def read(frame: av.VideoFrame) -> int | None:
    """The milliseconds in a picture, modulo `MODULUS`; None when the check does not hold."""
    luma = plane_of(frame, 0)[:HEIGHT, :WIDTH].reshape(HEIGHT, BITS, BLOCK)
    inner = luma[BLOCK // 4 : -BLOCK // 4, :, BLOCK // 4 : -BLOCK // 4]
    code = 0
    for bit in inner.mean(axis=(0, 2)) > GREY:
        code = code << 1 | int(bit)
    value = code >> CHECK_BITS
    return value if encode(value) == code else None


def encode(now_ms: int) -> int:
    """The time's low bits, followed by the check: their four nibbles, combined so that black is not valid."""
    value = now_ms % MODULUS
    check = value ^ value >> 4 ^ value >> 8 ^ value >> 12 ^ 0b1010
    return value << CHECK_BITS | check & 0b1111


def plane_of(frame: av.VideoFrame, index: int) -> Plane:
    """A plane as a writable array of its visible pixels."""
    plane = frame.planes[index]
    # PyAV's stubs do not say that a plane is a writable buffer.
    rows: Plane = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
    return rows[: plane.height, : plane.width]


def copy(frame: av.VideoFrame) -> av.VideoFrame:
    """A yuv420p picture of its own: a decoder may still predict from the one it gave."""
    own = av.VideoFrame(frame.width, frame.height, "yuv420p")
    for index in range(3):
        plane_of(own, index)[:] = plane_of(frame, index)
    own.pts = frame.pts
    if frame.time_base is not None:
        own.time_base = frame.time_base
    return own
