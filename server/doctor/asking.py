"""A request to the server, whose own faults are told as every other step's."""

from __future__ import annotations

from typing import Any

import httpx

from .steps import Failed


async def ask(http: httpx.AsyncClient, method: str, path: str, json: Any = None) -> httpx.Response:
    """The answer, whatever its status.

    Raises:
        Failed: none comes.
    """
    try:
        return await http.request(method, path, json=json)
    except httpx.HTTPError as error:
        raise Failed(
            f"The connection broke off: {error or type(error).__name__}.",
            "Try again; if it stays so, look at the server's log, and at what stands in between (a proxy, a filter).",
        ) from error


def detail(answer: httpx.Response) -> str:
    """What a refusal says, in the server's own words."""
    try:
        return str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return answer.reason_phrase
