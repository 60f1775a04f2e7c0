"""The settings with which a server would start here: what would keep it from starting or from being reached."""

from __future__ import annotations

import ipaddress
import socket
import tempfile
from contextlib import closing

from sqlalchemy.exc import SQLAlchemyError

from ..config import Settings
from ..dialects import open_engine
from ..errors import ConfigError
from ..migrations import is_current
from ..serving import require_credentials
from .steps import Failed, Report, Timed

ANSWER_WITHIN_S = 5.0


def examine_settings(report: Report, settings: Settings) -> str:
    """Note what is wrong; returns the address of the server that runs here already, or nothing."""
    current = False
    with Timed(report, "Data folder") as step:
        current = _require_database(settings)
        state = "the database answers" if current else "the first start brings the database up to date"
        step.words = f"{settings.data} can be written; {state}"
    with Timed(report, "Credentials") as step:
        _require_credentials(settings, has_tables=current)
        step.words = _who_may(settings)
    with Timed(report, "TCP port") as step:
        running = _is_taken(settings)
        step.words = (
            f"something answers on port {settings.port} already; it is examined now" if running else "it is free"
        )
    with Timed(report, "UDP port") as step:
        step.words = _media_port(settings, running=running)
    return f"http://{_reached_at(settings)}:{settings.port}" if running else ""


def _require_database(settings: Settings) -> bool:
    """Whether the tables are this program's; nothing is changed, for an older server may be running with them."""
    try:
        settings.data.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=settings.data):
            pass
        if not settings.database_url and not (settings.data / "surveillx.db").exists():
            return False
        engine = open_engine(settings.resolved_database_url, ANSWER_WITHIN_S)
        with closing(engine.connect()) as connection:
            current = is_current(connection)
        engine.dispose()
    except (ConfigError, OSError, SQLAlchemyError) as error:
        words = error.detail if isinstance(error, ConfigError) else str(error)
        raise Failed(words, "Name another folder with --data, or give this user the right to write there.") from error
    return current


def _require_credentials(settings: Settings, *, has_tables: bool) -> None:
    try:
        if has_tables or settings.is_loopback or settings.insecure:
            require_credentials(settings)
        elif not (settings.view_token and settings.publish_token):
            raise ConfigError("Nobody could sign in or publish: there is no account and no token yet.")
    except ConfigError as error:
        raise Failed(error.detail, "docs/access.md shows accounts and tokens.") from error


def _who_may(settings: Settings) -> str:
    if settings.insecure:
        return "everybody who reaches this server may do everything (--insecure)"
    if settings.is_loopback:
        return f"{settings.host} is reached from this machine only; for the network, start with --host 0.0.0.0"
    return "somebody can sign in, and a camera can publish"


def _is_taken(settings: Settings) -> bool:
    with socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET) as knocking:
        knocking.settimeout(1)
        return settings.port != 0 and knocking.connect_ex((_reached_at(settings).strip("[]"), settings.port)) == 0


def _media_port(settings: Settings, *, running: bool) -> str:
    first, last = settings.media_port_range
    if first != last or not first:
        return f"{settings.media_ports}: each session takes a free one" if first != last else "a free one is taken"
    with socket.socket(type=socket.SOCK_DGRAM) as trying:
        try:
            trying.bind(("", first))
        except OSError as error:
            if running:
                return f"{first} is in use, by the server that runs here"
            raise Failed(
                f"{first} is taken by another program.",
                "End that program, or choose another port with SURVEILLX_MEDIA_PORTS and open that in the firewall.",
            ) from error
    if running:
        raise Failed(
            f"{first} is not in use, although a server runs here: its media goes to another port.",
            "Was the port taken when the server started? Its log says so; restart it.",
        )
    return f"{first} is free; open it in the firewall"


def _reached_at(settings: Settings) -> str:
    """Where this machine reaches what listens on `host`."""
    try:
        address = ipaddress.ip_address(settings.host)
    except ValueError:
        return settings.host
    if address.is_unspecified:
        return "127.0.0.1" if address.version == 4 else "[::1]"
    return f"[{address}]" if address.version == 6 else str(address)
