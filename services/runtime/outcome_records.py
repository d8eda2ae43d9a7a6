"""What is known of a command that carries an id, as it is stored."""

from __future__ import annotations

import asyncio
import hashlib
import zlib
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from contracts.command import Command
from contracts.problems import InvalidBody, Refused, Wrong

NO_BODY = msgspec.Raw()
_LONG = 4096


class Refusal(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A refusal before its language is chosen."""

    code: str
    values: dict[str, Any] = {}
    wrongs: tuple[Wrong, ...] = ()

    @classmethod
    def of(cls, refused: Refused) -> Refusal:
        values = msgspec.to_builtins(refused.values, str_keys=True)
        return cls(code=refused.code, values=values, wrongs=refused.wrongs)

    def refused(self) -> Refused:
        if self.wrongs:
            return InvalidBody(*self.wrongs)
        return Refused(self.code, **self.values)


class Settled(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a command was answered: a status and a body (JSON; empty where it is rendered anew), or a refusal.

    `position` is that of the last fact it led to. A long body is stored as `packed`, its zlib form.
    """

    status: int
    body: msgspec.Raw = NO_BODY
    packed: bytes = b""
    aggregate_id: UUID | None = None
    position: int | None = None
    refusal: Refusal | None = None


async def packed(settled: Settled) -> Settled:
    """As it is stored."""
    body = memoryview(settled.body)
    if len(body) < _LONG:
        return settled
    return msgspec.structs.replace(settled, body=NO_BODY, packed=await asyncio.to_thread(zlib.compress, body))


def unpacked(settled: Settled) -> Settled:
    if not settled.packed:
        return settled
    return msgspec.structs.replace(settled, body=msgspec.Raw(zlib.decompress(settled.packed)), packed=b"")


class Claim(msgspec.Struct, frozen=True):
    """Which process works on a command, and since when; `token` tells one claim from the next."""

    instance: str
    token: UUID
    at: datetime


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The message of a command in the stream. `transient`: the answer counts for those who waited for it only."""

    actor: str
    command: str
    fingerprint: str
    claim: Claim
    settled: Settled | None = None
    transient: bool = False


decode = msgspec.json.Decoder(Record).decode
encode = msgspec.json.Encoder().encode


def fingerprint(command: Command) -> str:
    """Equal for equal commands: SHA-256 (hex) of the wire name and the fields in a fixed order."""
    return fingerprint_of_bytes(type(command).__name__, msgspec.json.encode(command, order="deterministic"))


def fingerprint_of_bytes(name: str, body: bytes) -> str:
    return hashlib.sha256(name.encode() + b"\n" + body).hexdigest()


def is_transient(refused: Refused) -> bool:
    """Whether asking again may succeed, so that the refusal must not be kept."""
    return refused.status in (503, 504) or refused.code in ("too_much_contention", "internal_error")


def outcome_unknown(aggregate_id: UUID | None) -> Refused:
    """`aggregate_id`: whose facts would tell."""
    refused = Refused("outcome_unknown")
    refused.aggregate_id = aggregate_id
    return refused
