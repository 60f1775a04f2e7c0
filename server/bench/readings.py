"""How a running server is, read from outside: from the system, and from its metrics. Linux."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

import httpx
import psutil
from prometheus_client.parser import text_string_to_metric_families

from .processes import BenchError

LAG = "surveillx_loop_lag_seconds_bucket"

# What comes and goes by itself: a connection of HTTP, a thread that waits for work.
SLACK = 2
POLL_S = 0.5
HTTP_TIMEOUT_S = 15.0


@dataclass(frozen=True)
class Reading:
    """A server at one moment. Memory is resident, in MB; `lag` counts the event loop's beats up to each lateness (s).

    `children_mb` is of its own processes, recognition above all; `step` says by how much it does less, being busy.
    """

    rss_mb: float
    children_mb: float
    files: int
    threads: int
    tasks: int
    sessions: int
    step: int
    lag: Mapping[float, float]

    @property
    def counts(self) -> dict[str, int]:
        """What must be given back."""
        return {"files": self.files, "threads": self.threads, "tasks": self.tasks, "connections": self.sessions}

    def left_over(self, before: Reading) -> dict[str, int]:
        """What there is more than `before`, beyond the slack; of connections there is none."""
        more = {name: count - before.counts[name] for name, count in self.counts.items()}
        return {name: count for name, count in more.items() if count > (0 if name == "connections" else SLACK)}


def asking(url: str) -> httpx.Client:
    """A client that asks now and then: a connection kept for the next time may be closed by the server just then."""
    limits = httpx.Limits(max_keepalive_connections=0)
    return httpx.Client(base_url=url, timeout=HTTP_TIMEOUT_S, limits=limits)


def read(pid: int, http: httpx.Client) -> Reading:
    """Read all of it now.

    Raises:
        BenchError: the server does not answer or is not there any more.
    """
    try:
        return _read(psutil.Process(pid), http)
    except (httpx.HTTPError, psutil.NoSuchProcess) as error:
        raise BenchError(f"The server does not tell how it is: {error!r}.") from error


def _read(process: psutil.Process, http: httpx.Client) -> Reading:
    values, lag = _metrics(http)
    with process.oneshot():
        return Reading(
            rss_mb=process.memory_info().rss / 1e6,
            children_mb=sum(_resident(child) for child in process.children(recursive=True)) / 1e6,
            files=process.num_fds(),
            threads=process.num_threads(),
            tasks=round(values["surveillx_tasks"]),
            sessions=round(values.get("surveillx_sessions", 0.0)),
            step=round(values["surveillx_degradation"]),
            lag=lag,
        )


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:  # it has just been replaced
        return 0


def _metrics(http: httpx.Client) -> tuple[dict[str, float], dict[float, float]]:
    """Each metric summed over its labels, and the buckets of the loop's lateness."""
    values: dict[str, float] = {}
    lag = {}
    for family in text_string_to_metric_families(http.get("/metrics").raise_for_status().text):
        for sample in family.samples:
            values[sample.name] = values.get(sample.name, 0.0) + sample.value
            if sample.name == LAG:
                lag[float(sample.labels["le"])] = sample.value
    return values, lag


def settled(pid: int, http: httpx.Client, before: Reading, timeout_s: float) -> tuple[Reading, float]:
    """Wait until nothing is left over of what has come since `before`: how it is then, and after how many seconds.

    After `timeout_s` it is how it is by then.
    """
    began = time.monotonic()
    while True:
        now, passed_s = read(pid, http), time.monotonic() - began
        if not now.left_over(before) or passed_s > timeout_s:
            return now, passed_s
        time.sleep(POLL_S)


def lag_quantile_ms(before: Mapping[float, float], after: Mapping[float, float], share: float) -> float:
    """How late the loop was at the most in that share of the beats between two readings, milliseconds.

    Even within a bucket, as Prometheus' histogram_quantile has it; past the last bucket, that one's bound.
    """
    counts = {bound: after[bound] - before.get(bound, 0.0) for bound in sorted(after)}
    wanted = share * max(counts.values())
    low, passed = 0.0, 0.0
    for bound, count in counts.items():
        if count >= wanted and count > passed:
            return 1000 * (low if bound == float("inf") else low + (bound - low) * (wanted - passed) / (count - passed))
        low, passed = bound, count
    return 0.0
