"""Accounts of the embedded NATS server: one for the ledger, and one for each user.

Subject permissions alone do not do: the server answers any request to whatever reply subject it names, so a user of the
ledger's account could have an acknowledgement, a stored fact or our own reply delivered to `events.>` or to another
user's commands (measured with nats-server 2.15: all were stored). An account reaches only what it imports, and replies
to it cannot leave it.

For the command line: `add_user` or `remove_user`, then `EmbeddedNats.reload`, then, where a server runs,
`services.runtime.nats.roles.announce_users`, which `serve` also calls at each start once the streams are there.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from events.tokens import Role
from services.runtime.nats.users import BUILT_IN, NatsUser, NatsUsers, Permissions, Subjects

LEDGER = "LEDGER"
_EVENTS = "EVENTS"  # as in `events.log.streams`, which would load the client into a process that needs none


def add_user(users: NatsUsers, name: str, role: Role) -> Path:
    """Makes a user or changes the role of one; returns the file that holds its seed. ValueError: not a name for one."""
    if name in BUILT_IN:
        raise ValueError(f"the name {name} belongs to the service itself")
    return users.put(name, permissions(name), role)


def remove_user(users: NatsUsers, name: str) -> bool:
    """Whether there was one. ValueError: it is one of the service's own."""
    return users.remove(name)


def permissions(name: str) -> Permissions:
    """Within its account, so that a mistake is answered with a violation instead of silence."""
    return Permissions(publish=Subjects(allow=_asks(name)), subscribe=Subjects(allow=("_INBOX.>", f"_INBOX_{name}.>")))


def consumer_name(name: str) -> str:
    """The durable pull consumer on EVENTS that is the user's own, made when the user is announced."""
    return f"user-{name}"


def accounts(users: Sequence[NatsUser]) -> dict[str, Any]:
    """The value of `accounts` in the server's configuration."""
    ours: dict[str, Any] = {
        "jetstream": "enabled",
        "users": [_user(user) for user in users if user.role is None],
        "exports": [{"service": subject, "response_type": response} for subject, response in _EXPORTS],
    }
    theirs = {
        f"user_{user.name}": {
            "users": [_user(user)],
            "imports": [{"service": {"account": LEDGER, "subject": subject}} for subject in _asks(user.name)],
        }
        for user in users
        if user.role is not None
    }
    return {LEDGER: ours} | theirs


_EXPORTS = (
    ("ask.>", "Singleton"),
    ("commands.>", "Singleton"),
    ("$SRV.>", "Stream"),
    (f"$JS.API.CONSUMER.MSG.NEXT.{_EVENTS}.>", "Stream"),
    (f"$JS.ACK.{_EVENTS}.>", "Stream"),
)


def _asks(name: str) -> tuple[str, ...]:
    own = consumer_name(name)
    return (
        f"ask.{name}.>",
        f"commands.{name}.>",
        "$SRV.>",
        f"$JS.API.CONSUMER.MSG.NEXT.{_EVENTS}.{own}",
        f"$JS.ACK.{_EVENTS}.{own}.>",
    )


def _user(user: NatsUser) -> dict[str, Any]:
    return {"nkey": user.nkey, "permissions": msgspec.to_builtins(user.permissions)}
