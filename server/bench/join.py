"""`surveillx bench join`: from the click to the first decoded picture, and how long the answer to an offer takes.

The same browser joins a running camera again and again, as a viewer who opens the page does; recognition is on. Then
many viewers join within one second, as a class does that opens the page at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from .browser import chromium
from .latency import own_server
from .processes import BenchError, started
from .report import Chart, Goal, Result, Sample, figures_of, progress
from .viewers import ask

if TYPE_CHECKING:
    from playwright.sync_api import Page

JOIN_TIMEOUT_MS = 15_000
KEYFRAMES = "surveillx_keyframes_total"

JOIN_SCRIPT = """
async (timeout) => {
  const clicked = performance.now();
  const peer = new RTCPeerConnection();
  peer.addTransceiver("video", { direction: "recvonly" });
  const video = document.createElement("video");
  video.muted = true;
  document.body.append(video);
  const shown = new Promise((done, fail) => {
    setTimeout(() => fail(new Error("no picture")), timeout);
    peer.ontrack = ({ track }) => {
      video.srcObject = new MediaStream([track]);
      video.requestVideoFrameCallback(() => done(performance.now() - clicked));
      video.play();
    };
  });
  await peer.setLocalDescription();
  const asked = performance.now();
  const response = await fetch("/webrtc/viewer", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ sdp: peer.localDescription.sdp, type: "offer", camera_id: "1" }),
  });
  const answer = await response.json();
  const answered = performance.now() - asked;
  await peer.setRemoteDescription({ type: "answer", sdp: answer.sdp });
  try {
    return { answered, shown: await shown };
  } finally {
    peer.close();
    video.remove();
    await fetch(`/webrtc/sessions/${answer.session_id}`, { method: "DELETE" });
  }
}
"""


@dataclass(frozen=True)
class Burst:
    """Many join within a second: how long each waited for its first whole picture, and keyframes until all had it."""

    waits_s: Sequence[float]
    keyframes: int


def run(count: int, clip: str, viewers: int) -> Result:
    """Join `count` times in the browser, then with `viewers` at once.

    Raises:
        BenchError: there is no Chromium, the server does not start, or a join fails.
    """
    with (
        chromium() as browser,
        own_server(recognition_every=5) as server,
        started("server.bench.camera", server.url, clip),
    ):
        page = browser.new_page()
        # A page of the server that loads no player of its own.
        page.goto(f"{server.url}/healthz")
        progress("measuring: joins in the browser")
        joins = [_join(page) for _ in range(count + 1)][1:]  # the first one warms everything up
        page.close()
        progress(f"measuring: {viewers} joins within a second")
        return render(joins, burst(server.url, viewers), browser.version)


def burst(url: str, viewers: int) -> Burst:
    """Let so many join a running camera within a second.

    Raises:
        BenchError: not all of them had a picture.
    """
    with started("server.bench.load", url) as load:
        ask(load, "count")  # it is ready
        before = _keyframes(url)
        waits_s = ask(load, f"burst {viewers}")
        return Burst(waits_s, _keyframes(url) - before)


def _keyframes(url: str) -> int:
    families = text_string_to_metric_families(httpx.get(f"{url}/metrics").text)
    return round(sum(each.value for family in families for each in family.samples if each.name == KEYFRAMES))


def _join(page: Page) -> dict[str, float]:
    from playwright.sync_api import Error  # noqa: PLC0415 - a development package

    try:
        joined: dict[str, Any] = page.evaluate(JOIN_SCRIPT, JOIN_TIMEOUT_MS)
    except Error as error:
        raise BenchError(f"a join failed: {error}") from error
    return joined


def render(joins: list[dict[str, float]], at_once: Burst, chromium_version: str) -> Result:
    """The result."""
    samples = {
        "offer to answer": Sample([each["answered"] for each in joins], 1),
        "click to first decoded picture": Sample([each["shown"] for each in joins], 1),
        "many within a second: to first whole picture": Sample([1000 * each for each in at_once.waits_s], 1),
    }
    rows = [
        (name, str(len(each.values_ms)), f"{each.median_ms:.0f}", f"{each.p95_ms:.0f}")
        for name, each in samples.items()
    ]
    return Result(
        ("what", "n", "median ms", "p95 ms"),
        rows,
        {**{name: figures_of(each) for name, each in samples.items()}, "keyframes": at_once.keyframes},
        [f"keyframes until all {len(at_once.waits_s)} had their picture: {at_once.keyframes}"],
        Chart(
            "From the click to the first picture",
            "join",
            "ms",
            {name: list(enumerate(each.values_ms, 1)) for name, each in samples.items()},
            "points",
        ),
        {"Chromium": chromium_version},
        goals=_goals(samples, at_once.keyframes),
    )


def _goals(samples: Mapping[str, Sample], keyframes: int) -> list[Goal]:
    _, shown, many = samples.values()
    return [
        Goal("first picture, median", shown.median_ms, 250, "ms"),
        Goal("first picture, p95", shown.p95_ms, 450, "ms"),
        Goal(f"first picture of {len(many.values_ms)} within a second, p95", many.p95_ms, 2000, "ms"),
        Goal("keyframes for them", keyframes, 2),
    ]
