"""Whether there is room for one more session: file descriptors and memory, asked of the system.

Where the system does not say (Windows), there is room. Cheap enough for every offer: a millisecond at the most.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

# What a session opens: a socket for each address it offers, and one to spare.
FILES_A_SESSION = 4
# Kept for what is there already: pages and events of the viewers, the database, a recognition process that starts.
FILES_KEPT = 48
# A peer connection takes some 2 MB, a camera's first viewer an encoder of 20 MB.
MEMORY_KEPT_MB = 64


def shortage() -> str:
    """What there is too little of for one more session, in words; nothing where there is enough."""
    limit = _file_limit()
    if limit is not None and _open_files() + FILES_A_SESSION + FILES_KEPT > limit:
        return f"it may open {limit} files and sockets, and nearly all are in use"
    left_mb = memory_left_mb()
    if left_mb is not None and left_mb < MEMORY_KEPT_MB:
        return f"it has {left_mb:.0f} MB of memory left"
    return ""


def _file_limit() -> int | None:
    if sys.platform == "win32":
        return None
    import resource  # noqa: PLC0415 - there is none on Windows

    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return None if limit == resource.RLIM_INFINITY else limit


def _open_files() -> int:
    # Linux has the first, which is a link to the second there; macOS and the BSDs have the second.
    for folder in ("/proc/self/fd", "/dev/fd"):
        with suppress(OSError):
            return len(os.listdir(folder))  # noqa: PTH208 - for every offer: only their number
    return 0


def memory_left_mb(root: Path = Path("/")) -> float | None:
    """What the machine and each control group of this process have left, whichever is least; None if none says."""
    left = [*_left_in_groups(root), *_left_on_machine(root)]
    return min(left) / 1e6 if left else None


def _left_on_machine(root: Path) -> Iterator[int]:
    with suppress(OSError, ValueError, IndexError):
        for line in (root / "proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                yield int(line.split()[1]) * 1024


def _left_in_groups(root: Path) -> Iterator[int]:
    """Limit minus use, for control groups of version 2 and 1 (kernel: cgroup-v2.rst, cgroup-v1/memory.rst)."""
    with suppress(OSError, ValueError, IndexError):
        for line in (root / "proc/self/cgroup").read_text().splitlines():
            number, controllers, path = line.split(":", 2)
            if number == "0" and not controllers:
                folder, names = root / "sys/fs/cgroup", ("memory.max", "memory.current", "inactive_file")
            elif "memory" in controllers.split(","):
                folder = root / "sys/fs/cgroup/memory"
                names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            else:
                continue
            # In a container the group is often the root of what is mounted there.
            for group in (folder / path.lstrip("/"), folder):
                yield from _left_in_group(group, *names)


def _left_in_group(group: Path, limit_name: str, used_name: str, cache_name: str) -> Iterator[int]:
    """Files that were read and not touched since count as use, though the kernel gives them back at once."""
    with suppress(OSError, ValueError, IndexError, KeyError):
        limit = int((group / limit_name).read_text())  # ValueError: "max"
        statistics = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        yield limit - int((group / used_name).read_text()) + int(statistics[cache_name])
