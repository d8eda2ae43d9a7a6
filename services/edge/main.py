"""The edge as a process: HTTP, and commands over NATS, until it is cancelled."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Iterator

import uvicorn

from services.commands.main import serve_commands
from services.edge.app import create_app
from services.edge.auth import Authenticator
from services.edge.bodies import decode
from services.edge.front import Front
from services.edge.hosts import HostGuard
from services.edge.parts import started
from services.edge.protocol import Http
from services.runtime import wiring
from services.runtime.addresses import bound, is_loopback
from services.runtime.process import collect_less_garbage
from services.runtime.settings import SettingRefused, Settings
from services.runtime.settings.kinds import hosts
from services.runtime.told_command import no_token_yet

_BACKLOG = 2048
_TAKES_NOTHING = 300.0  # seconds; what is accepted has it from the listener

_log = logging.getLogger("trainledger.edge")


async def run(settings: Settings) -> None:
    """Raises SettingRefused and wiring.NotReachable; ends by being cancelled, after the requests at work."""
    listener = listen(settings)
    with contextlib.closing(listener), wiring.database(settings) as database:
        async with wiring.bus(settings, "edge") as nc, started(settings, nc, database) as parts:
            loopback = is_loopback(settings.host)
            extra = hosts(settings.allowed_hosts)
            if not loopback and not parts.tokens.any_active:
                raise no_token_yet(settings)
            app = create_app(
                parts.edge,
                Authenticator(parts.tokens, parts.people, required=not loopback),
                hosts=HostGuard(extra, settings.host) if loopback or extra else None,
                body_limit=settings.body_limit_bytes,
            )
            async with serve_commands(nc, parts.intake, parts.people, decode, body_limit=settings.body_limit_bytes):
                collect_less_garbage()
                _log.info("HTTP is answered on %s port %d", settings.host, settings.port)
                await serve(app, listener, settings.stop_seconds, parts.edge.live.close)


def listen(settings: Settings) -> socket.socket:
    """A listening socket. Raises SettingRefused, naming the setting."""
    try:
        listener = bound(settings.host, settings.port, "TRAINLEDGER_HOST")
        # Whoever takes nothing of an answer for so long is cut off, as nothing else would ever end such a stream.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(_TAKES_NOTHING * 1000))
        listener.listen(_BACKLOG)
    except OSError as error:
        raise SettingRefused(
            f"The address {settings.host}:{settings.port} cannot be used ({error.strerror}); "
            "choose another port with --port or TRAINLEDGER_PORT."
        ) from error
    listener.setblocking(False)
    return listener


async def serve(
    app: Front, listener: socket.socket, stop_seconds: float, end_streams: Callable[[], None] = lambda: None
) -> None:
    """Answers requests until it is cancelled; those at work may take `stop_seconds` to end.

    `end_streams` ends those that would go on for ever.
    """
    server = _Server(
        uvicorn.Config(
            app,
            http=Http,
            ws="none",
            lifespan="off",
            loop="none",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=max(1, int(stop_seconds * 0.8)),
        )
    )
    serving = asyncio.create_task(server.serve(sockets=[listener]), name="http")
    try:
        await asyncio.shield(serving)
    except asyncio.CancelledError:
        server.should_exit = True
        end_streams()
        await serving
        raise


class _Server(uvicorn.Server):
    """Leaves signals to the process, which cancels what it runs."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
