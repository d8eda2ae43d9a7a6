"""How a process reaches the bus and the database that its settings name."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from nats.aio.client import Client
from nats.errors import Error as NatsError

from events.log.connection import Connection
from services.runtime.nats.embedded import EmbeddedNats
from services.runtime.nats.nkey import InvalidSeed, UserKey
from services.runtime.nats.users import ADMIN, SERVICE, NatsUsers
from services.runtime.settings import SettingRefused, Settings, without_secrets
from services.runtime.told_command import told_command

if TYPE_CHECKING:
    from projections.database import Database

_logger = logging.getLogger("trainledger.nats")
_PENDING = 16 * 1024 * 1024  # bytes that may wait for a slow or lost connection


class NotReachable(Exception):
    """A server that the settings name does not answer now; the text is one sentence for the user."""


@asynccontextmanager
async def bus(settings: Settings, name: str, *, admin: bool = False, patience: float = 15.0) -> AsyncIterator[Client]:
    """A connection to NATS that reconnects for ever, closed at the end; `name` is shown to the server's operators.

    `admin` signs in as the one who may change streams. Raises SettingRefused where NATS_URL or the credentials cannot
    be used, NotReachable where nothing answers within `patience` seconds.
    """
    url, seed_file = _where(settings, admin)
    client = Connection()
    connected = False
    refused: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    trouble: list[Exception] = []

    async def on_error(error: Exception) -> None:
        trouble[:] = [error]
        if not connected and "authorization" in str(error).lower() and not refused.done():
            refused.set_result(None)
        elif connected:
            _logger.warning("%s: %s", name, _said(error))

    async def on_disconnect() -> None:
        if connected:
            _logger.warning("%s lost NATS and looks for it", name)

    async def on_reconnect() -> None:
        _logger.info("%s has NATS again", name)

    connecting = asyncio.ensure_future(
        client.connect(
            [server.strip() for server in url.split(",")],
            name=name,
            allow_reconnect=True,
            max_reconnect_attempts=-1,
            reconnect_time_wait=0.25,  # type: ignore[arg-type]  # seconds, a fraction too
            connect_timeout=5,
            ping_interval=20,
            max_outstanding_pings=2,
            pending_size=_PENDING,
            error_cb=on_error,
            disconnected_cb=on_disconnect,
            reconnected_cb=on_reconnect,
            inbox_prefix=b"_INBOX",
            signature_cb=_sign_in(client, seed_file),
        )
    )
    try:
        await asyncio.wait((connecting, refused), timeout=patience, return_when=asyncio.FIRST_COMPLETED)
        if not connecting.done():
            reason = f" ({_said(trouble[0])})" if trouble else ""
            if refused.done():
                raise SettingRefused(
                    f"NATS at {without_secrets(url)} does not let {seed_file or 'anybody'} in{reason}."
                )
            if settings.nats_url is None:
                raise NotReachable(
                    f"NATS_URL is not set, and the embedded NATS of {settings.data_dir} does not answer{reason}; start "
                    f"{told_command('serve', settings.data_dir)}, or set NATS_URL."
                )
            raise NotReachable(f"NATS_URL: nothing answers at {without_secrets(url)}{reason}.")
        await connecting
        connected = True
        yield client
    finally:
        if not connecting.done():
            connecting.cancel()
            with suppress(asyncio.CancelledError):
                await connecting
        connected = False
        with suppress(NatsError):
            await client.close()


@contextmanager
def database(settings: Settings) -> Iterator[Database]:
    """The database of the read models, closed at the end. Raises SettingRefused or NotReachable, as does its use."""
    from projections.database import open_database  # not every process has a database

    with database_refusals():
        opened = open_database(settings.training_db_url)
        try:
            yield opened
        finally:
            opened.close()


@contextmanager
def database_refusals() -> Iterator[None]:
    """Says as a refused setting what the database's own checks refuse."""
    from projections.database import DatabaseRefused, DatabaseUnavailable

    try:
        yield
    except DatabaseUnavailable as error:
        raise NotReachable(_sentence(error)) from error
    except DatabaseRefused as error:
        raise SettingRefused(_sentence(error)) from error


def _said(error: Exception) -> str:
    return str(error) or type(error).__name__


def _sentence(error: Exception) -> str:
    return str(error).rstrip(".") + "."


def _where(settings: Settings, admin: bool) -> tuple[str, Path | None]:
    if settings.nats_url is not None:
        own = settings.nats_credentials
        return settings.nats_url, (settings.nats_admin_credentials or own) if admin else own
    embedded = EmbeddedNats(settings.data_dir)
    if embedded.url is None:
        raise SettingRefused(
            f"NATS_URL is not set, and no embedded NATS server was ever started in {settings.data_dir}; "
            f"start {told_command('serve', settings.data_dir)}, or set NATS_URL."
        )
    own = settings.nats_admin_credentials if admin else settings.nats_credentials
    return embedded.url, own or NatsUsers(embedded.directory).seed_file(ADMIN if admin else SERVICE)


def _sign_in(client: Client, seed_file: Path | None):  # type: ignore[no-untyped-def]  # nats-py's own alias is unusable
    if seed_file is None:
        return None
    try:
        key = UserKey.from_file(seed_file)
    except (OSError, InvalidSeed) as error:
        raise SettingRefused(f"The NATS credentials {seed_file} cannot be used: {error}.") from error
    # What `nkeys_seed` would do, without the package nkeys, of which there is no wheel.
    client._public_nkey = key.public
    return key.sign
