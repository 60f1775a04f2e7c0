"""Camera to browser with no server between: only the offer and the answer pass through here.

The camera posts its offer as it would to the server; the page fetches it, answers, and the camera gets that answer.
`python -m server.bench.direct`
"""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import FastAPI
from fastapi.responses import HTMLResponse

from .listen import listen

PAGE = """<!doctype html><title>Direct</title><video autoplay muted playsinline></video><script type="module">
const peer = new RTCPeerConnection();
peer.ontrack = ({track}) => { document.querySelector("video").srcObject = new MediaStream([track]); };
await peer.setRemoteDescription(await (await fetch("/offer")).json());
await peer.setLocalDescription();
while (peer.iceGatheringState !== "complete")
  await new Promise((done) => peer.addEventListener("icegatheringstatechange", done, {once: true}));
await fetch("/answer", {method: "POST", body: JSON.stringify(peer.localDescription),
  headers: {"Content-Type": "application/json"}});
</script>"""


class Meeting:
    """Brings one camera's offer to one page, and the page's answer back."""

    def __init__(self) -> None:
        self._offers: asyncio.Queue[dict[str, Any]] = asyncio.Queue(1)
        self._answers: asyncio.Queue[dict[str, Any]] = asyncio.Queue(1)

    async def camera(self, offer: dict[str, Any]) -> dict[str, Any]:
        """The camera's offer in, the page's answer out."""
        await self._offers.put({"sdp": offer["sdp"], "type": "offer"})
        answer = await self._answers.get()
        return answer | {"session_id": "direct"}

    async def offer(self) -> dict[str, Any]:
        """The camera's offer, for the page; waits for it."""
        return await self._offers.get()

    async def answer(self, answer: dict[str, Any]) -> None:
        """The page's answer."""
        await self._answers.put(answer)


def create_app() -> FastAPI:
    """The routes of one meeting."""
    meeting, app = Meeting(), FastAPI()
    app.add_api_route("/webrtc/streamer", meeting.camera, methods=["POST"])
    app.add_api_route("/offer", meeting.offer, methods=["GET"])
    app.add_api_route("/answer", meeting.answer, methods=["POST"])
    app.add_api_route("/", lambda: PAGE, methods=["GET"], response_class=HTMLResponse)
    return app


if __name__ == "__main__":
    listen(create_app())
