"""Marks that wait for the database: in memory, and in a file so that they outlive the process.

`waiting-marks.jsonl`, for its owner only, one JSON object a line, sealed when the vault has a key. A line counts as
kept once it is on the disk (fsync). What a kill tore off at the end was never kept, and is cut off at the next start.
Where the file cannot be written either, marks wait in memory alone until it can. Lines already in the database may come
back after a kill; writing them again changes nothing, because one person is marked once.

Every method may block on the disk: call them from a thread. Any thread may.
"""

from __future__ import annotations

import base64
import errno
import json
import logging
import os
import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from io import FileIO
from itertools import islice
from pathlib import Path

from .errors import ConfigError
from .events import Sighting
from .vault import Sealed, Vault

FILE_NAME = "waiting-marks.jsonl"
REWRITE_AT_LINES = 1000  # fewer lines that are done with are not worth a rewriting

_BYTES = ("embedding", "crop")

logger = logging.getLogger("surveillx.spool")


@dataclass(frozen=True, slots=True, eq=False)
class Mark:
    """A sighting of a person to be written down, and its moment (aware)."""

    seen: Sighting
    at: datetime

    def to_json(self) -> bytes:
        """As one line of text."""
        values = asdict(self.seen) | {name: _to_text(getattr(self.seen, name)) for name in _BYTES}
        return json.dumps({"at": self.at.isoformat(), **values}, separators=(",", ":")).encode()

    @classmethod
    def from_json(cls, line: bytes) -> Mark:
        """What `to_json` wrote.

        Raises:
            ValueError: it is something else.
        """
        try:
            values = json.loads(line)
            at = datetime.fromisoformat(values.pop("at"))
            return cls(Sighting(**values | {name: base64.b64decode(values[name]) for name in _BYTES}), at)
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError("the line is not a mark") from error


class Spool:
    """The waiting marks, oldest first."""

    def __init__(self, file: Path, vault: Vault) -> None:
        """Read what an earlier process left in `file`.

        Raises:
            ConfigError: it cannot be read, or is encrypted with another key.
        """
        self._file = file
        self._vault = vault
        self._lock = threading.Lock()
        self._marks: deque[Mark] = deque()
        self._saved = 0  # so many of the marks, from the oldest, stand in the file
        self._stale = 0  # lines of the file before them, which are done with
        self._size = 0  # bytes of whole lines in the file
        self._is_failing = False
        self._load()

    def __len__(self) -> int:
        """How many marks wait. Does not block."""
        return len(self._marks)

    def oldest(self, count: int) -> list[Mark]:
        """The next marks to write, all if there are fewer than `count`."""
        with self._lock:
            return list(islice(self._marks, count))

    def append(self, mark: Mark) -> bool:
        """Keep a mark; returns whether it is on the disk."""
        with self._lock:
            self._marks.append(mark)
            return self._save()

    def save(self) -> bool:
        """Try again to put on the disk what waits in memory alone."""
        with self._lock:
            return self._save()

    def drop_oldest(self, count: int) -> None:
        """Forget marks that are in the database."""
        with self._lock:
            for _ in range(count):
                self._marks.popleft()
            self._stale += min(count, self._saved)
            self._saved = max(0, self._saved - count)
            try:
                self._tidy()
            except OSError as error:  # they would be written once more after a restart, without effect
                logger.warning("%s could not be shortened: %s", self._file, error)

    def _load(self) -> None:
        try:
            content = self._file.read_bytes()
        except FileNotFoundError:
            return
        except OSError as error:
            raise ConfigError(f"The waiting marks in {self._file} cannot be read: {error.strerror}.") from error
        *lines, torn = content.split(b"\n")
        self._size = len(content) - len(torn)
        if torn:
            logger.warning("%s ends in a torn line of %d bytes, which was never kept", self._file, len(torn))
        for number, line in enumerate(lines, 1):
            self._take_line(number, line)
        self._saved = len(self._marks)
        if self._saved:
            logger.info("%d marks of before the restart wait for the database", self._saved)

    def _take_line(self, number: int, line: bytes) -> None:
        try:
            self._marks.append(Mark.from_json(self._open(line)))
        except Sealed:
            raise ConfigError(
                f"The waiting marks in {self._file} are encrypted with a key that is not set. Set encryption_key as "
                "it was; or move that file away, and these marks are lost."
            ) from None
        except ValueError:
            self._stale += 1
            logger.exception("line %d of %s is damaged and left out", number, self._file)

    def _save(self) -> bool:
        if self._saved == len(self._marks):
            return True
        unsaved = islice(self._marks, self._saved, None)
        lines = b"".join(self._line(mark) for mark in unsaved)
        try:
            self._write_behind(lines)
        except OSError as error:
            if not self._is_failing:
                logger.error("%s cannot be written; marks wait in memory alone: %s", self._file, error)
            self._is_failing = True
            return False
        self._size += len(lines)
        self._saved = len(self._marks)
        self._is_well_again()
        return True

    def _write_behind(self, lines: bytes) -> None:
        """Behind the last whole line, over what an attempt that failed may have left there."""
        is_new = not self._file.exists()
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(self._file, "r+b", buffering=0, opener=_owners_only) as file:
            file.truncate(self._size)
            file.seek(self._size)
            _write_all(file, lines)
        if is_new:
            _sync_folder(self._file.parent)

    def _tidy(self) -> None:
        """Cut the file when nothing waits; rewrite it when most of it is done with."""
        if not self._marks:
            if self._file.exists():
                os.truncate(self._file, 0)
            self._stale = self._size = 0
            self._is_well_again()
        elif self._stale >= max(self._saved, REWRITE_AT_LINES):
            self._rewrite(islice(self._marks, self._saved))

    def _rewrite(self, marks: Iterable[Mark]) -> None:
        lines = b"".join(self._line(mark) for mark in marks)
        fresh = self._file.with_suffix(".new")
        with open(fresh, "wb", buffering=0, opener=_owners_only) as file:
            _write_all(file, lines)
        fresh.replace(self._file)
        _sync_folder(self._file.parent)
        self._stale, self._size = 0, len(lines)

    def _is_well_again(self) -> None:
        if self._is_failing:
            logger.info("no mark waits in memory alone any more")
        self._is_failing = False

    def _line(self, mark: Mark) -> bytes:
        text = mark.to_json()
        return (base64.b64encode(self._vault.seal(text)) if self._vault.has_key else text) + b"\n"

    def _open(self, line: bytes) -> bytes:
        """What stands in a line: JSON begins with a brace, which base64 does not know."""
        return line if line.startswith(b"{") else self._vault.open(base64.b64decode(line, validate=True))


def _owners_only(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CREAT, 0o600)


def _write_all(file: FileIO, content: bytes) -> None:
    """Write and wait for the disk; a full one may take a part without complaint."""
    if file.write(content) != len(content):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    os.fsync(file)


def _sync_folder(folder: Path) -> None:
    """A new name in a folder is safe from a power cut only then; Windows does so by itself."""
    if os.name == "posix":
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)


def _to_text(value: bytes) -> str:
    return base64.b64encode(value).decode()
