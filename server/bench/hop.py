"""Passes HTTP and WebSockets on to a server unchanged, but for the session descriptions of offers and answers.

One connection is one request: a browser opens a few more of them than it would. Event loop's thread only.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

import httpx

MAX_HEAD_BYTES = 64 * 1024
MAX_BODY_BYTES = 256 * 1024
HEAD_TIMEOUT_S = 30.0
CHUNK_BYTES = 64 * 1024

_OFFERS = ("/webrtc/", "/whip/", "/whep/")


@dataclass
class Head:
    """The first line of a message and its fields (RFC 9112), names in lower case."""

    start: str
    fields: dict[str, str]

    @classmethod
    def read(cls, head: bytes) -> Head:
        """Of the bytes up to the empty line."""
        start, *lines = head.decode("latin-1").strip().split("\r\n")
        pairs = (line.split(":", 1) for line in lines)
        return cls(start, {name.strip().lower(): value.strip() for name, value in pairs})

    def bytes(self) -> bytes:
        """As it goes over the line."""
        lines = [self.start, *(f"{name}: {value}" for name, value in self.fields.items())]
        return "\r\n".join([*lines, "", ""]).encode("latin-1")

    @property
    def is_offer(self) -> bool:
        """Whether a session description follows."""
        method, path = self.start.split(" ")[:2]
        return method == "POST" and path.startswith(_OFFERS)


class Hop:
    """Listens at `url` for the server at `server`; `offered` and `answered` replace the descriptions that pass."""

    def __init__(
        self, server: str, host: str, offered: Callable[[str], str], answered: Callable[[str], Awaitable[str]]
    ) -> None:
        self._server = httpx.URL(server)
        self._host = host
        self._offered, self._answered = offered, answered
        self._tasks: set[asyncio.Task[None]] = set()
        self._listener: asyncio.Server | None = None
        self._passes = asyncio.Event()
        self._port = 0

    @property
    def url(self) -> str:
        """What stands for the server."""
        return f"http://{self._host}:{self._port}"

    async def open(self) -> None:
        """Listen; on a free port, and always on the same one. Twice is harmless."""
        self._passes.set()
        if self._listener is None:
            self._listener = await asyncio.start_server(self._accept, self._host, self._port, limit=MAX_HEAD_BYTES)
            self._port = self._listener.sockets[0].getsockname()[1]

    def darken(self) -> None:
        """Accept nothing and let nothing pass until `open`. Twice is harmless."""
        self._passes.clear()
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    async def close(self) -> None:
        """End every connection."""
        self.darken()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer), name="hop")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request of a client. Whatever breaks it is the client's to notice, as with any network."""
        with suppress(OSError, EOFError, TimeoutError, ValueError, asyncio.LimitOverrunError):
            try:
                async with asyncio.timeout(HEAD_TIMEOUT_S):
                    head = Head.read(await reader.readuntil(b"\r\n\r\n"))
                there = await asyncio.open_connection(self._server.host, self._server.port, limit=MAX_HEAD_BYTES)
                try:
                    await self._pass(head, (reader, writer), there)
                finally:
                    there[1].close()
            finally:
                writer.close()

    async def _pass(self, head: Head, here: _Stream, there: _Stream) -> None:
        if "upgrade" not in head.fields:
            head.fields["connection"] = "close"
        if head.is_offer:
            body = self._rewritten(await _body(head, here[0]), self._offered)
            await _write(there[1], head, body)
            answer = Head.read(await there[0].readuntil(b"\r\n\r\n"))
            content = await _body(answer, there[0])
            sdp = _description(content)
            if sdp:
                replacement = await self._answered(sdp)
                content = self._rewritten(content, lambda _: replacement)
            await _write(here[1], answer, content)
            return
        there[1].write(head.bytes())
        asking = asyncio.create_task(self._pipe(here[0], there[1]), name="hop-asking")
        try:
            await self._pipe(there[0], here[1])
        finally:
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)

    async def _pipe(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(CHUNK_BYTES):
                await self._passes.wait()
                writer.write(data)
                await writer.drain()
            if writer.can_write_eof():
                writer.write_eof()

    def _rewritten(self, body: bytes, change: Callable[[str], str]) -> bytes:
        sdp = _description(body)
        if not sdp:
            return body
        if body.lstrip().startswith(b"{"):
            return json.dumps(json.loads(body) | {"sdp": change(sdp)}).encode()
        return change(sdp).encode()


_Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def _description(body: bytes) -> str:
    """The session description in a body, whether JSON or bare (WHIP); empty when it has none."""
    text = body.decode(errors="replace")
    if text.startswith("v=0"):
        return text
    with suppress(ValueError):
        content = json.loads(text)
        if isinstance(content, dict) and isinstance(content.get("sdp"), str):
            return str(content["sdp"])
    return ""


async def _body(head: Head, reader: asyncio.StreamReader) -> bytes:
    return await reader.readexactly(min(int(head.fields.get("content-length", 0)), MAX_BODY_BYTES))


async def _write(writer: asyncio.StreamWriter, head: Head, body: bytes) -> None:
    head.fields["content-length"] = str(len(body))
    writer.write(head.bytes() + body)
    await writer.drain()
