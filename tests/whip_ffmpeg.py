"""FFmpeg's `whip` muxer as a publisher, in a process of its own: it holds the interpreter while it connects.

`python -m tests.whip_ffmpeg URL TOKEN PROFILE CERTIFICATE KEY`: sends a moving picture until it is killed, for a minute
at most.
"""

from __future__ import annotations

import sys
import time

import av

from .peers import picture

FPS = 15
SECONDS = 60


def main(url: str, token: str, profile: str, certificate: str, key: str) -> None:
    options = {"authorization": token, "cert_file": certificate, "key_file": key}
    with av.open(url, "w", format="whip", options=options) as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
        stream.options = {"profile": profile, "preset": "veryfast", "tune": "zerolatency", "g": str(2 * FPS)}
        begun = time.monotonic()
        for number in range(FPS * SECONDS):
            frame = picture(640, 360, number / FPS)
            frame.pts = number
            container.mux(stream.encode(frame))
            time.sleep(max(0.0, begun + number / FPS - time.monotonic()))


if __name__ == "__main__":
    main(*sys.argv[1:])
