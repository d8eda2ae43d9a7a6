"""What a message on `ask.` or `commands.` says: who asks for what, under which id, in which language."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from contracts.command import Command
from contracts.problems import Language, Refused
from services.runtime.commands import PUBLIC
from services.runtime.intake import Caller
from services.runtime.nats.roles import Roles
from services.runtime.people import People

# The struct of a kind that a JSON body holds; raises InvalidBody.
Decode = Callable[[bytes, type[Any]], Any]


class Asked(msgspec.Struct, frozen=True):
    """A message before it is known to be a command. `key` is the sender's own id of it, as it was sent."""

    user: str
    context: str
    name: str
    body: bytes
    key: str | None
    language: Language
    traceparent: str | None
    correlation_id: str | None

    @classmethod
    def of(cls, subject: str, headers: Mapping[str, str] | None, body: bytes) -> Asked:
        """ValueError: the subject is not one of commands."""
        tokens = subject.split(".")
        if len(tokens) != 4:
            raise ValueError(f"{subject} is not <way>.<user>.<context>.<Command>")
        given = {name.lower(): value for name, value in (headers or {}).items()}
        return cls(
            user=tokens[1],
            context=tokens[2],
            name=tokens[3],
            body=body,
            key=given.get("command-id") or given.get("nats-msg-id"),
            language="en" if given.get("accept-language", "").strip().lower().startswith("en") else "zh",
            traceparent=given.get("traceparent"),
            correlation_id=given.get("correlation-id"),
        )

    def command(self, decode: Decode, body_limit: int) -> Command:
        """`body_limit` in bytes. Raises Refused: there is no such command, or it is too large; or InvalidBody."""
        kind = PUBLIC.get((self.context, self.name))
        if kind is None:
            raise Refused("unknown_command", context=self.context, name=self.name)
        if len(self.body) > body_limit:
            raise Refused("body_too_large", limit=body_limit)
        command: Command = decode(self.body, kind)
        return command


class Callers:
    """Who sends a message: the user of its subject, which the server vouches for, and nobody whom a header names."""

    def __init__(self, people: People, roles: Roles) -> None:
        self._people = people
        self._roles = roles

    async def caller(self, user: str) -> Caller:
        """Raises Refused: nobody announced this user; LogUnavailable."""
        role = await self._roles.role_of(user)
        if role is None:
            raise Refused("forbidden", role="reader")
        return Caller(user, await self._people.ensure(user), role)
