"""Reads the clock where the glass is: in headless Chromium, from a canvas, at the moment a picture is presented."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

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

# The layout of the clock, as in `clock`; the time is taken before the canvas is touched.
READ_CLOCK_SCRIPT = """
async ({block, bits, checkBits, warm, seconds, timeout}) => {
  const canvas = new OffscreenCanvas(bits * block, block);
  const context = canvas.getContext("2d", {willReadFrequently: true});
  const deadline = performance.now() + timeout * 1000;
  const find = () => [...document.querySelectorAll("video")].find((video) => video.videoWidth > 0);
  while (!find()) {
    if (performance.now() > deadline) return {error: "no picture in the browser"};
    await new Promise((done) => setTimeout(done, 50));
  }
  const video = find();
  const read = () => {
    context.drawImage(video, 0, 0, bits * block, block, 0, 0, bits * block, block);
    let code = 0;
    for (let bit = 0; bit < bits; bit++) {
      const {data} = context.getImageData(bit * block + block / 4, block / 4, block / 2, block / 2);
      let sum = 0;
      for (let i = 0; i < data.length; i += 4) sum += data[i + 1];
      code = code * 2 + (sum / (data.length / 4) > 128 ? 1 : 0);
    }
    const value = code >> checkBits;
    const check = (value ^ value >> 4 ^ value >> 8 ^ value >> 12 ^ 10) & 15;
    return (code & 15) === check ? value : null;
  };
  const values = [];
  let unreadable = 0, shown = 0, start = 0;
  return await new Promise((done) => {
    const give = () => done({values, unreadable, seconds: (performance.now() - start) / 1000});
    const stuck = setTimeout(() => done({error: "the picture stands still"}), (timeout + seconds) * 1000);
    const step = () => {
      const now = Date.now();
      if (++shown === warm) start = performance.now();
      if (shown > warm) {
        const value = read();
        if (value === null) unreadable++;
        else values.push((now - value) & 65535);
        if (performance.now() - start > seconds * 1000) { clearTimeout(stuck); return give(); }
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


def measure(browser: Browser, url: str, seconds: float) -> Sample:
    """Open `url` and read the clock in its video for that long.

    Raises:
        BenchError: no picture, a picture that stands still, or one whose clock cannot be read.
    """
    page = browser.new_page(viewport={"width": 1400, "height": 900})
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
    if result["unreadable"] > 0.02 * len(result["values"]):
        raise BenchError(f"{url}: the clock could not be read in {result['unreadable']} pictures.")
    return Sample(result["values"], result["seconds"])
