"""Settings: flags, then `SURVEILLX_*` environment, then a TOML file, then the defaults below.

The only reader of `os.environ`. Standard library only, so that a camera PC can import it without the server's packages.
Unknown keys and values that do not fit are errors at start-up which name the key.
"""

from __future__ import annotations

import difflib
import ipaddress
import math
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, get_type_hints
from urllib.parse import urlsplit

from .errors import ConfigError

PREFIX = "SURVEILLX_"
SECRETS = (
    "publish_token",
    "view_token",
    "database_url",
    "encryption_key",
    "webhook_secret",
    "turn_secret",
    "jwt_secret",
)


# Browsers keep them for half of this.
LEAST_TURN_TTL_S = 600.0
LEAST_JWT_SECRET_BYTES = 32
_TURN_URL = re.compile(r"turns?:([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?(\?transport=(udp|tcp))?")


def _setting(default: Any, text: str) -> Any:
    return field(default=default, metadata={"help": text})


_AT_LEAST_ONE = (
    "jpeg_every",
    "max_connecting",
    "max_connecting_per_address",
    "max_sessions",
    "max_sessions_per_address",
    "max_viewers_per_camera",
    "requests_at_once",
    "video_bitrate_bps",
    "video_low_bitrate_bps",
    "recognition_looks",
    "recognition_memory_mb",
    "waiting_marks",
    "evidence_days",
    "visitors_days",
    "audit_days",
    "sign_in_days",
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that can be set. `docs/configuration.md` lists the same, and a test compares the two."""

    host: str = _setting("127.0.0.1", "address to listen on; anything but loopback needs accounts or tokens")
    port: int = _setting(8080, "TCP port of pages and signalling; 0 picks a free one")
    data: Path = _setting(Path("data"), "folder for the database: people, their photos, attendance")
    insecure: bool = _setting(False, "allow a public address without accounts or tokens")
    publish_token: str = _setting("", "bearer token with which every camera may be published")
    view_token: str = _setting("", "bearer token of all staff: to watch, and to look after people and attendance")
    sign_in_days: int = _setting(30, "a browser that signed in is asked again after this many days")
    jwt_secret: str = _setting("", "accept the dashboard's tokens (JWT) signed with this secret (HS256)")
    jwt_jwks_url: str = _setting("", "accept the dashboard's tokens (JWT) signed with the public keys there (JWKS)")
    jwt_issuer: str = _setting("", "the dashboard's tokens must say this issuer (iss)")
    jwt_audience: str = _setting("", "the dashboard's tokens must be for this audience (aud)")
    jwt_role_claim: str = _setting("role", "where the dashboard's tokens say the role")
    jwt_roles: tuple[str, ...] = _setting(
        ("viewer=viewer", "staff=staff", "admin=admin"),
        "what the dashboard's roles may do here, such as teacher=staff,head=admin; *=viewer for all others",
    )
    jwt_cookie: str = _setting("", "the dashboard's cookie that holds its token, where both have one host name")
    trusted_proxies: tuple[str, ...] = _setting(
        ("127.0.0.1", "::1"), "addresses of reverse proxies that tell the client's address and https"
    )
    database_url: str = _setting("", "SQLAlchemy URL; empty is SQLite in the data folder")
    timezone: str = _setting("", "school's time zone, such as Europe/Berlin; empty is this machine's")
    cameras: tuple[str, ...] = _setting(("1",), "cameras known before they first publish")
    language: str = _setting("en", "language of the pages: the name of a file in web/locales")
    log_level: str = _setting("INFO", "DEBUG, INFO, WARNING or ERROR")

    allowed_origins: tuple[str, ...] = _setting(
        (), "origins of other pages that may embed the player, such as http://school:5000; docs/player.md"
    )
    media_ports: str = _setting(
        "8189",
        "UDP ports of the media: one for all sessions (0 picks a free one), or one for each session out of a range "
        "such as 50000-50100, or `ephemeral` for the system's choice",
    )
    interfaces: tuple[str, ...] = _setting((), "addresses offered for media; empty is every address of this machine")
    public_address: str = _setting("", "address outside a 1:1 NAT (AWS), offered beside the private one")
    turn_urls: tuple[str, ...] = _setting(
        (), "TURN servers, a relay where UDP is blocked, such as turn:turn.school:3478?transport=udp; docs/network.md"
    )
    turn_secret: str = _setting("", "shared with the TURN server (coturn's static-auth-secret)")
    turn_ttl_s: float = _setting(3600.0, "TURN credentials are good for this long, at least 600 s")
    connect_timeout_s: float = _setting(10.0, "a peer that has not connected by then is closed")
    first_media_timeout_s: float = _setting(5.0, "a connected publisher that has not sent a picture by then is closed")
    stale_after_s: float = _setting(2.0, "a camera silent for this long shows 'no signal' and may be taken over")
    silent_close_s: float = _setting(9.0, "a publisher silent for this long is closed")
    close_timeout_s: float = _setting(3.0, "closing a peer connection may take this long")
    max_sessions: int = _setting(300, "publishers and viewers together; more are refused with 503")
    max_sessions_per_address: int = _setting(
        200, "of them from one client address, which a whole school may share; more are refused with 429"
    )
    max_viewers_per_camera: int = _setting(200, "viewers of one camera; more are refused with 503")
    max_connecting: int = _setting(128, "connections that do not stand yet; more are refused with 503 for the moment")
    max_connecting_per_address: int = _setting(64, "of them from one client address; more are refused with 429")
    requests_per_second: float = _setting(
        20.0, "connections that one client address may open, change or end each second, in the long run; then 429"
    )
    requests_at_once: int = _setting(
        300, "of them at once, after a pause: a school that opens its pages when a lesson begins"
    )

    video_bitrate_bps: int = _setting(2_500_000, "bitrate of the picture sent to viewers, 720p at most")
    video_low_bitrate_bps: int = _setting(250_000, "bitrate of the 360p picture, for viewers behind a slow line")
    keyframe_interval_s: float = _setting(0.5, "at most one requested keyframe in this time, for all viewers together")

    recognition_every: int = _setting(5, "recognise every n-th frame; 0 switches recognition off")
    recognition_yunet: str = _setting(
        "", "model file of OpenCV's YuNet, to find faces with it; empty is libfacedetection"
    )
    recognition_distance: float = _setting(0.5, "largest embedding distance that is still the same person")
    recognition_margin: float = _setting(0.04, "how much nearer than the second-best person the best must be")
    recognition_not_them: float = _setting(
        0.35, "a face this near to one that was marked as the wrong person is not named so again"
    )
    recognition_looks: int = _setting(3, "looks at a face that must agree before it has a name")
    recognition_looks_of: int = _setting(5, "of this many newest looks at that face")
    recognition_confirm_s: float = _setting(5.0, "a named face is looked at again after this time")
    recognition_min_face_px: float = _setting(40.0, "smaller faces are drawn, but not named")
    recognition_min_sharpness: float = _setting(0.06, "more blurred faces are drawn, but not named")
    recognition_timeout_s: float = _setting(3.0, "a recognition that takes longer is killed and restarted")
    recognition_memory_mb: int = _setting(1500, "the recognition process is renewed when it holds more memory")
    pixelate_unknown: bool = _setting(False, "pixelate every face without a name, not only those without consent")

    attendance_sessions: tuple[str, ...] = _setting(
        (), "sessions of a day, such as morning=00:00,afternoon=12:30: one mark in each; empty is one mark a day"
    )
    waiting_marks: int = _setting(3000, "marks kept in the spool file while the database is away")
    evidence: bool = _setting(True, "keep a small picture of the face with each mark")
    evidence_days: int = _setting(30, "pictures and measurements that prove a mark are removed after this many days")
    visitors: bool = _setting(True, "group unknown faces, to enrol or ignore them")
    visitors_days: int = _setting(7, "unknown faces are removed this many days after they were last seen")
    audit_days: int = _setting(365, "audit lines are removed after this many days")
    on_delete: str = _setting(
        "anonymise", "attendance of a deleted person: anonymise (only counts stay), keep (with the name) or delete"
    )
    encryption_key: str = _setting(
        "", "encrypts faces at rest: 32 bytes in URL-safe base64; empty leaves them readable"
    )
    webhook_url: str = _setting("", "another system that is told of attendance, by POST")
    webhook_secret: str = _setting("", "signs what the webhook is told (HMAC-SHA256)")

    legacy_url: str = _setting("", "existing Flask app to forward JPEG frames to, such as http://localhost:5000")
    jpeg_every: int = _setting(2, "the JPEG path carries every n-th frame")
    jpeg_quality: int = _setting(70, "JPEG quality, 1 to 100")

    def __post_init__(self) -> None:
        _require(0 <= self.port <= 65535, "port", self.port, "it must be from 0 to 65535")
        first, last = self.media_port_range
        wanted = "it must be a port such as 8189, a range such as 50000-50100, or ephemeral"
        _require(0 <= first <= last <= 65535, "media_ports", self.media_ports, wanted)
        for name in (each.name for each in fields(self) if each.name.startswith("recognition_") and each.type != "str"):
            _require(getattr(self, name) >= 0, name, getattr(self, name), "it cannot be negative")
        for name in (each.name for each in fields(self) if each.name.endswith("_s")):
            _require(0 < getattr(self, name) < math.inf, name, getattr(self, name), "it must be more than 0 seconds")
        rate = self.requests_per_second
        _require(0 < rate < math.inf, "requests_per_second", rate, "it must be more than 0")
        for name in _AT_LEAST_ONE:
            _require(getattr(self, name) >= 1, name, getattr(self, name), "it must be at least 1")
        _require(1 <= self.jpeg_quality <= 100, "jpeg_quality", self.jpeg_quality, "it must be from 1 to 100")
        looks, of = self.recognition_looks, self.recognition_looks_of
        _require(looks <= of, "recognition_looks", looks, f"it cannot be more than recognition_looks_of, {of}")
        choices = ("anonymise", "keep", "delete")
        _require(self.on_delete in choices, "on_delete", self.on_delete, f"it must be one of {', '.join(choices)}")
        levels = ("DEBUG", "INFO", "WARNING", "ERROR")
        _require(self.log_level in levels, "log_level", self.log_level, f"it must be one of {', '.join(levels)}")
        for address in (*self.interfaces, *filter(None, [self.public_address])):
            _require(_is_address(address), "interfaces or public_address", address, "it must be an IP address")
        for origin in self.allowed_origins:
            _require(
                _is_origin(origin), "allowed_origins", origin, "it must be like http://school:5000, without a path"
            )
        for name in ("publish_token", "view_token"):
            _require_token(name, getattr(self, name))
        _require_jwt(self)
        for proxy in self.trusted_proxies:
            _require(_is_network(proxy), "trusted_proxies", proxy, "it must be an IP address or a network")
        _require_turn(self.turn_urls, self.turn_secret)
        _require(self.turn_ttl_s >= LEAST_TURN_TTL_S, "turn_ttl_s", self.turn_ttl_s, "it must be at least 600 seconds")
        if self.webhook_url:
            _require_webhook(self.webhook_url, self.webhook_secret)

    @property
    def is_loopback(self) -> bool:
        """Whether `host` can be reached from this machine only."""
        if self.host == "localhost":
            return True
        return _is_address(self.host) and ipaddress.ip_address(self.host).is_loopback

    @property
    def roles_of_dashboard(self) -> dict[str, str]:
        """What each role of the dashboard is here: viewer, staff or admin."""
        return {theirs.strip(): ours.strip() for theirs, _, ours in (each.partition("=") for each in self.jwt_roles)}

    @property
    def media_port_range(self) -> tuple[int, int]:
        """First and last of `media_ports`, the same where it is one; 1 and 65535 for `ephemeral`; -1 if it is none."""
        if self.media_ports == "ephemeral":
            return 1, 65535
        found = re.fullmatch(r"([0-9]{1,5})(?:-([0-9]{1,5}))?", self.media_ports)
        return (int(found[1]), int(found[2] or found[1])) if found else (-1, -1)

    def publisher_environment(self) -> dict[str, str]:
        """The environment for a publisher process of ours: this one's, with the token in force."""
        token = PREFIX + "PUBLISH_TOKEN"
        inherited = {name: value for name, value in os.environ.items() if name != f"{token}_FILE"}  # noqa: TID251 - the one reader
        return {**inherited, token: self.publish_token}

    @property
    def resolved_database_url(self) -> str:
        """The SQLAlchemy URL in force."""
        return self.database_url or f"sqlite:///{(self.data / 'surveillx.db').resolve()}"


def load_settings(
    flags: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
    file: Path | None = None,
) -> Settings:
    """Merge flags over environment over file over defaults.

    `flags` maps setting names to values; None values are ignored. `environ` is `os.environ` unless given.

    Raises:
        ConfigError: an unknown key, a value of the wrong kind, an unreadable file.
    """
    values: dict[str, Any] = {}
    if file is not None:
        values.update(_from_file(file))
    values.update(_from_environ(os.environ if environ is None else environ))  # noqa: TID251 - the one reader
    values.update({name: value for name, value in (flags or {}).items() if value is not None})
    hints = get_type_hints(Settings)
    return Settings(**{name: _coerce(name, value, hints[name]) for name, value in values.items()})


def _from_file(file: Path) -> dict[str, Any]:
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"The configuration file {file} cannot be read: {error}") from error
    for key in content:
        _require_known(key, key)
    return content


