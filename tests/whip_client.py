"""WHIP and WHEP over raw HTTP: what a client of RFC 9725 does, step by step, with a real peer."""

from __future__ import annotations

from aiortc import RTCSessionDescription
from aiortc.mediastreams import MediaStreamTrack
from httpx import AsyncClient, Response

from .peers import Counter, new_peer

SDP = {"Content-Type": "application/sdp"}
FRAGMENT = {"Content-Type": "application/trickle-ice-sdpfrag"}


class WhipClient:
    """A publisher (with a track) or a viewer (without), through `/whip/ID` or `/whep/ID`."""

    def __init__(self, http: AsyncClient, endpoint: str, token: str, track: MediaStreamTrack | None = None) -> None:
        self.peer = new_peer()
        self.endpoint = endpoint
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.session = self.etag = ""
        self.received: Counter | None = None
        self._http = http
        if track is not None:
            self._transceiver = self.peer.addTransceiver(track, "sendonly")
        else:
            self._transceiver = self.peer.addTransceiver("video", "recvonly")

    async def offer(self) -> str:
        """The peer's offer, without and then with its candidates as they are."""
        await self.peer.setLocalDescription(await self.peer.createOffer())
        return str(self.peer.localDescription.sdp)

    async def post(self, offer: str | bytes, **headers: str) -> Response:
        """Send anything as the offer."""
        content = offer.encode() if isinstance(offer, str) else offer
        return await self._http.post(self.endpoint, content=content, headers={**self.headers, **SDP, **headers})

    async def open(self) -> Response:
        """Offer, take the answer."""
        return await self.take(await self.post(await self.offer()))

    async def take(self, response: Response) -> Response:
        """Go on with a 201."""
        assert response.status_code == 201, response.text
        self.session, self.etag = response.headers["Location"], response.headers["ETag"]
        await self.peer.setRemoteDescription(RTCSessionDescription(response.text, "answer"))
        if self.peer.getTransceivers()[0].direction == "recvonly":
            self.received = Counter(self._transceiver.receiver.track)
        return response

    async def patch(self, fragment: str, **headers: str) -> Response:
        """Send a fragment to the session; `If_Match` is written with an underscore."""
        extra = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self._http.patch(
            self.session, content=fragment.encode(), headers={**self.headers, **FRAGMENT, **extra}
        )

    async def delete(self, **headers: str) -> Response:
        """End the session."""
        extra = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self._http.delete(self.session, headers={**self.headers, **extra})

    async def close(self) -> None:
        """Close the peer only; the session is the server's to find out."""
        await self.peer.close()
        if self.received is not None:
            await self.received.task
