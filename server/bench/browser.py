"""Reads the clock where the glass is: in headless Chromium, when a picture is presented."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

from . import clock
from .processes import BenchError
from .report import Sample

if TYPE_CHECKING:
    from playwright.sync_api import Browser

FLAGS = (
    "--autoplay-policy=no-user-gesture-required",
    # The direct case has no server that knows what to do with .local names.
    "--disable-features=WebRtcHideLocalIpsWithMdns",
    "--allow-loopback-in-peer-connection",
)
LIVE_TIMEOUT_S = 20.0
PICTURES_UNTIL_WARM = 90
# More pictures without a clock that can be read, and the measurement is none.
UNREADABLE_SHARE = 0.02

# The layout of the clock, as in `clock`; the time is taken before the picture is touched.
READ_CLOCK_SCRIPT = """
async ({block, bits, checkBits, warm, seconds, timeout}) => {
  const width = bits * block, inner = block / 2, edge = block / 4;
  const luma = new Uint8Array(width * block * 3 / 2);
  const deadline = performance.now() + timeout * 1000;
  const place = () => document.querySelector("surveillx-viewer")?.shadowRoot ?? document;
  const find = () => [...place().querySelectorAll("video")].find((video) => video.videoWidth > 0);
  while (!find()) {
    if (performance.now() > deadline) return {error: "no picture in the browser"};
    await new Promise((done) => setTimeout(done, 50));
  }
  const video = find();
  // Only the clock's pixels are copied: a canvas would convert the whole picture first, a quarter of a core.
  const read = async () => {
    const frame = new VideoFrame(video);
    await frame.copyTo(luma, {rect: {x: 0, y: 0, width, height: block}});
    frame.close();
    let code = 0;
    for (let bit = 0; bit < bits; bit++) {
      let sum = 0;
      for (let y = edge; y < edge + inner; y++)
        for (let x = edge; x < edge + inner; x++) sum += luma[y * width + bit * block + x];
      code = code * 2 + (sum / (inner * inner) > 128 ? 1 : 0);
    }
    const value = code >> checkBits;
    const check = (value ^ value >> 4 ^ value >> 8 ^ value >> 12 ^ 10) & 15;
    return (code & 15) === check ? value : null;
  };
  const values = [], sinceReceived = [], told = [], cameraLegs = [];
  // Only our server has them; elsewhere the connection fails, and that is all.
  const events = new WebSocket(location.origin.replace("http", "ws") + "/ws/events?types=timing");
  events.onmessage = ({data}) => {
    const {type, camera_ms} = JSON.parse(data);
    if (type === "timing" && camera_ms !== null && shown > warm) cameraLegs.push(camera_ms);
  };
  const stats = async () => {
    const peer = (window.benchPeers ?? []).at(-1);
    for (const report of (await peer?.getStats())?.values() ?? [])
      if (report.type === "inbound-rtp" && report.kind === "video") return report;
    return {};
  };
  let before = {};
  let unreadable = 0, shown = 0, start = 0;
  return await new Promise((done) => {
    const give = async () => done({values, sinceReceived, told, cameraLegs, unreadable, before, after: await stats(),
      seconds: (performance.now() - start) / 1000});
    const stuck = setTimeout(() => done({error: "the picture stands still"}), (timeout + seconds) * 1000);
    const step = (_, frame) => {
      const now = Date.now(), presented = performance.now();
      if (++shown === warm) {
        start = presented;
        stats().then((report) => { before = report; });
      }
      if (shown > warm) {
        read().then((value) => {
          if (value === null) unreadable++;
          else values.push((now - value) & 65535);
        });
        const figure = document.querySelector("surveillx-viewer")?.dataset.delay;
        if (figure !== undefined) told.push(Number(figure));
        if (frame.receiveTime) sinceReceived.push(presented - frame.receiveTime);
        if (performance.now() - start > seconds * 1000) { clearTimeout(stuck); events.close(); return give(); }
      }
      video.requestVideoFrameCallback(step);
    };
    video.requestVideoFrameCallback(step);
  });
}
"""


@contextmanager
def chromium() -> Iterator[Browser]:
    """Headless Chromium: the system's, or else Playwright's own.

    Raises:
        BenchError: neither is there.
    """
    try:
        from playwright.sync_api import Error, sync_playwright  # noqa: PLC0415 - a development package
    except ImportError as error:
        raise BenchError("This measurement needs a browser driver: `pip install playwright`.") from error
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(args=list(FLAGS), executable_path=found)
        except Error as error:
            raise BenchError("There is no Chromium: `playwright install chromium`, or the system's package.") from error
        try:
            yield browser
        finally:
            browser.close()


# Keeps the page's peer connections where their statistics can be asked for.
KEEP_PEERS_SCRIPT = """
window.benchPeers = [];
window.RTCPeerConnection = class extends RTCPeerConnection {
  constructor(...options) { super(...options); window.benchPeers.push(this); }
};
"""


@dataclass(frozen=True)
class Viewing:
    """What a browser saw for a while: glass to glass, how smoothly, and the legs within the browser in milliseconds.

    `buffer_ms` is what pictures waited in the jitter buffer, `decode_ms` what decoding took, `display_ms` the rest from
    their last packet to their presentation. `told_ms` is the delay that the page itself told, and `camera_ms` what the
    server told of the leg from a picture's capture to its arrival there; None where nobody told.
    """

    sample: Sample
    freezes: int
    frozen_s: float
    buffer_ms: float
    decode_ms: float
    display_ms: float
    told_ms: float | None = None
    camera_ms: float | None = None

    @property
    def browser_ms(self) -> float:
        """From a picture's last packet to its presentation."""
        return self.buffer_ms + self.decode_ms + self.display_ms


def measure(browser: Browser, url: str, seconds: float) -> Viewing:
    """Open `url` and read the clock in its video for that long.

    Raises:
        BenchError: no picture, a picture that stands still, or one whose clock cannot be read.
    """
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    page.add_init_script(KEEP_PEERS_SCRIPT)
    try:
        page.goto(url)
        result = page.evaluate(
            READ_CLOCK_SCRIPT,
            {
                "block": clock.BLOCK,
                "bits": clock.BITS,
                "checkBits": clock.CHECK_BITS,
                "warm": PICTURES_UNTIL_WARM,
                "seconds": seconds,
                "timeout": LIVE_TIMEOUT_S,
            },
        )
    finally:
        page.close()
    if error := result.get("error"):
        raise BenchError(f"{url}: {error}.")
    if result["unreadable"] > UNREADABLE_SHARE * len(result["values"]):
        raise BenchError(f"{url}: the clock could not be read in {result['unreadable']} pictures.")
    return _viewing(result)


def _viewing(result: dict[str, Any]) -> Viewing:
    """Counters of RTCInboundRtpStreamStats over the time, and what each frame's metadata said."""

    def passed(name: str) -> float:
        return float(result["after"].get(name, 0) - result["before"].get(name, 0))

    buffer_ms = 1000 * passed("jitterBufferDelay") / max(1.0, passed("jitterBufferEmittedCount"))
    decode_ms = 1000 * passed("totalDecodeTime") / max(1.0, passed("framesDecoded"))
    since_received_ms = median(result["sinceReceived"] or [0.0])
    return Viewing(
        Sample(result["values"], result["seconds"]),
        int(passed("freezeCount")),
        passed("totalFreezesDuration"),
        buffer_ms,
        decode_ms,
        max(0.0, since_received_ms - buffer_ms - decode_ms),
        median(result["told"]) if result["told"] else None,
        median(result["cameraLegs"]) if result["cameraLegs"] else None,
    )