def _from_environ(environ: Mapping[str, str]) -> dict[str, str]:
    values: dict[str, str] = {}
    for variable, value in environ.items():
        if not variable.startswith(PREFIX):
            continue
        key = variable.removeprefix(PREFIX).lower()
        secret = key.removesuffix("_file")
        if secret != key and secret in SECRETS:
            if PREFIX + secret.upper() in environ:
                raise ConfigError(f"Both {PREFIX}{secret.upper()} and {variable} are set. Remove one of them.")
            key, value = secret, _secret(variable, Path(value))  # noqa: PLW2901 - the file's content stands for it
        _require_known(key, variable)
        values[key] = value
    return values


def _secret(variable: str, file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        raise ConfigError(f"{variable} names a file that cannot be read: {error}") from error


def _require_known(key: str, shown: str) -> None:
    names = [each.name for each in fields(Settings)]
    if key in names:
        return
    close = difflib.get_close_matches(key, names, 1)
    hint = f" Did you mean {close[0]}?" if close else ""
    raise ConfigError(f"There is no setting {shown}.{hint} docs/configuration.md lists them all.")


_WORDS = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False, "": False}
_KINDS = {bool: "yes or no", int: "a whole number", float: "a number", str: "text", Path: "a path"}


def _coerce(name: str, value: Any, kind: Any) -> Any:
    try:
        if kind == tuple[str, ...]:
            parts = value.split(",") if isinstance(value, str) else value
            return tuple(str(part).strip() for part in parts if str(part).strip())
        return _coerce_single(value, kind)
    except (KeyError, TypeError, ValueError):
        shown = "(not shown)" if name in SECRETS else repr(value)
        raise ConfigError(f"Setting {name} = {shown} is not {_KINDS.get(kind, 'a list')}.") from None


