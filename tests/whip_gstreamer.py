"""GStreamer's webrtcbin as WHIP publisher or WHEP viewer, run by the system's Python, which has its bindings.

`python3 whip_gstreamer.py publish URL TOKEN VP8|H264` or `... watch URL TOKEN`: goes on until it is killed, for a
minute at most. The viewer prints how many pictures it has decoded, a line each.
"""

from __future__ import annotations

import sys
import urllib.request
from typing import Any

import gi  # type: ignore[import-not-found]

gi.require_version("Gst", "1.0")
gi.require_version("GstWebRTC", "1.0")
gi.require_version("GstSdp", "1.0")
from gi.repository import GLib, Gst, GstSdp, GstWebRTC  # type: ignore[import-not-found] # noqa: E402 - versions first

SECONDS = 60
SOURCE = "videotestsrc is-live=true pattern=ball ! video/x-raw,width=640,height=360,framerate=15/1 ! "
RTP = "application/x-rtp,media=video,clock-rate=90000,payload=96"
SEND = {
    "VP8": f"vp8enc deadline=1 keyframe-max-dist=30 ! rtpvp8pay ! {RTP},encoding-name=VP8 ! ",
    # As OBS encodes by default: profile high, no B-frames.
    "H264": "x264enc tune=zerolatency key-int-max=30 ! video/x-h264,profile=high ! "
    f"rtph264pay config-interval=-1 aggregate-mode=zero-latency ! {RTP},encoding-name=H264 ! ",
}
DECODE = "rtpvp8depay ! vp8dec ! fakesink name=screen sync=false"
WEBRTC = "webrtcbin name=peer bundle-policy=max-bundle"


class Peer:
    """One webrtcbin, which offers with all its candidates and takes the answer."""

    def __init__(self, url: str, token: str, description: str) -> None:
        self._url = url
        self._token = token
        self.pipeline = Gst.Pipeline.new()
        self.pipeline.add(Gst.parse_bin_from_description(description, False))
        self.webrtc = self.pipeline.get_by_name("peer")
        # By itself it leaves loopback out. Kept: webrtcbin's own reference is a floating one, which the binding takes.
        self._ice = self.webrtc.get_property("ice-agent")
        self._ice.emit("add-local-ip-address", "127.0.0.1")
        self.webrtc.connect("notify::ice-gathering-state", self._gathered)

    def offer(self, *_signal: Any) -> None:
        """Make an offer; candidates are gathered from here on."""
        promise = Gst.Promise.new_with_change_func(self._offered)
        self.webrtc.emit("create-offer", None, promise)

    def _offered(self, promise: Any) -> None:
        reply = promise.get_reply()  # kept: the offer is freed with it
        offer = reply.get_value("offer")
        self.webrtc.emit("set-local-description", offer, Gst.Promise.new())

    def _gathered(self, *_signal: Any) -> None:
        if self.webrtc.get_property("ice-gathering-state") == GstWebRTC.WebRTCICEGatheringState.COMPLETE:
            GLib.idle_add(self._exchange)

    def _exchange(self) -> bool:
        offer = self.webrtc.get_property("local-description").sdp.as_text()
        headers = {"Content-Type": "application/sdp", "Authorization": f"Bearer {self._token}"}
        request = urllib.request.Request(self._url, offer.encode(), headers)
        with urllib.request.urlopen(request, timeout=10) as response:
            answer = response.read().decode()
        _, sdp = GstSdp.SDPMessage.new_from_text(answer)
        description = GstWebRTC.WebRTCSessionDescription.new(GstWebRTC.WebRTCSDPType.ANSWER, sdp)
        self.webrtc.emit("set-remote-description", description, Gst.Promise.new())
        return False


def publish(url: str, token: str, codec: str) -> Peer:
    peer = Peer(url, token, SOURCE + SEND[codec] + WEBRTC)
    peer.webrtc.connect("on-negotiation-needed", peer.offer)
    return peer


def watch(url: str, token: str) -> Peer:
    peer = Peer(url, token, WEBRTC)
    caps = Gst.Caps.from_string(f"{RTP},encoding-name=VP8")
    peer.webrtc.emit("add-transceiver", GstWebRTC.WebRTCRTPTransceiverDirection.RECVONLY, caps)
    peer.webrtc.connect("pad-added", shown)
    peer.webrtc.connect("on-negotiation-needed", peer.offer)
    return peer


def shown(webrtc: Any, pad: Any) -> None:
    """The picture arrives: decode it, and count."""
    decoder = Gst.parse_bin_from_description(DECODE, True)
    count = 0

    def counted(*_probe: Any) -> Any:
        nonlocal count
        count += 1
        print(count, flush=True)
        return Gst.PadProbeReturn.OK

    screen = decoder.get_by_name("screen")
    screen.get_static_pad("sink").add_probe(Gst.PadProbeType.BUFFER, counted)
    webrtc.get_parent().add(decoder)
    pad.link(decoder.get_static_pad("sink"))
    decoder.sync_state_with_parent()


def main(what: str, *arguments: str) -> None:
    Gst.init(None)
    peer = publish(*arguments) if what == "publish" else watch(*arguments)
    peer.pipeline.set_state(Gst.State.PLAYING)
    loop = GLib.MainLoop()
    GLib.timeout_add_seconds(SECONDS, loop.quit)
    loop.run()
    peer.pipeline.set_state(Gst.State.NULL)


if __name__ == "__main__":
    main(*sys.argv[1:])
