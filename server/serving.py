"""Runs the application under uvicorn until a signal ends it."""

from __future__ import annotations

import gc
import logging
import signal
import socket
from collections.abc import Callable

import uvicorn
from fastapi import FastAPI

from .access import Access
from .accounts import Accounts
from .app import create_app
from .config import Settings
from .connections import watched_protocol
from .database import open_database
from .errors import ConfigError

logger = logging.getLogger("surveillx.serve")

# Requests under way get this long after a signal; then the lifespan closes the peer connections. Together below 5 s.
GRACE_S = 1
# What a page says over a WebSocket, unpacked: the time it asks for, acknowledgements.
MAX_MESSAGE_BYTES = 64 * 1024
BACKLOG = 2048  # as uvicorn's own


class _Server(uvicorn.Server):
    """Says where it listens, once it does."""

    def __init__(self, config: uvicorn.Config, on_listening: Callable[[str], None]) -> None:
        super().__init__(config)
        self._on_listening = on_listening

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then tell the address of the first socket."""
        await super().startup(sockets)
        if self.started and sockets:
            self._on_listening(_url(sockets[0]))


def serve(settings: Settings, on_listening: Callable[[str], None] = lambda _url: None) -> int:
    """Serve until SIGINT or SIGTERM; returns the exit status.

    `on_listening` is told the address, such as `http://127.0.0.1:8080`, when requests are answered.

    Raises:
        ConfigError: a setting is unsafe or cannot be put into force.
    """
    require_credentials(settings)
    listening = listen(settings.host, settings.port)
    app = create_app(settings)

    def announce(url: str) -> None:
        # What has been loaded stays: full collections need not walk through it, which would hold the event loop up.
        gc.freeze()
        print(f"Listening on {url}", flush=True)
        if who := _openness(settings, app.state.parts.access):
            print(who, flush=True)
        on_listening(url)

    # uvicorn raises the signal again when it has finished; for us, asked to end and ended is well.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    server = _Server(server_config(app, settings), announce)
    gc.collect()  # before the loop runs: 0.4 s
    server.run(sockets=[listening])
    return 0 if server.started else 1


def _openness(settings: Settings, access: Access) -> str:
    """What whoever starts a server without accounts should know; empty once there are any."""
    if not access.view_is_open:
        return ""
    if settings.insecure:
        return "Everybody who reaches this server may watch, publish and change everything (--insecure)."
    return (
        "Open to this machine only, without signing in. To open it to the school's network: "
        "surveillx user add NAME --role admin; surveillx token add NAME --scope publish; then --host 0.0.0.0"
    )


def server_config(app: FastAPI, settings: Settings) -> uvicorn.Config:
    """How uvicorn runs `app`."""
    return uvicorn.Config(
        app,
        loop="asyncio",
        http=watched_protocol(settings.trusted_proxies),
        ws_max_size=MAX_MESSAGE_BYTES,
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_S,
        proxy_headers=True,
        forwarded_allow_ips=list(settings.trusted_proxies),
    )


def require_credentials(settings: Settings) -> None:
    """Refuse to open an unprotected server to the network; on loopback, say how to protect it.

    Raises:
        ConfigError: `host` is not loopback, nobody could sign in or publish, and `insecure` is off.
    """
    if settings.is_loopback or settings.insecure:
        return
    database = open_database(settings)
    try:
        known = Accounts(database).load_sync()
    finally:
        database.close()
    missing = []
    if not (
        settings.view_token or settings.jwt_secret or settings.jwt_jwks_url or known.passwords or known.has("view")
    ):
        missing.append("nobody could sign in: `surveillx user add NAME --role admin` makes the first account")
    if not (settings.publish_token or known.has("publish")):
        missing.append(
            "no camera could publish: `surveillx token add NAME --scope publish --camera ID` makes its token"
        )
    if missing:
        raise ConfigError(
            f"--host {settings.host} opens the server to the network, but {'; and '.join(missing)}. Or listen on "
            "127.0.0.1, or pass --insecure if everyone on the network may watch and publish."
        )


def listen(host: str, port: int) -> socket.socket:
    """A listening socket whose connections answer without delay.

    asyncio sets TCP_NODELAY only where a socket names its protocol (base_events.py _set_nodelay); an accepted one does
    not. Without it every answer but a connection's first waits 40 ms for the client's acknowledgement. Accepted sockets
    inherit the option.

    Raises:
        ConfigError: the address is not ours, or the port is taken.
    """
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listening = socket.create_server((host, port), family=family, backlog=BACKLOG)
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError as error:
        raise ConfigError(
            f"Cannot listen on {host} port {port}: {error.strerror or error}. If another program has the port, end it "
            "or choose another with --port; --host must be an address of this machine."
        ) from error
    return listening


def _url(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return f"http://{shown}:{port}"
