"""Puts a publisher's packets together to frames, hands on each at once, and none that cannot be decoded."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator

from aiortc.jitterbuffer import JitterBuffer, JitterFrame
from aiortc.rtp import RtpPacket

# Twice upstream's (aiortc/rtcrtpreceiver.py RTCRtpReceiver.__init__): a second of 10 Mbit/s; a power of 2.
JITTER_PACKETS = 1024
# An encoder that refreshes its picture bit by bit sends no keyframe at all.
KEYFRAME_PATIENCE_S = 3.0
COMPLETED_KEPT = 64  # frames whose arrival is remembered: two seconds of them


class PromptJitterBuffer(JitterBuffer):
    """Trap 1: releases a frame with its last packet, not with the first packet of the next one.

    aiortc/jitterbuffer.py _remove_frame waits for a new timestamp, one frame interval; the RTP marker bit says the
    same at once (RFC 7741 section 4.1 for VP8, RFC 6184 section 5.1 for H.264). It also hands on every frame that a
    late packet completes, where upstream returns one and leaves the others to wait for later packets.

    Once a frame has been lost, those after it would only show smears: it waits for a keyframe, and so it does when it
    has been told to `give_up` on a hole. It goes on with the first complete keyframe, whatever is missing before it.
    `is_keyframe` is asked of a frame's first packet. `completed` has each frame's RTP timestamp and the moment it was
    complete.
    """

    def __init__(
        self,
        capacity: int,
        on_extra_frame: Callable[[JitterFrame, RtpPacket], None],
        is_keyframe: Callable[[RtpPacket], bool],
    ) -> None:
        super().__init__(capacity=capacity, is_video=True)
        self._on_extra_frame = on_extra_frame
        self._is_keyframe = is_keyframe
        self._giving_up = False
        self._incomplete_since: float | None = None
        self.media_ssrc: int | None = None
        self.passed_over = 0
        self.completed: deque[tuple[int, float]] = deque(maxlen=COMPLETED_KEPT)

    @property
    def origin(self) -> int | None:
        """The number of the first packet that has not been handed on."""
        return self._origin

    @property
    def waits_for_keyframe(self) -> bool:
        """Whether nothing but a keyframe will do."""
        return self._incomplete_since is not None or self._giving_up

    def need_keyframe(self) -> None:
        """Hand nothing on before the next keyframe: what the decoder has is damaged."""
        if self._incomplete_since is None:
            self._incomplete_since = time.monotonic()

    def give_up(self) -> None:
        """Wait no longer for what is missing: go on with the next keyframe, if it comes before the missing packets."""
        self._giving_up = True

    def add(self, packet: RtpPacket) -> tuple[bool, JitterFrame | None]:
        """Take a packet; the newest frame to decode. Asking for pictures is left to `UplinkRepair`: False, always."""
        self.media_ssrc = packet.ssrc
        loses_frames, newest = super().add(packet)
        if loses_frames:
            self.need_keyframe()
        if newest is None and self.waits_for_keyframe and self._skip_to_keyframe():
            newest = self._remove_frame(packet.sequence_number)
        while newest is not None:
            following = self._remove_frame(packet.sequence_number)
            if following is None:
                break
            self._on_extra_frame(newest, packet)
            newest = following
        return False, newest

    def _remove_frame(self, sequence_number: int) -> JitterFrame | None:  # noqa: ARG002 - upstream's signature
        """The next frame to decode, if it is complete."""
        while (packets := self._next_complete()) is not None:
            self.remove(len(packets))
            self._giving_up = False  # there is no hole any more, or it is further on
            if self._may_decode(packets[0]):
                self.completed.append((packets[0].timestamp, time.monotonic()))
                # RTCRtpReceiver._handle_rtp_packet hangs the depayloaded bytes on each packet as _data.
                data = b"".join(getattr(each, "_data") for each in packets)  # noqa: B009
                return JitterFrame(data=data, timestamp=packets[0].timestamp)
            self.passed_over += 1
        return None

    def _next_complete(self) -> list[RtpPacket] | None:
        packets: list[RtpPacket] = []
        for packet in self._from_origin():
            if packet is None:
                return None
            if packets and packet.timestamp != packets[0].timestamp:
                return packets  # a sender without marker bits
            packets.append(packet)
            if packet.marker:
                return packets
        return None

    def _may_decode(self, first: RtpPacket) -> bool:
        since = self._incomplete_since
        if since is None:
            return True
        if not self._is_keyframe(first) and time.monotonic() - since < KEYFRAME_PATIENCE_S:
            return False
        self._incomplete_since = None
        return True

    def _skip_to_keyframe(self) -> bool:
        """Throw away what is before the first complete keyframe; False when there is none."""
        start: int | None = None
        for count, packet in enumerate(self._from_origin()):
            if packet is None:
                start = None
            elif start is None and self._is_keyframe(packet):
                start = count
            if packet is not None and packet.marker and start is not None:
                self.remove(start)
                self.need_keyframe()
                return True
        return False

    def _from_origin(self) -> Iterator[RtpPacket | None]:
        assert self._origin is not None  # noqa: S101 - upstream's add() has set it
        for count in range(self._capacity):
            yield self._packets[(self._origin + count) % self._capacity]


def begins_keyframe(codec: str, data: bytes) -> bool:
    """Whether the depayloaded first packet of a frame belongs to a keyframe; True for codecs unknown here.

    VP8: RFC 6386 section 9.1, frame tag and start code. H.264: its parameter sets come first (7), or the picture itself
    is an IDR (5), ITU-T H.264 table 7-1, in the byte stream that aiortc/codecs/h264.py makes of the payloads.
    """
    if codec == "VP8":
        return len(data) > 5 and not data[0] & 1 and data[3:6] == b"\x9d\x01\x2a"
    if codec == "H264":
        start = data.find(b"\x00\x00\x01")
        # An access unit delimiter (9) or SEI (6) may stand before.
        while 0 <= start < len(data) - 3 and (kind := data[start + 3] & 0x1F) in (6, 9):
            start = data.find(b"\x00\x00\x01", start + 3)
        return 0 <= start < len(data) - 3 and kind in (5, 7)
    return True
