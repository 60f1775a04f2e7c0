"""What a second of pictures tells of the delay."""

from __future__ import annotations

from server.events import Timing
from server.timing import Delays, Origin


def test_the_first_picture_tells_and_then_one_a_second() -> None:
    delays, told = Delays("1"), []
    for number in range(90):
        received_at = 100.0 + number / 30
        timing = delays.note((1 << 32) + number, Origin(received_at, received_at - 0.03), received_at + 0.012)
        told += [timing] if timing else []
    assert len(told) == 3
    first: Timing = told[0]
    assert first.rtp_timestamp == 0, "as it travels: modulo 2**32"
    assert (first.captured_at_ms, first.camera_ms, first.server_ms) == (99970.0, 30.0, 12.0)


def test_what_a_publisher_does_not_tell_is_not_made_up() -> None:
    timing = Delays("1").note(7, Origin(5.0), 5.02)
    assert timing == Timing("1", 7, None, None, 20.0)
