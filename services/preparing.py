"""What NATS needs before any service begins: small, as `serve` waits for it at each start."""

from __future__ import annotations

import nats.errors
import nats.js.errors

from events.log.streams import EVENTS, ensure_streams
from services.runtime import wiring
from services.runtime.nats_roles import announce_users
from services.runtime.nats_users import NatsUsers
from services.runtime.settings import SettingRefused, Settings, without_secrets


async def prepare(settings: Settings) -> None:
    """Creates the streams that are missing, and tells services of the embedded server's users.

    Raises SettingRefused where the server has no JetStream or does not let its streams be made.
    """
    async with wiring.bus(settings, "prepare", admin=True) as nc:
        try:
            await ensure_streams(nc.jetstream(), settings.nats_replicas)
        except nats.js.errors.ServiceUnavailableError as error:
            raise SettingRefused(f"{_server(settings)} has no JetStream: enable it in its configuration.") from error
        except (nats.errors.Error, nats.js.errors.Error) as error:
            raise SettingRefused(f"The streams cannot be made at {_server(settings)}: {error}.") from error
        if settings.nats_url is None:  # users of any other server are announced where it is configured
            await announce_users(nc, NatsUsers(settings.data_dir / "nats").all())


async def require_streams(settings: Settings) -> None:
    """Raises SettingRefused where nobody has prepared the server, NotReachable where it does not answer."""
    async with wiring.bus(settings, "look for streams") as nc:
        try:
            await nc.jetstream().stream_info(EVENTS)
        except (nats.js.errors.NotFoundError, nats.js.errors.ServiceUnavailableError) as error:
            raise SettingRefused(
                f"{_server(settings)} has no streams of TrainLedger yet: make them with `trainledger prepare`."
            ) from error
        except (nats.errors.Error, nats.js.errors.Error) as error:
            raise wiring.NotReachable(f"{_server(settings)} does not answer for its streams: {error}.") from error


def _server(settings: Settings) -> str:
    return "The embedded NATS" if settings.nats_url is None else f"NATS_URL {without_secrets(settings.nats_url)}"
