"""The server's end of the recognition process: start it, ask it, notice that it died, kill it.

Used from the event loop, which it never blocks: starting, sending and waiting for the end happen on one thread of its
own, receiving on another. Both threads end with the process.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.shared_memory import SharedMemory

import numpy as np

from . import jobs
from .messages import Done, Failed, Message, Ready, Reply, Request
from .options import RecogniserOptions
from .pictures import Planes
from .vitals import Patience, memory_mb

# A killed process is gone in milliseconds; this is for a machine that swaps.
END_TIMEOUT_S = 5.0


class ProcessLost(Exception):
    """The process is dead, or so late that it must be; the text says which."""


class CannotStart(ProcessLost):
    """The process cannot load its models, and will not until somebody changes something; the text is a sentence."""


class RecognitionProcess:
    """One spawned process: `start` it, `ask` one request after the other, `stop` it."""

    def __init__(self, first_track_id: int, options: RecogniserOptions, on_lost: Callable[[], None]) -> None:
        """`on_lost` is called on the event loop when the process ends, whatever the reason."""
        self.is_lost = False
        # When the models were loaded, by the event loop's clock.
        self.ready_at: float | None = None
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        # Bounded by the protocol: one request is in flight, answered by four messages at most.
        self._inbox: asyncio.Queue[Message | None] = asyncio.Queue()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="surveillx-recognition")
        context = multiprocessing.get_context("spawn")
        near, self._far_end = context.Pipe()
        self._connection: Connection[Request, Message] = near
        arguments = (self._far_end, first_track_id, options)
        self._process = context.Process(target=jobs.run, args=arguments, name="surveillx-recognition", daemon=True)
        self._ended: asyncio.Future[None] | None = None
        self._reader = threading.Thread(target=self._read, name="surveillx-recognition-reader", daemon=True)

    @property
    def pid(self) -> int | None:
        """The process's id, once it is started."""
        return self._process.pid

    def memory_mb(self) -> float:
        """What it holds of the machine's memory now."""
        return memory_mb(self.pid)

    def loss(self) -> ProcessLost:
        """Why it is lost, where it ended by itself."""
        code = self._process.exitcode  # the reader has waited for it
        return ProcessLost("it hung up" if code is None else f"it ended with exit code {code}")

    async def start(self, timeout_s: float) -> str:
        """Wait until the models are loaded; returns the detector's name.

        Raises:
            CannotStart: it could not load its models.
            ProcessLost: it ended, or took longer than `timeout_s`.
        """
        async with self._deadline(timeout_s):
            await self._loop.run_in_executor(self._thread, self._start)
            self._far_end.close()
            self._reader.start()
            message = await self._received()
        if isinstance(message, Ready):
            self.ready_at = self._loop.time()
            return message.detector
        raise CannotStart(message.why) if isinstance(message, Failed) else ProcessLost(f"it began with {message!r}")

    async def ask(self, request: Request, timeout_s: float, on_reply: Callable[[Reply], None] | None = None) -> None:
        """Send a request, hand on its replies as they come, and return when all is done. One request at a time.

        Raises:
            ProcessLost: it ended, or was not done after `timeout_s`; see `vitals.Patience` for a busy machine.
        """
        async with self._deadline(timeout_s):
            with suppress(OSError):  # it ended: the reader will say so, and why
                # On the other thread: a gallery does not fit into the pipe, and a hung process does not read it.
                await self._loop.run_in_executor(self._thread, self._connection.send, request)
            while not isinstance(message := await self._received(), Done):
                if isinstance(message, (Ready, Failed)):
                    raise ProcessLost(f"it answered with {message!r}")
                if on_reply is not None:
                    on_reply(message)

    async def stop(self) -> None:
        """Kill the process and release what belongs to it. It holds nothing that would need saving. Twice is harmless.

        Cancelled while it waits, it still happens, on the thread.
        """
        if self._ended is None:
            if self._process.pid is not None:
                self._process.kill()  # from here: the thread may be stuck in sending to it
            self._ended = self._loop.run_in_executor(self._thread, self._end)
            self._thread.shutdown(wait=False)
        await asyncio.shield(self._ended)
        self._thread.shutdown()  # it has nothing more to do: this only waits until it is gone

    def _start(self) -> None:
        """On the thread. Ctrl-C reaches every process of a terminal; the child inherits that it does not concern it."""
        if sys.platform == "win32":
            self._process.start()
            return
        resource_tracker.ensure_running()  # or start() would, and unblock what is blocked here
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self._process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    @asynccontextmanager
    async def _deadline(self, timeout_s: float) -> AsyncIterator[None]:
        """Give up after `timeout_s`, or later while the process is merely starved of processor time."""
        patience = Patience(self.pid, timeout_s)
        timer: asyncio.TimerHandle

        def late() -> None:
            nonlocal timer
            if patience.is_over():
                deadline.reschedule(self._loop.time())
            else:
                timer = self._loop.call_later(timeout_s, late)

        timer = self._loop.call_later(timeout_s, late)
        try:
            async with asyncio.timeout(None) as deadline:
                yield
        except TimeoutError as error:
            raise ProcessLost(f"it did not answer within {timeout_s:g} s") from error
        finally:
            timer.cancel()

    async def _received(self) -> Message:
        message = await self._inbox.get()
        if message is None:
            raise self.loss()
        return message

    def _end(self) -> None:
        """On the thread, so after a start that was given up half-way."""
        if self._process.pid is not None:
            self._process.kill()
        if self._reader.ident is not None:
            self._reader.join(END_TIMEOUT_S)  # its pipe has ended with the process
        if self._process.pid is not None:
            self._process.join(END_TIMEOUT_S)
        self._far_end.close()
        self._connection.close()

    def _read(self) -> None:
        """The reader thread: carries messages to the event loop until the pipe ends."""
        try:
            while True:
                self._loop.call_soon_threadsafe(self._inbox.put_nowait, self._connection.recv())
        except (EOFError, OSError):
            self._process.join(END_TIMEOUT_S)  # a moment: for its exit code
            self._loop.call_soon_threadsafe(self._lose)

    def _lose(self) -> None:
        self.is_lost = True
        self._inbox.put_nowait(None)
        self._on_lost()


class FrameMemory:
    """The shared memory in which one frame at a time goes to the process. Grows with the frames."""

    def __init__(self) -> None:
        self._memory: SharedMemory | None = None

    def store(self, planes: Planes) -> str:
        """Copy a frame in, over the one before; returns the memory's name."""
        size = planes.data.nbytes
        if self._memory is None or self._memory.size < size:
            self.close()
            self._memory = SharedMemory(create=True, size=size)
        np.ndarray(size, np.uint8, buffer=self._memory.buf)[:] = planes.data
        return self._memory.name

    def close(self) -> None:
        """Give the memory back to the system; there will be another one for the next frame."""
        memory, self._memory = self._memory, None
        if memory is not None:
            memory.close()
            # multiprocessing/shared_memory.py, SharedMemory.__init__: a process without room to map it removes it.
            with suppress(FileNotFoundError):
                memory.unlink()
