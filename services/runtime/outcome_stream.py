"""The stream of what became of commands: one record for each, replaced by conditional publishes."""

from __future__ import annotations

import asyncio
from uuid import UUID

import msgspec
import nats.errors
import nats.js.errors
from nats.aio.client import Client

from events.log import LogUnavailable
from services.runtime.outcome_records import Record, decode, encode

STREAM = "OUTCOMES"
_WRONG_SEQUENCE = 10071
_PAUSE = 0.1


class Stored(msgspec.Struct, frozen=True):
    record: Record
    revision: int


class OutcomeStream:
    """Every method raises LogUnavailable when `patience` seconds were not enough; `timeout` bounds one answer.

    Reads go to the stream's leader, so what one process stored every other sees.
    """

    def __init__(self, nc: Client, *, timeout: float = 3.0, patience: float = 10.0) -> None:
        self._nc = nc
        self._js = nc.jetstream(timeout=timeout)
        self._patience = patience

    async def read(self, command_id: UUID) -> Stored | None:
        deadline = self._deadline()
        while True:
            try:
                message = await self._js.get_last_msg(STREAM, _subject(command_id))
            except nats.js.errors.NotFoundError:
                return None
            except (nats.errors.Error, nats.js.errors.Error) as error:
                await self._pause(deadline, error)
            else:
                assert message.seq is not None
                return Stored(decode(message.data or b""), message.seq)

    async def create(self, command_id: UUID, record: Record) -> int | None:
        return await self.replace(command_id, record, 0)

    async def replace(self, command_id: UUID, record: Record, revision: int) -> int | None:
        """The new revision, none where the record is not at `revision` any more.

        Of any number of copies at most one is stored, so sending again is safe. A copy that lands after this gave up
        is a claim of a process that, when asked, is not at work on it.
        """
        headers = {"Nats-Expected-Last-Subject-Sequence": str(revision)}
        body = encode(record)
        deadline, uncertain = self._deadline(), False
        while True:
            try:
                return (await self._js.publish(_subject(command_id), body, headers=headers)).seq
            except (nats.errors.Error, nats.js.errors.Error) as error:
                if isinstance(error, nats.js.errors.APIError) and error.err_code == _WRONG_SEQUENCE:
                    break
                uncertain = True
                await self._pause(deadline, error)
        stored = await self.read(command_id) if uncertain else None
        return stored.revision if stored is not None and stored.record == record else None

    def _deadline(self) -> float:
        return asyncio.get_running_loop().time() + self._patience

    async def _pause(self, deadline: float, error: Exception) -> None:
        """Before the next try, where there is one."""
        refused = isinstance(error, nats.js.errors.APIError) and error.code is not None and error.code < 500
        if refused or self._nc.is_closed or asyncio.get_running_loop().time() > deadline:
            raise LogUnavailable(f"outcomes cannot be read or stored: {error!r}") from error
        await asyncio.sleep(_PAUSE)


def _subject(command_id: UUID) -> str:
    return f"outcomes.{command_id.hex}"
