"""The processes of a measurement: started, waited for, their CPU time read, and ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 8.0


class BenchError(Exception):
    """The measurement cannot be made; the text says why."""


@dataclass(frozen=True)
class Child:
    """A process of ours and its pipes."""

    pid: int
    input: IO[str]
    output: IO[str]


@dataclass(frozen=True)
class Serving:
    """A server that answers at `url`."""

    pid: int
    url: str


@contextmanager
def started(module: str, *arguments: str, settings: Mapping[str, str] | None = None) -> Iterator[Child]:
    """Run `python -m module` inside the block, with pipes to its stdin and stdout."""
    process = subprocess.Popen(  # noqa: S603 - our own modules
        [sys.executable, "-m", module, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=_environment(settings or {}),
        start_new_session=True,  # the terminal's SIGINT is for the bench, which ends its processes in order
    )
    try:
        yield Child(process.pid, cast("IO[str]", process.stdin), cast("IO[str]", process.stdout))
    finally:
        _end(process)


@contextmanager
def serving(module: str, *arguments: str, settings: Mapping[str, str] | None = None) -> Iterator[Serving]:
    """Run a server inside the block; it is ready when it has printed "Listening on URL".

    Raises:
        BenchError: it ended or did not say so in time.
    """
    with started(module, *arguments, settings=settings) as server:
        yield Serving(server.pid, _address(server))


class Answering:
    """A server of the bench that also answers lines of JSON."""

    def __init__(self, child: Child, url: str) -> None:
        self.pid, self.url = child.pid, url
        self._child = child

    def ask(self, wish: object = None) -> Any:
        """Give it one line; its answer.

        Raises:
            BenchError: it has ended.
        """
        try:
            print(json.dumps(wish), file=self._child.input, flush=True)
            answer = self._child.output.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            raise BenchError("A process of the measurement has ended; its messages are above.")
        return json.loads(answer)


@contextmanager
def answering(module: str, *arguments: str, settings: Mapping[str, str] | None = None) -> Iterator[Answering]:
    """Run a server of the bench inside the block, with lines of JSON in and out.

    Raises:
        BenchError: it ended or did not listen in time.
    """
    with started(module, *arguments, settings=settings) as child:
        yield Answering(child, _address(child))


def _address(server: Child) -> str:
    # A server that hangs is killed, which ends the reading.
    watchdog = threading.Timer(START_TIMEOUT_S, os.kill, (server.pid, signal.SIGTERM))
    watchdog.start()
    try:
        for line in server.output:
            if line.startswith("Listening on "):
                return line.removeprefix("Listening on ").strip()
    finally:
        watchdog.cancel()
    raise BenchError("The server did not start; its messages are above.")


_ONE_ADDRESS = {
    f"SURVEILLX_{name}": "100000"
    for name in ("MAX_SESSIONS_PER_ADDRESS", "MAX_CONNECTING_PER_ADDRESS", "REQUESTS_PER_SECOND", "REQUESTS_AT_ONCE")
}


def _environment(settings: Mapping[str, str]) -> dict[str, str]:
    # The caller's own settings must not colour a measurement, and all that is measured comes from one address.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("SURVEILLX_")}  # noqa: TID251
    return {**inherited, **_ONE_ADDRESS, **settings}


def _end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.communicate(timeout=STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()


@contextmanager
def on_cores(cores: Collection[int]) -> Iterator[None]:
    """Processes started inside the block run on these cores only, and all their threads; Linux."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def cpu_seconds(pid: int) -> float:
    """CPU time of a process and its children so far; Linux (proc(5), fields utime and stime of /proc/PID/stat)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    own = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    # Children belong to the thread that started them: recognition's is not the first.
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    children = [child for task in tasks for child in task.read_text().split()]
    return own + sum(cpu_seconds(int(child)) for child in children)
