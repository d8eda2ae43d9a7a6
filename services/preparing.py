"""What NATS needs before any service begins: small, as `serve` waits for it at each start."""

from __future__ import annotations

import nats.errors
import nats.js.errors
from nats.aio.client import Client

from events.log.streams import EVENTS, ensure_streams
from services.runtime import wiring
from services.runtime.nats.roles import announce_users
from services.runtime.nats.users import NatsUsers
from services.runtime.settings import SettingRefused, Settings, without_secrets
from services.runtime.told_command import told_command


async def prepare(settings: Settings) -> None:
    """Creates the streams that are missing, and tells services of the embedded server's users.

    Raises SettingRefused where the server has no JetStream or does not let its streams be made.
    """
    async with wiring.bus(settings, "prepare", admin=True) as nc:
        try:
            await ensure_streams(nc.jetstream(), settings.nats_replicas)
            await _require_direct_reads(nc, settings)
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
            await _require_direct_reads(nc, settings)
        except (nats.js.errors.NotFoundError, nats.js.errors.ServiceUnavailableError) as error:
            raise SettingRefused(
                f"{_server(settings)} has no streams of TrainLedger yet: "
                f"make them with {told_command('prepare', settings.data_dir)}."
            ) from error
        except (nats.errors.Error, nats.js.errors.Error) as error:
            raise wiring.NotReachable(f"{_server(settings)} does not answer for its streams: {error}.") from error


async def _require_direct_reads(nc: Client, settings: Settings) -> None:
    """A stream that somebody else made may lack what reading an aggregate needs, and questions would go unanswered."""
    if not (await nc.jetstream().stream_info(EVENTS)).config.allow_direct:
        raise SettingRefused(
            f"Stream {EVENTS} of {_server(settings)} does not allow direct reads: "
            f"set that with `nats stream edit {EVENTS} --allow-direct`."
        )


def _server(settings: Settings) -> str:
    return "The embedded NATS" if settings.nats_url is None else f"NATS_URL {without_secrets(settings.nats_url)}"
