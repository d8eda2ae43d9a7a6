"""What NATS needs before any service begins: small, as `serve` waits for it at each start."""

from __future__ import annotations

from events.log.streams import ensure_streams
from services.runtime import wiring
from services.runtime.nats_roles import announce_users
from services.runtime.nats_users import NatsUsers
from services.runtime.settings import Settings


async def prepare(settings: Settings) -> None:
    """Creates the streams that are missing, and tells services of the embedded server's users."""
    async with wiring.bus(settings, "prepare", admin=True) as nc:
        await ensure_streams(nc.jetstream(), settings.nats_replicas)
        if settings.nats_url is None:  # users of any other server are announced where it is configured
            await announce_users(nc, NatsUsers(settings.data_dir / "nats").all())
