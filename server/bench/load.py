"""Many viewers in one process.

Reads from stdin, a line each: the number of viewers there should be; "count"; "burst N", N more viewers within one
second; or "fill N", one after the other until there are N or the server has no room (503). Answers in one line of JSON:
how many pictures each viewer has received so far; after a burst, how many seconds each of its viewers waited for its
first whole picture.
`python -m server.bench.load URL [each|janus]`; "each": the n-th watches camera n instead of all the first.
"""

from __future__ import annotations

import asyncio
import json
import sys

import httpx

from ..publisher.peer import allow_loopback
from .counting import CONNECT_TIMEOUT_S, CountingViewer, Join, joining
from .janus import join_janus

REPORT_INTERVAL_S = 1.0
BURST_S = 1.0


class Load:
    """The viewers of one server."""

    def __init__(self, client: httpx.AsyncClient, which: str) -> None:
        self._client = client
        self._which = which
        self._viewers: list[CountingViewer] = []

    async def obey(self, line: str) -> list[float]:
        """Do what one line asks for; the answer."""
        if line.startswith("burst "):
            return await self._burst(int(line.removeprefix("burst ")))
        if line.startswith("fill "):
            await self._fill(int(line.removeprefix("fill ")))
        while line.isdigit() and len(self._viewers) < int(line):
            (await self._add(0.0)).read_headers_only()
        return [viewer.pictures for viewer in self._viewers]

    async def report(self) -> None:
        """Let each viewer report once a second, spread over it."""
        while True:
            for viewer in tuple(self._viewers):
                await viewer.report()
                await asyncio.sleep(REPORT_INTERVAL_S / len(self._viewers))
            if not self._viewers:
                await asyncio.sleep(REPORT_INTERVAL_S)

    async def close(self) -> None:
        """Hang up everywhere."""
        await asyncio.gather(*(viewer.close() for viewer in self._viewers))

    async def _burst(self, count: int) -> list[float]:
        joined = await asyncio.gather(*(self._add(BURST_S * number / count) for number in range(count)))
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            await asyncio.gather(*(viewer.shown.wait() for viewer in joined))
        for viewer in joined:
            viewer.read_headers_only()
        return [viewer.first_picture_s or 0.0 for viewer in joined]

    async def _fill(self, count: int) -> None:
        while len(self._viewers) < count:
            try:
                (await self._add(0.0)).read_headers_only()
            except httpx.HTTPStatusError as refusal:
                if refusal.response.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                    raise
                return

    async def _add(self, delay_s: float) -> CountingViewer:
        await asyncio.sleep(delay_s)
        viewer = CountingViewer()
        await viewer.connect(self._client, self._join())
        self._viewers.append(viewer)
        return viewer

    def _join(self) -> Join:
        if self._which == "janus":
            return join_janus
        return joining(str(len(self._viewers) + 1) if self._which == "each" else "1")


async def play(url: str, which: str = "") -> None:
    """Obey stdin until it ends."""
    allow_loopback()
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=url, timeout=CONNECT_TIMEOUT_S, limits=limits) as client:
        load = Load(client, which)
        reporting = asyncio.create_task(load.report())
        try:
            while line := (await asyncio.to_thread(sys.stdin.readline)).strip():
                print(json.dumps(await load.obey(line)), flush=True)
        finally:
            reporting.cancel()
            await load.close()


if __name__ == "__main__":
    asyncio.run(play(*sys.argv[1:3]))
