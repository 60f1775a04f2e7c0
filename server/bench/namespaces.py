"""A network of the bench's own, in which the kernel itself loses packets; Linux, as root, with iproute2 and nftables.

The network is a namespace without a name (network_namespaces(7)): this thread and the processes it starts from then on
are in it, and nothing else of the machine is. It goes with the last of them, however they end, so that none can be left
over. In it, nftables loses at random what carries a mark, and the proxy of `link` marks what it sends on, a mark for
each direction: marks hold for every port of a direction, and what is lost has been counted before. Delay, a slow line
with its queue, bursts and a chosen packet stay the proxy's: netem, which has them, is not in every kernel, and no rule
of a packet filter knows a retransmission.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from .report import progress

MARKS: Final = {"up": 1, "down": 2}
TABLE: Final = "inet surveillx_bench"
# The finest step of a loss.
STEPS: Final = 1000

_THREAD_NETWORK = Path("/proc/thread-self/ns/net")
_CLONE_NEWNET = 0x40000000  # linux/sched.h; the os module has it, unshare and setns from Python 3.12


@contextmanager
def own_network() -> Iterator[bool]:
    """This thread, and what it starts inside the block, in a new network with a loopback; whether that can be had.

    Without the rights, the programs or a kernel that has it, everything stays where it is.
    """
    if not (shutil.which("nft") and shutil.which("ip") and os.geteuid() == 0):
        yield False
        return
    with _THREAD_NETWORK.open() as before:
        try:
            _enter_new(before.fileno())
        except OSError as error:
            progress(f"no network of the bench's own: {error.strerror}")
            yield False
            return
        try:
            yield True
        finally:
            _call("setns", before.fileno(), _CLONE_NEWNET)


def has_filter() -> bool:
    """Whether this process is in such a network: its packet filter has our table."""
    try:
        _run("nft", "list", "table", *TABLE.split())
    except OSError:
        return False
    return True


async def lose(losses: Mapping[str, float]) -> None:
    """From now on, lose that share (0 to 1) of each direction's packets, as they arrive.

    Raises:
        OSError: nft refused, which is said on stderr.
    """
    nft = await asyncio.create_subprocess_exec("nft", "-f", "-", stdin=asyncio.subprocess.PIPE)
    await nft.communicate(rules(losses).encode())
    if nft.returncode:
        raise OSError("The packet filter was not changed.")


def rules(losses: Mapping[str, float]) -> str:
    """What nft is told: all or nothing, in place of what was told before (nft(8))."""
    # At the input: a loss at the output would be an error of sendto.
    lines = [
        f"meta mark {MARKS[name]} meta l4proto udp numgen random mod {STEPS} <= {steps - 1} counter drop"
        for name, loss in losses.items()
        if (steps := round(loss * STEPS))
    ]
    chain = "\n".join(["type filter hook input priority 0", *lines])
    return f"add table {TABLE}\ndelete table {TABLE}\ntable {TABLE} {{\nchain lose {{\n{chain}\n}}\n}}\n"


def _enter_new(before: int) -> None:
    """Leave the network `before` for a new one, bring its loopback up, and try the rules that will be asked for.

    Raises:
        OSError: one of it failed; this thread is where it was.
    """
    _call("unshare", _CLONE_NEWNET)
    try:
        _run("ip", "link", "set", "lo", "up")
        for loss in (0.5, 0.0):
            _run("nft", "-f", "-", words=rules(dict.fromkeys(MARKS, loss)))
    except OSError:
        _call("setns", before, _CLONE_NEWNET)
        raise


def _run(*command: str, words: str = "") -> None:
    """A program with `words` as its input.

    Raises:
        OSError: it is not there, or failed; with what it said.
    """
    done = subprocess.run(command, input=words, text=True, capture_output=True, check=False)  # noqa: S603 - fixed commands
    if done.returncode:
        raise OSError(done.returncode, f"{command[0]}: {done.stderr.strip()}")


def _call(name: str, *arguments: int) -> None:
    """A function of the C library that answers 0.

    Raises:
        OSError: it failed.
    """
    if ctypes.CDLL(None, use_errno=True)[name](*arguments):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
