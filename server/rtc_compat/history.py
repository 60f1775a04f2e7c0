"""What a retransmission needs: the pictures sent lately, an entry for each instead of one for each packet."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterator, Sequence
from typing import NamedTuple

# Upstream keeps 128 packets (aiortc/rtp.py RTP_HISTORY_SIZE): one keyframe can fill that.
RTP_HISTORY_PACKETS = 1024

_NUMBERS = 1 << 16


class Sent(NamedTuple):
    """One packet as it was sent; the payload is shared with all viewers."""

    sequence_number: int
    timestamp: int
    is_last: bool
    payload: bytes


class _SentPicture(NamedTuple):
    first: int  # its first packet's place in the whole session; its sequence number is that modulo 2**16
    timestamp: int
    payloads: Sequence[bytes]


class History:
    """The newest pictures, at most `RTP_HISTORY_PACKETS` packets (or one picture that is larger)."""

    def __init__(self) -> None:
        self._pictures: deque[_SentPicture] = deque()
        self._packets = 0

    def __len__(self) -> int:
        return self._packets

    def add(self, first: int, timestamp: int, payloads: Sequence[bytes]) -> None:
        """Keep a picture whose packets are numbered from `first` on; never modulo 2**16, so that order is order."""
        self._pictures.append(_SentPicture(first, timestamp, payloads))
        self._packets += len(payloads)
        while self._packets > RTP_HISTORY_PACKETS and len(self._pictures) > 1:
            self._packets -= len(self._pictures.popleft().payloads)

    def find(self, sequence_number: int) -> Sent | None:
        """The packet last sent under this number, if it is still kept."""
        if not self._pictures:
            return None
        newest = self._pictures[-1]
        end = newest.first + len(newest.payloads)
        number = end - _NUMBERS + (sequence_number - end) % _NUMBERS
        place = bisect_right(self._pictures, number, key=_first)
        return _packet(self._pictures[place - 1], number) if place else None

    def newest_first(self) -> Iterator[Sent]:
        """All packets, the one sent last first."""
        for picture in reversed(self._pictures):
            for index in reversed(range(len(picture.payloads))):
                yield _at(picture, index)


def _first(picture: _SentPicture) -> int:
    return picture.first


def _packet(picture: _SentPicture, number: int) -> Sent | None:
    index = number - picture.first
    return _at(picture, index) if index < len(picture.payloads) else None


def _at(picture: _SentPicture, index: int) -> Sent:
    is_last = index == len(picture.payloads) - 1
    return Sent((picture.first + index) % _NUMBERS, picture.timestamp, is_last, picture.payloads[index])
