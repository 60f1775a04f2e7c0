"""The listening socket, and when a server refuses to open it."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from server.accounts import Accounts, NewToken
from server.config import Settings
from server.database import open_database
from server.errors import ConfigError
from server.passwords import hash_password
from server.serving import listen, require_credentials


def test_connections_answer_without_delay() -> None:
    with listen("127.0.0.1", 0) as listening, socket.create_connection(listening.getsockname()):
        accepted, _ = listening.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.parametrize("chosen", [{"host": "127.0.0.1"}, {"host": "0.0.0.0", "insecure": True}])
def test_this_machine_and_the_insecure_need_no_credentials(chosen: dict[str, Any], tmp_path: Path) -> None:
    require_credentials(Settings(data=tmp_path / "data", **chosen))
    assert not (tmp_path / "data").exists()


def test_any_other_address_needs_somebody_who_may_watch_and_publish(tmp_path: Path) -> None:
    def settings(**tokens: Any) -> Settings:
        return Settings(host="0.0.0.0", data=tmp_path, **tokens)

    with pytest.raises(ConfigError, match=r"user add NAME --role admin.*token add NAME --scope publish.*--insecure"):
        require_credentials(settings())
    with pytest.raises(ConfigError, match="user add") as caught:
        require_credentials(settings(publish_token="s3cret"))
    assert "token add" not in caught.value.detail
    assert "s3cret" not in caught.value.detail
    require_credentials(settings(publish_token="a", view_token="b"))
    database = open_database(settings())
    Accounts(database).add("Ada", hash_password("ten letters and more"), "admin", [])
    with pytest.raises(ConfigError, match="token add") as caught:
        require_credentials(settings())
    assert "user add" not in caught.value.detail
    Accounts(database).add_token(NewToken("PC", "publish", ("1",)))
    database.close()
    require_credentials(settings())
