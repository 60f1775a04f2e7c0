"""A camera's newest picture as a JPEG file: what a player shows before anything else, and other programs ask for now
and then.

It is the annotated picture, so hidden faces are pixelated, or the slate. Whoever asks while one is being made gets that
one: a hundred pages that open at once cost one encode. Event loop's thread, except the encoding.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from .errors import Unavailable
from .jpeg import TappedCamera, encode_jpeg

# A camera that falls silent has its slate after `stale_after_s`, 2 s unless set otherwise.
WITHIN_S = 4.0


class Snapshots:
    """Makes them; `close` before the server ends."""

    def __init__(self, quality: int) -> None:
        self._quality = quality
        self._encoder = ThreadPoolExecutor(1, thread_name_prefix="surveillx-snapshots")
        self._making: dict[str, asyncio.Task[bytes]] = {}

    async def take(self, camera: TappedCamera) -> bytes:
        """The camera's picture of this moment.

        Raises:
            Unavailable: none came in time.
        """
        making = self._making.get(camera.id)
        if making is None:
            making = asyncio.create_task(self._make(camera), name=f"surveillx-snapshot-{camera.id}")
            self._making[camera.id] = making
            making.add_done_callback(lambda _: self._making.pop(camera.id))
        # Shielded: one browser that leaves must not take it from the others.
        return await asyncio.shield(making)

    async def close(self) -> None:
        """Stop what is being made, and the encoder's thread."""
        making = list(self._making.values())
        for task in making:
            task.cancel()
        await asyncio.gather(*making, return_exceptions=True)
        self._encoder.shutdown()

    async def _make(self, camera: TappedCamera) -> bytes:
        try:
            with camera.tap(1) as tap:
                async with asyncio.timeout(WITHIN_S):
                    frame = await tap.next()
        except TimeoutError as error:
            raise Unavailable("The camera has no picture yet.", headers={"Retry-After": "2"}) from error
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._encoder, encode_jpeg, frame, self._quality)
