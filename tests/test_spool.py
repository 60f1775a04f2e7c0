"""The file of waiting marks: what counts as kept, and what a kill or a full disk leaves."""

from __future__ import annotations

import errno
import os
import resource
import signal
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

import server.spool
from server.errors import ConfigError
from server.spool import Mark, Spool
from server.vault import Vault
from tests.sightings import CROP, face, sighting

AT = datetime(2026, 3, 2, 7, 5, tzinfo=UTC)
KEY, OTHER_KEY = "A" * 43, "B" * 43


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "new" / "waiting-marks.jsonl"


@contextmanager
def full_disk(file: Path) -> Iterator[None]:
    """No file of the process can grow longer than this one is, as on a disk that is full (RLIMIT_FSIZE)."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    at_limit = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (file.stat().st_size + 10, before[1]))  # a part of a line still fits
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, at_limit)


def mark(person: int) -> Mark:
    return Mark(sighting(person), AT)


def people(spool: Spool) -> list[int | None]:
    return [each.seen.person_id for each in spool.oldest(len(spool))]


def filled(file: Path, *persons: int, key: str = "") -> Spool:
    spool = Spool(file, Vault(key))
    for person in persons:
        assert spool.append(mark(person))
    return spool


def test_a_mark_comes_back_as_it_was(file: Path) -> None:
    filled(file, 1)
    [back] = Spool(file, Vault()).oldest(5)
    assert back.at == AT
    wanted = sighting(1)
    assert all(getattr(back.seen, name) == getattr(wanted, name) for name in wanted.__slots__)
    assert (back.seen.embedding, back.seen.crop) == (face(1), CROP)


def test_the_file_is_the_owners_and_appears_when_needed(file: Path) -> None:
    spool = Spool(file, Vault())
    assert not file.exists()
    spool.append(mark(1))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_what_is_done_with_is_gone_from_the_disk(file: Path) -> None:
    spool = filled(file, 1, 2)
    spool.drop_oldest(2)
    assert (len(spool), file.read_bytes()) == (0, b"")
    spool.append(mark(3))
    assert people(Spool(file, Vault())) == [3]


def test_order_survives_a_restart(file: Path) -> None:
    filled(file, 3, 1, 2)
    again = Spool(file, Vault())
    again.append(mark(5))
    assert people(again) == people(Spool(file, Vault())) == [3, 1, 2, 5]


def test_with_a_key_nothing_of_a_face_is_readable(file: Path) -> None:
    filled(file, 1, key=KEY)
    assert b"embedding" not in file.read_bytes()
    assert people(Spool(file, Vault(KEY))) == [1]
    for vault in (Vault(), Vault(OTHER_KEY)):
        with pytest.raises(ConfigError, match="encryption_key"):
            Spool(file, vault)
    assert people(Spool(file, Vault(KEY))) == [1], "a start with the wrong key loses nothing"


def test_what_was_kept_before_there_was_a_key_is_readable(file: Path) -> None:
    filled(file, 1)
    spool = Spool(file, Vault(KEY))
    spool.append(mark(2))
    assert people(Spool(file, Vault(KEY))) == [1, 2]


@pytest.mark.parametrize("torn", [b"{", b'{"at":"2026-03-02T07:05:00+00:00","camera', b"AAAA", b"\x00" * 20])
def test_a_torn_end_is_cut_off(file: Path, torn: bytes, caplog: pytest.LogCaptureFixture) -> None:
    filled(file, 1, 2)
    with file.open("ab") as end:
        end.write(torn)
    spool = Spool(file, Vault())
    assert people(spool) == [1, 2]
    assert "torn" in caplog.text
    spool.append(mark(3))
    assert people(Spool(file, Vault())) == [1, 2, 3]


@pytest.mark.parametrize("damaged", [b"{}", b'{"at": 5}', b"[]", b"{\x00", b"not base64!", b"", b"AAAA"])
def test_a_damaged_line_costs_one_mark(file: Path, damaged: bytes, caplog: pytest.LogCaptureFixture) -> None:
    filled(file, 1)
    with file.open("ab") as end:
        end.write(damaged + b"\n")
    filled_again = Spool(file, Vault())
    filled_again.append(mark(2))
    spool = Spool(file, Vault())
    assert people(spool) == [1, 2]
    assert "line 2" in caplog.text
    spool.drop_oldest(2)
    assert file.read_bytes() == b""


def test_a_file_that_is_none_stops_the_start(file: Path) -> None:
    file.mkdir(parents=True)
    with pytest.raises(ConfigError, match="cannot be read"):
        Spool(file, Vault())


def test_a_long_file_is_rewritten_when_most_is_done_with(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server.spool, "REWRITE_AT_LINES", 4)
    spool = filled(file, *range(10))
    spool.drop_oldest(4)
    assert file.read_bytes().count(b"\n") == 10, "it is not worth it yet"
    spool.drop_oldest(2)
    assert file.read_bytes().count(b"\n") == 4
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    spool.append(mark(10))
    assert people(Spool(file, Vault())) == people(spool) == [6, 7, 8, 9, 10]


def test_a_full_disk_keeps_marks_in_memory_and_then_on_the_disk(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    spool = filled(file, 1)
    with full_disk(file):
        assert not spool.append(mark(2))
        assert not spool.append(mark(3))
        assert not spool.save()
    assert people(spool) == [1, 2, 3]
    assert people(Spool(file, Vault())) == [1]
    assert caplog.text.count("marks wait in memory alone") == 1
    assert spool.save()
    assert people(Spool(file, Vault())) == [1, 2, 3]
    spool.drop_oldest(3)
    assert file.read_bytes() == b""


def test_marks_that_waited_in_memory_alone_can_be_done_with(file: Path) -> None:
    spool = filled(file, 1)
    with full_disk(file):
        spool.append(mark(2))
        spool.append(mark(3))
        spool.drop_oldest(2)
        assert people(spool) == [3]
    assert spool.append(mark(4))
    assert people(Spool(file, Vault())) == [1, 3, 4], "a line that is done with may come back"


def test_the_full_disk_of_these_tests_is_one(file: Path) -> None:
    filled(file, 1)
    with full_disk(file), file.open("ab", buffering=0) as end:
        assert end.write(b"x" * 100) == 10
        with pytest.raises(OSError, match=os.strerror(errno.EFBIG)):
            end.write(b"x")
