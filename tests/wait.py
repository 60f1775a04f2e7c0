"""Waiting for a condition with a deadline; tests never wait for a duration."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, overload

T = TypeVar("T")
POLL_S = 0.02


@overload
async def until(condition: Callable[[], Awaitable[T]], timeout_s: float = 10.0, what: str = "") -> T: ...


@overload
async def until(condition: Callable[[], T], timeout_s: float = 10.0, what: str = "") -> T: ...


async def until(condition: Callable[[], Any], timeout_s: float = 10.0, what: str = "") -> Any:
    """Poll `condition` until it is true and return its value; fail the test after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while True:
        result = condition()
        value = await result if inspect.isawaitable(result) else result
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_s} s: {what or inspect.getsource(condition).strip()}")
        await asyncio.sleep(POLL_S)


def until_sync(condition: Callable[[], T], timeout_s: float = 10.0, what: str = "") -> T:
    """Like `until`, for tests without an event loop."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_s} s: {what or inspect.getsource(condition).strip()}")
        time.sleep(POLL_S)
