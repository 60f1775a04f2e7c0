"""Hooks into receiving: a publisher's frames come at once, and lost packets cost little."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from aiortc import RTCRtpReceiver, rtcrtpreceiver
from aiortc.jitterbuffer import JitterBuffer, JitterFrame
from aiortc.rtp import RtpPacket
from aiortc.utils import uint16_add, uint16_gt

from .private import private

VIDEO_JITTER_PACKETS = 512  # as upstream, aiortc/rtcrtpreceiver.py RTCRtpReceiver.__init__
REPAIR_INTERVAL_S = 0.075
STUCK_AFTER_S = 0.6
MAX_NACKS = 256


class PromptJitterBuffer(JitterBuffer):
    """Trap 1: releases a frame with its last packet, not with the first packet of the next one.

    aiortc/jitterbuffer.py _remove_frame waits for a new timestamp, one frame interval; the RTP marker bit says the
    same at once (RFC 7741 section 4.1 for VP8, RFC 6184 section 5.1 for H.264). It also hands on every frame that a
    late packet completes, where upstream returns one and leaves the others to wait for later packets.
    """

    def __init__(self, capacity: int, on_extra_frame: Callable[[JitterFrame, RtpPacket], None]) -> None:
        super().__init__(capacity=capacity, is_video=True)
        self._on_extra_frame = on_extra_frame
        self._awaiting_start = False
        self.media_ssrc: int | None = None
        self.last_packet_at = 0.0
        self.last_frame_at = 0.0

    def add(self, packet: RtpPacket) -> tuple[bool, JitterFrame | None]:
        """Take a packet; return whether a picture must be asked for, and the newest complete frame."""
        self.media_ssrc = packet.ssrc
        self.last_packet_at = time.monotonic()
        self.last_frame_at = self.last_frame_at or self.last_packet_at
        if self._awaiting_start:
            # After a reset the stream is entered in the middle: a frame begins after the next marker.
            if packet.marker:
                self._awaiting_start = False
                self._origin = uint16_add(packet.sequence_number, 1)
            return False, None
        asks_for_picture, newest = super().add(packet)
        while newest is not None:
            self.last_frame_at = self.last_packet_at
            following = self._remove_frame(packet.sequence_number)
            if following is None:
                break
            self._on_extra_frame(newest, packet)
            newest = following
        return asks_for_picture, newest

    def _remove_frame(self, sequence_number: int) -> JitterFrame | None:  # noqa: ARG002 - upstream's signature
        packets: list[RtpPacket] = []
        assert self._origin is not None  # noqa: S101 - upstream's add() has set it
        for count in range(self._capacity):
            packet = self._packets[(self._origin + count) % self._capacity]
            if packet is None:
                return None
            if packets and packet.timestamp != packets[0].timestamp:
                return self._release(packets)  # a sender without marker bits
            packets.append(packet)
            if packet.marker:
                return self._release(packets)
        return None

    def _release(self, packets: list[RtpPacket]) -> JitterFrame:
        self.remove(len(packets))
        # RTCRtpReceiver._handle_rtp_packet hangs the depayloaded bytes on each packet as _data.
        data = b"".join(getattr(each, "_data") for each in packets)  # noqa: B009
        return JitterFrame(data=data, timestamp=packets[0].timestamp)

    def reset(self) -> None:
        """Give up on everything held and begin with the next frame."""
        self._packets = [None] * self._capacity
        self._origin = None
        self._awaiting_start = True


class UplinkRepair:
    """Trap 8: asks again for packets that are still missing, and gives up on a frame that never completes.

    aiortc/rtcrtpreceiver.py sends a NACK only when a packet reveals a new gap, and a hole blocks its jitter buffer
    until 512 packets have queued: one packet lost with its retransmission froze the picture for 6 s.
    """

    def __init__(self, receiver: RTCRtpReceiver) -> None:
        self._receiver = receiver
        self._nacks: rtcrtpreceiver.NackGenerator = private(receiver, "nack_generator")
        self._buffer = PromptJitterBuffer(VIDEO_JITTER_PACKETS, self._decode)
        receiver._RTCRtpReceiver__jitter_buffer = self._buffer  # type: ignore[attr-defined]
        self.resets = 0

    @property
    def undecoded(self) -> int:
        """How many pictures wait for the decoder: rtcrtpreceiver.py, the queue that its thread reads."""
        return int(private(self._receiver, "decoder_queue").qsize())

    def _decode(self, frame: JitterFrame, packet: RtpPacket) -> None:
        # What RTCRtpReceiver._handle_rtp_packet does with the one frame it is given.
        frame.timestamp = private(self._receiver, "timestamp_mapper").map(frame.timestamp)
        codec = private(self._receiver, "codecs")[packet.payload_type]
        private(self._receiver, "decoder_queue").put((codec, frame))

    async def run(self) -> None:
        """Repair until cancelled."""
        while True:
            await asyncio.sleep(REPAIR_INTERVAL_S)
            await self.step(time.monotonic())

    async def step(self, now: float) -> None:
        """One round at the monotonic time `now`."""
        buffer = self._buffer
        if buffer.media_ssrc is None:
            return
        self._forget_passed()
        receiving = now - buffer.last_packet_at < STUCK_AFTER_S
        if receiving and now - buffer.last_frame_at > STUCK_AFTER_S:
            self.resets += 1
            buffer.reset()
            buffer.last_frame_at = now  # the next attempt is as long away
            self._nacks.missing.clear()
            await self._receiver._send_rtcp_pli(buffer.media_ssrc)
        elif self._nacks.missing:
            await self._receiver._send_rtcp_nack(buffer.media_ssrc, sorted(self._nacks.missing)[:MAX_NACKS])

    def _forget_passed(self) -> None:
        origin = self._buffer._origin
        if origin is not None:
            self._nacks.missing.difference_update([each for each in self._nacks.missing if uint16_gt(origin, each)])

    async def ask_for_picture(self) -> None:
        """Send a picture loss indication (RFC 4585 section 6.3.1), if anything has been received yet."""
        if self._buffer.media_ssrc is not None:
            await self._receiver._send_rtcp_pli(self._buffer.media_ssrc)
