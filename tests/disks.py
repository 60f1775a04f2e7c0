"""A small disk of its own for a test: full or read-only without touching the machine's. Root on Linux only."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest


class Disk:
    """A mounted tmpfs of `BYTES`."""

    BYTES = 2_000_000

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fill(self) -> None:
        """Leave no byte free."""
        with (self.folder / "filler").open("wb", buffering=0) as filler, suppress(OSError):
            while True:
                filler.write(bytes(4096))

    def free(self) -> None:
        """Undo `fill`."""
        (self.folder / "filler").unlink()

    def make_read_only(self) -> None:
        """As the system does to a disk that fails; files that are open for writing keep it from doing so."""
        _mount("-o", "remount,ro", str(self.folder))

    def make_writable(self) -> None:
        """Undo `make_read_only`."""
        _mount("-o", "remount,rw", str(self.folder))


@contextmanager
def small_disk(folder: Path) -> Iterator[Disk]:
    """Mount it at `folder`; skips the test where that is not allowed."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    folder.mkdir()
    try:
        _mount("-t", "tmpfs", "-o", f"size={Disk.BYTES}", "tmpfs", str(folder))
    except subprocess.CalledProcessError as error:
        pytest.skip(f"this machine cannot mount a small disk: {error.stderr}")
    try:
        yield Disk(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True, capture_output=True, text=True)
