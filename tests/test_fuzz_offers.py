"""Ten thousand spoilt offers, at the gate and at every door of the running server (FAULTS 24, 25, 26).

`make test` sends the same few hundred each time, `make fuzz` other ones for as long as it is told.
"""

from __future__ import annotations

import json
import re
import time
from collections import Counter as Tally
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.errors import SurveillxError
from server.rtc_compat import clean_offer
from server.sdp import check_offer
from server.trickle import RemoteIce

from .live import Live, live
from .offers import OFFERS, Direction, spoilt_bytes, spoilt_offers
from .peers import Client, PatternTrack
from .wait import until

CODECS = ("video/VP8", "video/H264")
ANSWER_S = 10.0  # generous: the machine may be busy; a hang lasts for ever
REFUSALS = {400, 409, 413, 415, 422}


def bodies(direction: Direction) -> st.SearchStrategy[bytes]:
    """What comes over the line: mostly text, sometimes anything."""
    texts = spoilt_offers(direction).map(lambda text: text.encode(errors="surrogatepass"))
    return texts | texts | spoilt_bytes(direction)


@st.composite
def offered(draw: st.DrawFn) -> tuple[Direction, str]:
    direction: Direction = draw(st.sampled_from(("view", "publish")))
    return direction, draw(spoilt_offers(direction))


@given(offered())
def test_the_gate_answers_every_offer_in_words_or_lets_it_pass(sent: tuple[Direction, str]) -> None:
    direction, offer = sent
    try:
        check_offer(offer, "receive" if direction == "view" else "send", CODECS)
    except SurveillxError as refused:
        require_words(refused)
        return
    cleaned = clean_offer(offer)
    assert ".local " not in "".join(line for line in cleaned.splitlines() if line.startswith("a=candidate:"))
    RemoteIce(offer)


def require_words(refused: SurveillxError) -> None:
    assert refused.status in REFUSALS
    assert refused.detail


@dataclass
class Siege:
    """A server with a camera and a viewer who must notice nothing, and what the attacks found so far."""

    server: Live
    watcher: Client
    sockets: int
    outcomes: Tally[str] = field(default_factory=Tally)
    slowest_s: float = 0.0

    async def attack(self, door: str, content: bytes, media_type: str) -> httpx.Response:
        """Send an offer, hold the answer against what is promised, and end a session that it opened."""
        self.server.parts.session_requests._buckets.clear()  # how often one may ask is not the question here
        begun = time.monotonic()
        response = await self.server.http.post(door, content=content, headers={"Content-Type": media_type})
        self.slowest_s = max(self.slowest_s, time.monotonic() - begun)
        self.outcomes[f"{door} {response.status_code}"] += 1
        if response.is_success:
            session = response.headers.get("Location") or f"/webrtc/sessions/{response.json()['session_id']}"
            assert (await self.server.http.delete(session)).is_success
        else:
            require_problem(response, content)
        return response

    async def require_calm(self) -> None:
        """Nothing of the attacks is left, and the watcher's picture goes on."""
        counts = self.server.parts.sessions.counts
        await until(lambda: counts() == {"publisher": 1, "viewer": 1}, what="no session is left over")
        await until(lambda: udp_sockets() <= self.sockets, what="no socket is left over")
        assert self.watcher.peer.connectionState == "connected"
        seen = self.watcher.received
        assert seen is not None
        wanted = seen.frames + 10
        await until(lambda: seen.frames >= wanted, what="the watcher's picture goes on")


def require_problem(response: httpx.Response, content: bytes) -> None:
    """A refusal in words, of the kinds that an offer can get, which repeats nothing of what was sent."""
    assert response.status_code in REFUSALS, (response.status_code, response.text)
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["detail"]
    assert "Traceback" not in response.text
    lines = {line.strip() for line in re.split(rb"[\r\n]+|\\r|\\n", content)}
    echoed = [line for line in lines if len(line) > 16 and line in response.content]
    assert not echoed


def udp_sockets() -> int:
    """How many this process holds: a peer has at least one."""
    return len(psutil.Process().net_connections("udp"))


@asynccontextmanager
async def besieged(data: Path) -> AsyncIterator[Siege]:
    async with live(data) as server, AsyncExitStack() as stack:
        publisher, watcher = Client(server.http), Client(server.http)
        for client in (publisher, watcher):
            stack.push_async_callback(client.close)
        await publisher.publish(PatternTrack())
        seen = await watcher.view()
        await until(lambda: seen.frames > 10, what="the watcher's picture")
        yield Siege(server, watcher, udp_sockets())


