"""`surveillx bench faults` works: a short fault, once. Nothing here says how good a figure is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import av
import pytest

from server.bench import crowded, faults, product
from server.bench.groups import inside, memory_group
from server.bench.processes import BenchError
from server.sample import CLIP


def test_a_short_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faults, "SETTLE_S", 1.0)
    result = faults.run(1, str(CLIP), ["standstill"])
    (row,) = result.rows
    assert row[0].startswith("server stands still for 0.5 s")
    assert result.figures[row[0]]["worst_s"] > 0
    assert "of 1 goals met; 1 times" in result.text()


def test_a_fault_that_is_none() -> None:
    with pytest.raises(BenchError, match=r"no fault flood\. There are: publisher, "):
        faults.run(1, str(CLIP), ["flood"])


def test_waiting_in_vain_is_told() -> None:
    with pytest.raises(BenchError, match=r"^It never came within 0.1 s\.$"):
        product.wait(lambda: False, "it never came", 0.1)


def test_a_room_of_thirty(tmp_path: Path) -> None:
    file = tmp_path / "crowd.mp4"
    crowded.write(file)
    with av.open(str(file)) as container:
        frames = list(container.decode(video=0))
    assert len(frames) == crowded.FPS * crowded.SECONDS
    assert (frames[0].width, frames[0].height) == (1280, 720)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root makes control groups")
def test_a_group_holds_what_is_started_inside() -> None:
    mine = Path("/proc/self/cgroup").read_text()
    with memory_group(200) as group:
        if group is None:
            pytest.skip("this system lets nobody make control groups for memory")
        with inside(group):
            process = subprocess.Popen([sys.executable, "-c", "input(); b'x' * 300_000_000"], stdin=subprocess.PIPE)
        assert Path("/proc/self/cgroup").read_text() == mine
        assert "surveillx-bench-" in Path(f"/proc/{process.pid}/cgroup").read_text()
        process.communicate(b"\n", timeout=20)
        assert process.returncode == -9, "more than it may hold"
    assert not group.exists()
