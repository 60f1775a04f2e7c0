"""Hooks into receiving: a publisher's frames come at once, and lost packets cost little."""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from aiortc import RTCRtpReceiver
from aiortc.jitterbuffer import JitterFrame
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from aiortc.rtp import RtpPacket

from .estimate import SteadyEstimator
from .jitter import JITTER_PACKETS, PromptJitterBuffer, begins_keyframe
from .missing import MissingPackets
from .private import private, set_private

REPAIR_INTERVAL_S = 0.02
# A packet missing for longer will hardly come: on a line that loses one in ten and has a round trip of 50 ms, one
# request in five fails, and four have by then.
GIVE_UP_S = 0.3
# Requests for a keyframe: the first may be lost, but each that is not costs the line a whole picture.
ASK_AGAIN_S = (0.3, 0.6, 1.2, 2.0)
MAX_NACKS = 256
# Pictures that wait for the decoder, two thirds of a second of them: it will not catch up by itself.
MOST_UNDECODED = 20


class UplinkRepair:
    """Trap 8: asks again for packets that are still missing, and gives up on a frame that never completes.

    aiortc/rtcrtpreceiver.py sends a NACK only when a packet reveals a new gap, and a hole blocks its jitter buffer
    until 512 packets have queued: one packet lost with its retransmission froze the picture for 6 s. A picture loss
    indication it sends once, and one more for every frame that cannot be decoded.
    """

    def __init__(self, receiver: RTCRtpReceiver) -> None:
        self._receiver = receiver
        estimator = SteadyEstimator()
        self._missing = MissingPackets(JITTER_PACKETS, lambda: estimator.queue.waiting_ms / 1000)
        self._buffer = PromptJitterBuffer(JITTER_PACKETS, self._decode, self._is_keyframe)
        loop = asyncio.get_running_loop()
        set_private(
            receiver,
            jitter_buffer=self._buffer,
            nack_generator=self._missing,
            remote_bitrate_estimator=estimator,
            decoder_error=_DecoderError(lambda: loop.call_soon_threadsafe(self._buffer.need_keyframe)),
        )
        self._asked_at = 0.0
        self._asked = 0
        self.given_up = 0

    @property
    def undecoded(self) -> int:
        """How many pictures wait for the decoder: rtcrtpreceiver.py, the queue that its thread reads."""
        return int(private(self._receiver, "decoder_queue").qsize())

    async def run(self) -> None:
        """Repair until cancelled."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(REPAIR_INTERVAL_S):
                    await self._missing.found.wait()
            await self.step(time.monotonic())

    async def step(self, now: float) -> None:
        """One round at the monotonic time `now`."""
        buffer, missing = self._buffer, self._missing
        if buffer.media_ssrc is None or buffer.origin is None:
            return
        missing.forget_before(buffer.origin)
        if missing.oldest_s(now) > GIVE_UP_S and not buffer.waits_for_keyframe:
            self.given_up += 1
            buffer.give_up()
        if self.undecoded > MOST_UNDECODED:
            self._let_go()
        if due := missing.due(now, MAX_NACKS):
            await self._receiver._send_rtcp_nack(buffer.media_ssrc, sorted(due))
        if not buffer.waits_for_keyframe:
            self._asked = 0
        elif not self._asked or now - self._asked_at > ASK_AGAIN_S[min(self._asked, len(ASK_AGAIN_S)) - 1]:
            self._asked_at = now
            self._asked += 1
            await self.ask_for_picture()

    async def ask_for_picture(self) -> None:
        """Send a picture loss indication (RFC 4585 section 6.3.1), if anything has been received yet."""
        if self._buffer.media_ssrc is not None:
            await self._receiver._send_rtcp_pli(self._buffer.media_ssrc)

    def _decode(self, frame: JitterFrame, packet: RtpPacket) -> None:
        # What RTCRtpReceiver._handle_rtp_packet does with the one frame it is given.
        frame.timestamp = private(self._receiver, "timestamp_mapper").map(frame.timestamp)
        private(self._receiver, "decoder_queue").put((self._codec(packet), frame))

    def _let_go(self) -> None:
        """Decode nothing of what waits and go on with the next keyframe: the queue is unbounded, delay must not be."""
        waiting = private(self._receiver, "decoder_queue")
        with suppress(queue.Empty):
            while (task := waiting.get_nowait()) is not None:
                del task
            waiting.put(None)  # it asks the decoder's thread to end
        self.given_up += 1
        self._buffer.need_keyframe()

    def _is_keyframe(self, packet: RtpPacket) -> bool:
        return begins_keyframe(self._codec(packet).name, getattr(packet, "_data"))  # noqa: B009 - as in `jitter`

    def _codec(self, packet: RtpPacket) -> RTCRtpCodecParameters:
        codec: RTCRtpCodecParameters = private(self._receiver, "codecs")[packet.payload_type]
        return codec


class _DecoderError(threading.Event):
    """Stands where aiortc/rtcrtpreceiver.py decoder_worker reports a frame it could not decode; never set for upstream,
    which would ask for a keyframe with every frame until one arrives."""

    def __init__(self, report: Callable[[], object]) -> None:
        super().__init__()
        self._report = report

    def set(self) -> None:
        """Tell; called on the decoder's thread."""
        with suppress(RuntimeError):  # the loop has been closed
            self._report()
