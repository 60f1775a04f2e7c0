"""Hooks into sending: the publisher's reports tell when its pictures are taken."""

from __future__ import annotations

import time

from aiortc import RTCRtpSender, clock
from aiortc.mediastreams import VIDEO_CLOCK_RATE
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from aiortc.rtcrtpsender import RTCEncodedFrame
from aiortc.rtp import AnyRtcpPacket, RtcpSrPacket


class CaptureReports:
    """Makes the sender reports name the RTP timestamp that a picture taken at this moment would have.

    aiortc/rtcrtpsender.py _run_rtp has them say that a picture's RTP timestamp belongs to the moment its last packet
    left: encoding and sending would look like no delay. A source's timestamps are the monotonic clock's, 90,000 a
    second (`feeds`), and RTP's begin at a random one; so the present moment has one too (RFC 3550 section 6.4.1).
    """

    def __init__(self, sender: RTCRtpSender) -> None:
        self._sender = sender
        self._stock_next = sender._next_encoded_frame
        self._stock_send = sender._send_rtcp
        self._sent: RTCEncodedFrame | None = None
        self._origin: int | None = None
        sender._next_encoded_frame = self._next_encoded_frame  # type: ignore[method-assign]
        sender._send_rtcp = self._send_rtcp  # type: ignore[method-assign]

    async def _next_encoded_frame(self, codec: RTCRtpCodecParameters) -> RTCEncodedFrame | None:
        if self._sent is not None:  # _run_rtp has sent it wholly, and kept its RTP timestamp
            rtp_timestamp = vars(self._sender)["_RTCRtpSender__rtp_timestamp"]
            self._origin = rtp_timestamp - self._sent.timestamp
        frame = await self._stock_next(codec)
        self._sent = frame or self._sent
        return frame

    async def _send_rtcp(self, packets: list[AnyRtcpPacket]) -> None:
        for packet in packets:
            if isinstance(packet, RtcpSrPacket) and self._origin is not None:
                now = clock.current_ntp_time()
                packet.sender_info.ntp_timestamp = now
                ticks = round(time.monotonic() * VIDEO_CLOCK_RATE)
                packet.sender_info.rtp_timestamp = (self._origin + ticks) & 0xFFFFFFFF
                # _run_rtcp has kept the moment it replaced, to know the answer by.
                vars(self._sender)["_RTCRtpSender__lsr"] = now >> 16 & 0xFFFFFFFF
        await self._stock_send(packets)