@pytest.fixture
async def siege(tmp_path: Path) -> AsyncIterator[Siege]:
    async with besieged(tmp_path) as running:
        yield running
        await running.require_calm()
        print(f"\n{running.outcomes.total()} offers, slowest answer {running.slowest_s * 1000:.0f} ms")
        print(*(f"{count:6} {outcome}" for outcome, count in sorted(running.outcomes.items())), sep="\n")
        assert running.slowest_s < ANSWER_S


@given(data=st.data())
async def test_spoilt_offers_at_every_door(siege: Siege, data: st.DataObject) -> None:
    direction: Direction = data.draw(st.sampled_from(("view", "publish")))
    offer = data.draw(bodies(direction))
    camera = "1" if direction == "view" else "2"  # the first one has its publisher
    if data.draw(st.booleans()):
        door = f"/{'whep' if direction == 'view' else 'whip'}/{camera}"
        await siege.attack(door, offer, "application/sdp")
    else:
        body = {"sdp": offer.decode(errors="surrogateescape"), "type": "offer", "camera_id": camera}
        door = f"/webrtc/{'viewer' if direction == 'view' else 'streamer'}"
        await siege.attack(door, json.dumps(body).encode(), "application/json")


@given(data=st.data())
async def test_spoilt_bodies(siege: Siege, data: st.DataObject) -> None:
    """Not the offer is wrong but what it comes in: JSON cut off or changed, other types, other content types."""
    good = json.dumps({"sdp": OFFERS["view"][0], "type": "offer", "camera_id": "1"}).encode()
    cut = st.integers(0, len(good)).map(lambda end: good[:end])
    other = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    )
    field_of = st.fixed_dictionaries({}, optional=dict.fromkeys(("sdp", "type", "camera_id", "rendition"), other))
    deep = st.integers(1, 30_000).flatmap(
        lambda depth: st.sampled_from((b"[", b'{"sdp":')).map(lambda one: one * depth)
    )
    body = data.draw(cut | (other | field_of).map(lambda each: json.dumps(each).encode()) | deep | st.binary())
    kind = data.draw(
        st.sampled_from(("application/json", "application/json", "application/sdp", "text/plain", "", ";"))
    )
    door = data.draw(st.sampled_from(("/webrtc/viewer", "/webrtc/streamer", "/whep/1", "/whip/2")))
    await siege.attack(door, body[:65_536], kind)


def viewer_offer(change: str = "") -> str:
    return OFFERS["view"][0] + change


CANDIDATE = "a=candidate:{0} 1 udp 1 10.{1}.{2}.{3} 9 typ host\r\n"
CANDIDATE_MDNS = "a=candidate:1 1 udp 1 4c1f6e0a-1b2c-4d3e-8f90-123456789abc.local 9 typ host\r\n"
MANY_CANDIDATES = "".join(CANDIDATE.format(n, n >> 16, n >> 8 & 255, n & 255) for n in range(5_000))
MANY_SECTIONS = "".join(f"m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:{number}\r\n" for number in range(1_000))


TOO_MUCH = {
    "5,000 candidates": (viewer_offer(MANY_CANDIDATES), {413}),
    "900 candidates": (viewer_offer(MANY_CANDIDATES[:40_000]), {400}),
    "1,000 sections": (viewer_offer(MANY_SECTIONS), {400, 422}),
    "a BUNDLE of none": (viewer_offer().replace("BUNDLE 0", "BUNDLE 7"), {400}),
    "a BUNDLE that repeats": (viewer_offer().replace("BUNDLE 0", "BUNDLE 0 0"), {400}),
    "no fingerprint": (re.sub("a=fingerprint.*\r\n", "", viewer_offer()), {400}),
    "10 MB": ("v" * 10_000_000, {413}),
}


async def test_offers_that_are_too_much_or_too_little(siege: Siege) -> None:
    """FAULTS 25: refused at once by both doors. The largest are over the limit on bodies."""
    for what, (offer, statuses) in TOO_MUCH.items():
        body = json.dumps({"sdp": offer, "type": "offer"}).encode()
        for door, content, kind in (
            ("/webrtc/viewer", body, "application/json"),
            ("/whep/1", offer.encode(), "application/sdp"),
        ):
            assert (await siege.attack(door, content, kind)).status_code in statuses, (what, door)


@pytest.mark.parametrize("candidates", ["", CANDIDATE_MDNS + "a=end-of-candidates\r\n"], ids=["none", "only mDNS"])
async def test_a_peer_that_names_no_address_connects(siege: Siege, candidates: str) -> None:
    """FAULTS 25: its checks tell where it is."""
    viewer = Client(siege.server.http)
    viewer.change = lambda sdp: re.sub("a=(candidate|end-of).*\r\n", "", sdp).replace("a=mid", candidates + "a=mid")
    try:
        seen = await viewer.view()
        await until(lambda: seen.frames > 0, what="a picture")
    finally:
        await viewer.close()
