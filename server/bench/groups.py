"""Control groups with little memory, for processes of the bench; Linux, as root, version 1 or 2 of the groups."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

# Where the system mounts them, by what they are known, and what the limit is called there (kernel:
# cgroup-v1/memory.rst, cgroup-v2.rst).
_KINDS = (
    (Path("/sys/fs/cgroup/memory"), "memory.usage_in_bytes", "memory.limit_in_bytes"),
    (Path("/sys/fs/cgroup"), "cgroup.controllers", "memory.max"),
)
_GONE_WITHIN_S = 10.0


@contextmanager
def memory_group(megabytes: int) -> Iterator[Path | None]:
    """A group whose processes may hold so much together; None where none can be made."""
    group = _made(megabytes)
    try:
        yield group
    finally:
        deadline = time.monotonic() + _GONE_WITHIN_S
        while group is not None and group.exists() and time.monotonic() < deadline:
            with suppress(OSError):  # busy while its last process ends
                group.rmdir()
            time.sleep(0.05)


@contextmanager
def inside(group: Path | None) -> Iterator[None]:
    """What is started inside the block belongs to the group from its beginning: memory counts where it was taken."""
    if group is None:
        yield
        return
    home = next(
        folder
        for line in Path("/proc/self/cgroup").read_text().splitlines()
        if ":memory:" in line or line.startswith("0::")
        for folder in (group.parent / line.rpartition(":")[2].lstrip("/"), group.parent)
        if (folder / "cgroup.procs").exists()
    )
    (group / "cgroup.procs").write_text(str(os.getpid()))
    try:
        yield
    finally:
        (home / "cgroup.procs").write_text(str(os.getpid()))


def _made(megabytes: int) -> Path | None:
    for root, mark, limit in _KINDS:
        if not (root / mark).exists():
            continue
        group = root / f"surveillx-bench-{os.getpid()}"
        with suppress(OSError):
            group.mkdir()
            try:
                (group / limit).write_text(str(megabytes * 1_000_000))
            except OSError:
                group.rmdir()
                raise
            return group
    return None
