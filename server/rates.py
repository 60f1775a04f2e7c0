"""How often one address may ask for something: a token bucket for each.

A class behind one address opens the page at once: a burst passes, and only what goes on and on does not.
"""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable

MAX_ADDRESSES = 10_000


class Rate:
    """Lets `per_s` requests a second of one address pass, and `burst` at once after a pause.

    Holds at most `MAX_ADDRESSES`, forgetting those that were silent the longest.
    """

    def __init__(self, per_s: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_s = per_s
        self._burst = burst
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_s(self, address: str) -> float:
        """Count one request; 0 when it may pass, else in how many seconds the next one may."""
        now, address = self._clock(), network_of(address)
        level, since = self._buckets.pop(address, (float(self._burst), now))
        level = min(self._burst, level + (now - since) * self._per_s)
        passes = level >= 1
        self._buckets[address] = (level - passes, now)
        if len(self._buckets) > MAX_ADDRESSES:
            self._buckets.popitem(last=False)
        return 0.0 if passes else (1 - level) / self._per_s


def network_of(address: str) -> str:
    """Whom an address counts for: somebody with IPv6 has a whole network of 2^64 addresses (RFC 6177)."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.version == 4:
        return str(parsed)
    return str(parsed.ipv4_mapped or ipaddress.ip_network((parsed, 64), strict=False))
