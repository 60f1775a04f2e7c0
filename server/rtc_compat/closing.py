"""Closing a peer connection, whatever state it is in."""

from __future__ import annotations

import asyncio
import logging

from aiortc import RTCDtlsTransport, RTCIceTransport, RTCPeerConnection, RTCRtpReceiver, RTCRtpSender

STOP_PART_S = 0.5

logger = logging.getLogger("surveillx.rtc")

_closing: set[asyncio.Task[None]] = set()


async def close_peer(peer: RTCPeerConnection, timeout_s: float) -> None:
    """Trap 23: close a peer connection without ever hanging or raising.

    aiortc/rtcpeerconnection.py close() may raise half-way, after which a second call waits for ever. It gets
    `timeout_s`; what it leaves open is then closed part by part.
    """
    peer.remove_all_listeners()
    closing = asyncio.create_task(peer.close(), name="surveillx-close-peer")
    _closing.add(closing)  # if we are cancelled ourselves, the close goes on
    closing.add_done_callback(_closing.discard)
    done, _ = await asyncio.wait({closing}, timeout=timeout_s)
    if done and not closing.cancelled() and closing.exception() is None:
        return
    reason = closing.exception() if done and not closing.cancelled() else "timed out"
    logger.warning("a peer connection did not close by itself (%s); its parts are closed one by one", reason)
    closing.cancel()
    for transceiver in peer.getTransceivers():
        dtls = transceiver.receiver.transport
        for part in (transceiver.sender, transceiver.receiver, dtls, dtls.transport):
            await _stop(part)


async def _stop(part: RTCRtpSender | RTCRtpReceiver | RTCDtlsTransport | RTCIceTransport) -> None:
    try:
        async with asyncio.timeout(STOP_PART_S):
            await part.stop()
    except Exception:  # the other parts must be freed whatever is wrong with this one
        logger.debug("%s did not stop", type(part).__name__, exc_info=True)
