"""Every route of the OpenAPI description, called with what schemathesis makes up, with credentials and without.

Never a 500, always words; and without credentials nothing but 401 where the description does not say "public".
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import given, settings
from hypothesis.errors import Unsatisfiable

REPOSITORY = Path(__file__).resolve().parent.parent
TOKENS = {"SURVEILLX_PUBLISH_TOKEN": "s3cret-publish", "SURVEILLX_VIEW_TOKEN": "s3cret-view"}
PUBLIC = {"/healthz", "/readyz", "/login", "/logout"}


@schemathesis.serializer("application/sdp", "application/trickle-ice-sdpfrag")
def text(_context: object, value: object) -> bytes:
    """WHIP's and WHEP's bodies."""
    return str(value).encode(errors="replace")


@contextlib.contextmanager
def serving(data: Path, **environment: str) -> Iterator[str]:
    """A server in a process of its own; its address."""
    command = [sys.executable, "-m", "server.cli", "serve", "--port", "0", "--data", str(data)]
    chosen = {**os.environ, "SURVEILLX_RECOGNITION_EVERY": "0", "SURVEILLX_MEDIA_PORTS": "0", **environment}
    process = subprocess.Popen(command, cwd=REPOSITORY, env=chosen, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().split()[-1]
        assert process.poll() is None, "the server is still there"
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def open_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Everybody of this machine may do everything."""
    with serving(tmp_path_factory.mktemp("open")) as url:
        yield url


@pytest.fixture(scope="module")
def closed_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(tmp_path_factory.mktemp("closed"), **TOKENS) as url:
        yield url


FEW = settings(max_examples=max(3, settings().max_examples // 50))


def attack(url: str, check: Callable[[Any], None], base_url: str | None = None) -> int:
    """Call every route of the description at `url` with what fits it, and with what does not; how many routes."""
    description = schemathesis.openapi.from_dict(httpx.get(f"{url}/openapi.json").json())
    description.config.base_url = base_url or url
    operations: list[Any] = [each.ok() for each in description.get_all_operations()]  # type: ignore[union-attr]
    for operation in operations:
        for mode in schemathesis.GenerationMode:

            @FEW
            @given(operation.as_strategy(generation_mode=mode))
            def call(case: Any) -> None:
                check(case)

            try:
                call()
            except Unsatisfiable:  # whatever is sent fits a route that takes nothing
                continue
    return len(operations)


def require_words(response: Any) -> None:
    assert response.status_code < 500 or response.status_code == 503  # recognition is off here
    if response.status_code >= 400 and response.request.method != "HEAD":
        assert response.headers["content-type"] == ["application/problem+json"]
        assert response.json()["detail"]
        assert "Traceback" not in response.text


def test_any_call_is_answered_in_words(open_server: str) -> None:
    assert attack(open_server, lambda case: require_words(case.call(timeout=20))) > 30


def test_nobody_gets_anything_without_credentials(open_server: str, closed_server: str) -> None:
    def refused(case: Any) -> None:
        response = case.call(timeout=20)
        if case.path in PUBLIC or case.method.upper() == "OPTIONS":
            require_words(response)
        else:
            assert response.status_code in {401, 413}, response.text

    assert attack(open_server, refused, closed_server) > 30
