"""Settings: where they come from, and that a wrong one is named at start-up."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from server.config import Settings, load_settings
from server.errors import ConfigError


def load(flags: dict[str, Any] | None = None, file: Path | None = None, **environ: str) -> Settings:
    return load_settings(flags, {f"SURVEILLX_{name.upper()}": value for name, value in environ.items()}, file)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "surveillx.toml"


def test_nothing_set_is_the_defaults() -> None:
    assert load() == Settings()
    assert load_settings({"port": None}, {"PATH": "/bin", "SURVEILLANCE": "1"}) == Settings()


def test_flags_over_environment_over_file(file: Path) -> None:
    file.write_text('port = 1\nhost = "::1"\njpeg_quality = 10\n')
    settings = load({"port": 3, "host": None}, file, port="2", jpeg_quality="20")
    assert (settings.port, settings.jpeg_quality, settings.host) == (3, 20, "::1")


def test_the_environment_is_read_where_none_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("SURVEILLX_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("SURVEILLX_PORT", "81")
    assert load_settings().port == 81


def test_kinds(file: Path) -> None:
    file.write_text('cameras = ["hall", 2]\nrecognition_distance = 1\ninsecure = true\ndata = "d"\n')
    settings = load(file=file)
    assert (settings.cameras, settings.recognition_distance, settings.insecure) == (("hall", "2"), 1.0, True)
    assert settings.data == Path("d")
    assert load(cameras=" hall , 2,").cameras == ("hall", "2")
    assert [load(insecure=word).insecure for word in ("1", "Yes", "TRUE", "0", "no", "False", "")] == [True] * 3 + [
        False
    ] * 4


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("port", "http", "port = 'http' is not a whole number"),
        ("port", "65536", "port = 65536: it must be from 0 to 65535"),
        ("port", "-1", "port = -1"),
        ("insecure", "maybe", "insecure = 'maybe' is not yes or no"),
        ("stale_after_s", "0", "stale_after_s = 0.0: it must be more than 0 seconds"),
        ("stale_after_s", "nan", "stale_after_s = nan"),
        ("close_timeout_s", "inf", "close_timeout_s = inf"),
        ("close_timeout_s", "soon", "close_timeout_s = 'soon' is not a number"),
        ("recognition_distance", "-0.1", "recognition_distance = -0.1: it cannot be negative"),
        ("recognition_every", "-5", "recognition_every = -5: it cannot be negative"),
        ("jpeg_quality", "101", "jpeg_quality = 101: it must be from 1 to 100"),
        ("max_sessions", "0", "max_sessions = 0: it must be at least 1"),
        ("log_level", "loud", "log_level = 'loud': it must be one of DEBUG"),
        ("interfaces", "eth0", "'eth0': it must be an IP address"),
        ("public_address", "school.example", "'school.example': it must be an IP address"),
        ("potr", "1", "There is no setting SURVEILLX_POTR. Did you mean port?"),
        ("port_file", "x", "There is no setting SURVEILLX_PORT_FILE"),
    ],
)
def test_a_wrong_value_is_named(variable: str, value: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(None, {f"SURVEILLX_{variable.upper()}": value})
    assert words in caught.value.detail


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("port = true", "port = True is not a whole number"),
        ("port = 8080.5", "port = 8080.5 is not a whole number"),
        ("insecure = 2", "insecure = 2 is not yes or no"),
        ("host = 1", "host = 1 is not text"),
        ("cameras = 7", "cameras = 7 is not a list"),
        ("data = []", "data = [] is not a path"),
        ("stale_after_s = [1]", "stale_after_s = [1] is not a number"),
        ("[server]", "There is no setting server"),
        ("port = ", "cannot be read"),
    ],
)
def test_a_wrong_line_in_the_file_is_named(file: Path, line: str, words: str) -> None:
    file.write_text(line)
    with pytest.raises(ConfigError) as caught:
        load(file=file)
    assert words in caught.value.detail


def test_a_file_that_is_not_there(file: Path) -> None:
    with pytest.raises(ConfigError, match=r"surveillx\.toml cannot be read"):
        load(file=file)


def test_secrets_come_from_files(tmp_path: Path) -> None:
    secret = tmp_path / "token"
    secret.write_text("s3cret\n")
    settings = load(view_token_file=str(secret), publish_token="direct")
    assert (settings.view_token, settings.publish_token) == ("s3cret", "direct")
    with pytest.raises(ConfigError, match="Both SURVEILLX_VIEW_TOKEN and SURVEILLX_VIEW_TOKEN_FILE are set"):
        load(view_token_file=str(secret), view_token="x")
    with pytest.raises(ConfigError, match="SURVEILLX_VIEW_TOKEN_FILE names a file that cannot be read"):
        load(view_token_file=str(tmp_path / "none"))
    secret.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="cannot be read"):
        load(view_token_file=str(secret))


@pytest.mark.parametrize("token", ["s3cret word", "s3cret\n", "s3crét", "\x00s3cret"])
def test_a_token_that_no_header_carries_is_refused_and_not_shown(token: str) -> None:
    with pytest.raises(ConfigError, match="view_token: a token has ASCII") as caught:
        load(view_token=token)
    assert "s3cr" not in caught.value.detail


def test_a_secret_of_the_wrong_kind_is_not_shown(file: Path) -> None:
    file.write_text('view_token = ["s3cret"]')
    with pytest.raises(ConfigError, match="view_token") as caught:
        load(file=file)
    assert "s3cret" not in caught.value.detail


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_what_is_loopback(host: str) -> None:
    assert Settings(host=host).is_loopback


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "school.example", "", "localhost.example"])
def test_what_is_not(host: str) -> None:
    assert not Settings(host=host).is_loopback


def test_the_database_is_in_the_data_folder_unless_told(tmp_path: Path) -> None:
    assert load({"data": tmp_path}).resolved_database_url == f"sqlite:///{tmp_path / 'surveillx.db'}"
    assert load(database_url="postgresql:///school").resolved_database_url == "postgresql:///school"


def test_our_own_publisher_gets_the_token_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "token"
    file.write_text("secret")
    monkeypatch.setenv("SURVEILLX_PUBLISH_TOKEN_FILE", str(file))
    environment = load_settings().publisher_environment()
    assert environment["SURVEILLX_PUBLISH_TOKEN"] == "secret"
    assert load_settings(environ=environment).publish_token == "secret", "not both, which would be refused"
