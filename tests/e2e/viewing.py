"""What a person would see on the page, asked of a real browser."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Page

from ..wait import until_sync

LIVE_S = 30.0

# Counts the frames a video shows from now on.
COUNT_FRAMES = """
() => {
  const video = document.querySelector("surveillx-viewer").shadowRoot.querySelector("video.shown");
  window.shownFrames = 0;
  const count = () => { window.shownFrames += 1; video.requestVideoFrameCallback(count); };
  video.requestVideoFrameCallback(count);
}
"""

# The bounding box, in pixels of the picture, of everything in the colour of a known person's box.
FIND_GREEN = """
() => {
  const video = document.querySelector("surveillx-viewer").shadowRoot.querySelector("video.shown");
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(video, 0, 0);
  const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
  let [left, top, right, bottom] = [canvas.width, canvas.height, -1, -1];
  for (let i = 0; i < data.length; i += 4) {
    if (data[i] < 70 && data[i + 1] > 190 && data[i + 2] < 70) {
      const x = (i / 4) % canvas.width, y = Math.floor(i / 4 / canvas.width);
      left = Math.min(left, x); right = Math.max(right, x);
      top = Math.min(top, y); bottom = Math.max(bottom, y);
    }
  }
  return right < 0 ? null : { left, top, right, bottom, width: canvas.width, height: canvas.height };
}
"""

# Keeps the newest detections of camera 1 in window.detections, and every name ever seen in window.names.
LISTEN = """
() => {
  window.names = new Set();
  const socket = new WebSocket(location.origin.replace("http", "ws") + "/ws/events?camera_id=1");
  socket.onmessage = (message) => {
    const event = JSON.parse(message.data);
    if (event.type !== "detections") return;
    window.detections = event;
    for (const face of event.faces) window.names.add(face.name);
  };
}
"""


def player(page: Page) -> dict[str, str]:
    """The player's data-* attributes."""
    state: dict[str, str] = page.evaluate("() => ({...document.querySelector('surveillx-viewer')?.dataset})")
    return state


def wait_for(page: Page, timeout_s: float = LIVE_S, **wanted: str) -> None:
    """Wait until the player's attributes are as wanted."""

    def is_so() -> bool:
        state = player(page)
        return all(state.get(name) == value for name, value in wanted.items())

    until_sync(is_so, timeout_s, f"the player shows {wanted}; it shows {player(page)}")


def wait_live(page: Page, timeout_s: float = LIVE_S) -> None:
    wait_for(page, timeout_s, transport="webrtc", state="live")


def shown_frames(page: Page) -> int:
    return int(page.evaluate("() => window.shownFrames"))


def green_box(page: Page) -> dict[str, Any] | None:
    found: dict[str, Any] | None = page.evaluate(FIND_GREEN)
    return found
