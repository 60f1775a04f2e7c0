"""Room for one more session: what the system says is believed, and who comes too many is told so."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from server.room import memory_left_mb, shortage

MB = 1 << 20


def write(root: Path, **files: str) -> Path:
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("_DOT_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def version_2(root: Path, limit: str, used: int, cache: int) -> Path:
    group = "sys__fs__cgroup__school.slice__"
    return write(
        root,
        **{
            "proc__self__cgroup": "0::/school.slice\n",
            f"{group}memory.max": f"{limit}\n",
            f"{group}memory.current": f"{used}\n",
            f"{group}memory.stat": f"anon 1\ninactive_file {cache}\n",
        },
    )


def test_this_machine_has_room() -> None:
    assert shortage() == ""
    left = memory_left_mb()
    assert left is None or left > 0


def test_a_control_group_of_version_2(tmp_path: Path) -> None:
    left = memory_left_mb(version_2(tmp_path, str(500 * MB), 480 * MB, 100 * MB))
    assert left == pytest.approx(120 * MB / 1e6)


def test_a_group_without_a_limit_leaves_it_to_the_machine(tmp_path: Path) -> None:
    version_2(tmp_path, "max", 480 * MB, 0)
    assert memory_left_mb(tmp_path) is None
    write(tmp_path, proc__meminfo="MemTotal: 900 kB\nMemAvailable:     2000000 kB\n")
    assert memory_left_mb(tmp_path) == pytest.approx(2048)


def test_a_control_group_of_version_1_seen_from_inside_its_container(tmp_path: Path) -> None:
    group = "sys__fs__cgroup__memory__"
    write(
        tmp_path,
        **{
            "proc__self__cgroup": "5:cpu:/docker/1\n4:memory:/docker/1\n0::/\n",
            f"{group}memory.limit_in_bytes": f"{500 * MB}\n",
            f"{group}memory.usage_in_bytes": f"{490 * MB}\n",
            f"{group}memory.stat": f"cache 1\ntotal_inactive_file {2 * MB}\n",
        },
    )
    assert memory_left_mb(tmp_path) == pytest.approx(12 * MB / 1e6)


def test_a_system_that_says_nothing_has_room(tmp_path: Path) -> None:
    assert memory_left_mb(tmp_path) is None


FEW_FILES = """
import asyncio, os, resource, sys
from contextlib import AsyncExitStack
from pathlib import Path
import httpx
from tests.live import live
from tests.peers import Client, PatternTrack

async def main(data):
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(live(data))
        publisher = Client(server.http)
        stack.push_async_callback(publisher.close)
        await publisher.publish(PatternTrack())
        first = Client(server.http)
        stack.push_async_callback(first.close)
        counter = await first.view()
        while counter.frames < 5:
            await asyncio.sleep(0.02)
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
        held = [os.open("/dev/null", os.O_RDONLY) for _ in range(256 - 50 - len(os.listdir("/proc/self/fd")))]
        refused = Client(server.http)
        stack.push_async_callback(refused.close)
        try:
            await refused.view()
        except httpx.HTTPStatusError as error:
            print(error.response.status_code, error.response.headers["retry-after"], error.response.json()["detail"])
        frames = counter.frames
        while counter.frames < frames + 10:
            await asyncio.sleep(0.02)
        for each in held:
            os.close(each)
        await refused.peer.close()
        second = Client(server.http)
        stack.push_async_callback(second.close)
        counter = await second.view()
        while not counter.frames:
            await asyncio.sleep(0.02)
        print("served")

asyncio.run(asyncio.wait_for(main(Path(sys.argv[1])), 30))
"""


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts them the way Linux shows them")
def test_with_few_files_left_a_viewer_is_refused_and_the_others_go_on(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-c", FEW_FILES, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[1],
        timeout=60,
    )
    lines = result.stdout.splitlines()
    assert len(lines) == 2, result.stderr
    assert lines[0].startswith("503 10 This server has no room for one more: it may open 256 files")
    assert lines[1] == "served"
