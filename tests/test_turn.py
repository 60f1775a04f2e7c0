"""Relay credentials: what coturn would compute, and who is given them."""

from __future__ import annotations

import base64
import hmac
import time
from pathlib import Path

import pytest

from server.api import ice
from server.config import Settings, load_settings
from server.errors import ConfigError
from server.turn import IceServer, ice_servers
from tests.api_app import serving

URLS = ("turn:turn.school:3478?transport=udp", "turns:[fd00::1]:5349?transport=tcp")
SECRET = "north"


def test_the_credentials_are_those_of_the_draft() -> None:
    """The password computed by hand: `printf 1800:1a2b | openssl dgst -sha1 -hmac north -binary | base64`."""
    settings = Settings(turn_urls=URLS, turn_secret=SECRET, turn_ttl_s=800)
    assert ice_servers(settings, "1a2b", 1000.9) == [IceServer(URLS, "1800:1a2b", "YMUwFBFsbZ/KZu01NNO6G6N3zQA=")]
    assert ice_servers(Settings(), "1a2b", 1000.0) == []
    assert "YMUwFBFsbZ/KZu01NNO6G6N3zQA=" not in repr(ice_servers(settings, "1a2b", 1000.0))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"turn_urls": "turn.school:3478", "turn_secret": SECRET}, "turn_urls = 'turn.school:3478': it must be like"),
        ({"turn_urls": "stun:turn.school", "turn_secret": SECRET}, "it must be like turn:"),
        ({"turn_urls": "turn:turn.school?transport=sctp", "turn_secret": SECRET}, "it must be like turn:"),
        ({"turn_urls": "turn:turn.school"}, "belong together"),
        ({"turn_secret": SECRET}, "belong together"),
        ({"turn_ttl_s": "60"}, "at least 600"),
    ],
)
def test_wrong_settings_are_named(values: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigError, match=words) as refused:
        load_settings(environ={f"SURVEILLX_{name.upper()}": value for name, value in values.items()})
    assert SECRET not in str(refused.value)


def test_the_secret_may_stand_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "turn").write_text(f"{SECRET}\n")
    environ = {"SURVEILLX_TURN_URLS": ",".join(URLS), "SURVEILLX_TURN_SECRET_FILE": str(tmp_path / "turn")}
    assert load_settings(environ=environ).turn_secret == SECRET


async def test_whoever_may_view_or_publish_gets_them(tmp_path: Path) -> None:
    tokens = {"view_token": "see", "publish_token": "send"}
    async with serving([ice.router], tmp_path, **tokens, turn_urls=URLS, turn_secret=SECRET) as served:
        assert (await served.client.get("/api/ice-servers")).status_code == 401
        users = set()
        for token in tokens.values():
            answer = await served.client.get("/api/ice-servers", headers={"Authorization": f"Bearer {token}"})
            assert answer.headers["cache-control"] == "no-store"
            (server,) = answer.json()
            assert server["urls"] == list(URLS)
            assert 3590 < int(server["username"].split(":")[0]) - time.time() <= 3600
            digest = hmac.digest(SECRET.encode(), server["username"].encode(), "sha1")
            assert server["credential"] == base64.b64encode(digest).decode()
            users.add(server["username"].split(":")[1])
        assert len(users) == 2