def _coerce_single(value: Any, kind: Any) -> Any:
    """Text from flags and environment becomes what is needed; what a file says must be of that kind already.

    Raises:
        KeyError, TypeError, ValueError: it cannot.
    """
    if kind is bool:
        return _WORDS[value.lower()] if isinstance(value, str) else {True: True, False: False}[value]
    if isinstance(value, bool) or (kind in (str, Path) and not isinstance(value, (str, Path))):
        raise TypeError
    if kind is int and isinstance(value, float):
        raise TypeError
    return kind(value)


def _require(condition: bool, name: str, value: Any, why: str) -> None:
    if not condition:
        raise ConfigError(f"Setting {name} = {value!r}: {why}.")


def _require_jwt(settings: Settings) -> None:
    for each in settings.jwt_roles:
        ours = each.partition("=")[2].strip()
        _require(ours in ("viewer", "staff", "admin"), "jwt_roles", each, "it must be like teacher=staff")
    if settings.jwt_secret and len(settings.jwt_secret.encode()) < LEAST_JWT_SECRET_BYTES:
        raise ConfigError(
            f"Setting jwt_secret: it must have {LEAST_JWT_SECRET_BYTES} bytes or more (RFC 7518 section 3.2): whoever "
            "holds one token could find a shorter one. Give the dashboard a longer one as well."
        )
    url = urlsplit(settings.jwt_jwks_url)
    if settings.jwt_jwks_url and (url.scheme not in ("http", "https") or not url.hostname):
        raise ConfigError(f"Setting jwt_jwks_url = {settings.jwt_jwks_url!r}: it must be an http or https address.")
    if settings.jwt_cookie and not (settings.jwt_secret or settings.jwt_jwks_url):
        raise ConfigError("Setting jwt_cookie needs jwt_secret or jwt_jwks_url as well.")


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text)
    except ValueError:
        return False
    return True


