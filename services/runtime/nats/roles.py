"""Roles of NATS users, as the services learn them: a KV bucket that only the service and the administrator write.

Users of a server of one's own are announced with `nats kv put NATS_USERS NAME '{"role": "operator"}'`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

import msgspec
import nats.errors
import nats.js.errors
from nats.aio.client import Client
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from events.log import LogUnavailable
from events.log.streams import EVENTS, NATS_USERS
from events.tokens import Role
from services.runtime.bucket import Bucket
from services.runtime.nats.accounts import consumer_name
from services.runtime.nats.users import NatsUser

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


class _Entry(msgspec.Struct, frozen=True):
    role: Role


async def announce_users(nc: Client, users: Sequence[NatsUser]) -> None:
    """Tells all services who may what, and makes each user's consumer. `nc`: as the service or the administrator.

    These are all users there are: any other loses its role and its consumer. Raises LogUnavailable.
    """
    bucket = Bucket(nc, NATS_USERS, lambda key, value: known.update({key: value}))
    known: dict[str, bytes | None] = {}
    wanted = {user.name: msgspec.json.encode(_Entry(user.role)) for user in users if user.role is not None}
    await bucket.start()
    try:
        for name, value in wanted.items():
            if known.get(name) != value:
                await bucket.put(name, value)
        for name in [name for name, value in known.items() if value is not None and name not in wanted]:
            await bucket.delete(name)
        await _make_consumers(nc, wanted.keys())
    finally:
        await bucket.stop()


async def _make_consumers(nc: Client, names: Collection[str]) -> None:
    js = nc.jetstream()
    try:
        there = {info.name for info in await js.consumers_info(EVENTS)}
        for name in names:
            if consumer_name(name) not in there:
                config = ConsumerConfig(
                    durable_name=consumer_name(name),
                    description=f"Facts for the NATS user {name}",
                    deliver_policy=DeliverPolicy.ALL,
                    ack_policy=AckPolicy.EXPLICIT,
                    ack_wait=60,
                    max_ack_pending=10_000,
                )
                await js.add_consumer(EVENTS, config)
        for gone in there - {consumer_name(name) for name in names}:
            if gone.startswith(consumer_name("")):
                await js.delete_consumer(EVENTS, gone)
    except (nats.errors.Error, nats.js.errors.Error) as error:
        raise LogUnavailable(str(error)) from error


class Roles:
    """The roles of NATS users, in memory and kept up to date by a watch."""

    def __init__(self, nc: Client) -> None:
        self._bucket = Bucket(nc, NATS_USERS, self._changed)
        self._roles: dict[str, Role] = {}

    async def start(self) -> None:
        await self._bucket.start()

    async def stop(self) -> None:
        await self._bucket.stop()

    async def role_of(self, name: str) -> Role | None:
        """None: nobody announced this user, so it may do nothing. Raises LogUnavailable."""
        if name not in self._roles and _NAME.fullmatch(name):
            await self._bucket.catch_up()
        return self._roles.get(name)

    def _changed(self, key: str, value: bytes | None) -> None:
        if value is None:
            self._roles.pop(key, None)
        else:
            self._roles[key] = msgspec.json.decode(value, type=_Entry).role