def _require_token(name: str, token: str) -> None:
    """A header could not carry anything else; the token itself is never shown."""
    if not token.isascii() or not token.isprintable() or " " in token:
        raise ConfigError(f"Setting {name}: a token has ASCII letters, digits and signs only, without spaces.")


def _require_turn(urls: tuple[str, ...], secret: str) -> None:
    """One without the other would be a relay that nobody is told of, or one that lets nobody in."""
    for url in urls:
        _require(
            _TURN_URL.fullmatch(url) is not None,
            "turn_urls",
            url,
            "it must be like turn:turn.school:3478?transport=udp (RFC 7065)",
        )
    if bool(urls) != bool(secret):
        raise ConfigError(
            "Settings turn_urls and turn_secret belong together: set both, the secret to what the TURN server has as "
            "static-auth-secret, or neither."
        )


def _require_webhook(url: str, secret: str) -> None:
    """The secret is never shown, nor is the URL: some systems put a key into it."""
    try:
        parts = urlsplit(url)
        is_web = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and " " not in url
    except ValueError:
        is_web = False
    if not is_web:
        raise ConfigError("Setting webhook_url: it must be a web address, such as https://school.example/attendance.")
    if not secret:
        raise ConfigError(
            "Setting webhook_url needs webhook_secret, which signs what is sent. Set it here and in the other system, "
            "for example to the output of `python -c 'import secrets; print(secrets.token_urlsafe())'`."
        )


def _is_origin(text: str) -> bool:
    """Whether a browser would send exactly this as `Origin` (RFC 6454 section 6.2)."""
    return re.fullmatch(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?|https?://\[[0-9a-f:]+\](:[0-9]{1,5})?", text) is not None


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
