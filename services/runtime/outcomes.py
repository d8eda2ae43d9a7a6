"""What became of each command that carries an id: executed once, answered alike ever after."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from uuid import UUID, uuid4

import msgspec
import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from contracts.command import Command
from contracts.problems import Refused
from contracts.projects import CreateProject
from events.log import LogUnavailable
from services.runtime.outcome_records import (
    NO_BODY,
    Claim,
    Record,
    Refusal,
    Settled,
    fingerprint,
    outcome_unknown,
    packed,
    unpacked,
)
from services.runtime.outcome_stream import OutcomeStream

_SETTLED = "settled."  # a hint that an outcome was stored; losing one costs a waiter at most _LOOK seconds
_ALIVE = "alive."
_LOOK = 1.0
# Beyond this age a claim whose claimant does not answer is taken over, so that a lost network cannot block a key.
_STALE = 60.0
_MARGIN = 4096  # of a message's size, for all that stands in a record beside the body
_CREATES = CreateProject.__name__

_logger = logging.getLogger(__name__)


class _Work(msgspec.Struct):
    fingerprint: str
    done: asyncio.Future[Settled | Exception]


class Outcomes:
    """Once for each command id over all processes.

    `wait` bounds, in seconds, the wait for one who is at work, `patience` that for a server which does not answer.
    That a claim is taken over while its claimant lives does no harm: executing a command twice appends its facts once.
    """

    def __init__(self, nc: Client, *, wait: float = 20.0, patience: float = 10.0) -> None:
        self._nc = nc
        self._stream = OutcomeStream(nc, patience=patience)
        self._wait = wait
        self._instance = uuid4().hex
        self._work: dict[UUID, _Work] = {}  # what this process is asked for now, at most one task for each id
        self._claimed: set[UUID] = set()  # what it executes
        self._waiting: dict[str, asyncio.Event] = {}
        self._subscriptions: list[Subscription] = []

    async def start(self) -> None:
        self._subscriptions = [
            await self._nc.subscribe(_SETTLED + "*", cb=self._on_settled),
            await self._nc.subscribe(_ALIVE + self._instance, cb=self._on_alive),
        ]

    async def stop(self) -> None:
        for subscription in self._subscriptions:
            if not self._nc.is_closed:
                await subscription.unsubscribe()
        self._subscriptions = []

    async def get(self, command_id: UUID) -> Record | None:
        """What is known of a command, none where it carried no id. Raises LogUnavailable."""
        stored = await self._stream.read(command_id)
        if stored is None or stored.record.settled is None:
            return None if stored is None else stored.record
        return msgspec.structs.replace(stored.record, settled=_told(stored.record))

    async def is_at_work(self, command_id: UUID, record: Record) -> bool:
        """Whether somebody executes the command of a record that is not settled. Raises LogUnavailable."""
        return record.settled is None and not await self._is_abandoned(command_id, record.claim)

    async def once(
        self, command_id: UUID, actor: str, command: Command, execute: Callable[[], Awaitable[Settled]]
    ) -> Settled:
        """The stored answer, or that of `execute`, which is stored before it is given. A stored one may lack the body.

        What `execute` raises is transient and is given to those who wait, not to those who ask later.
        Raises Refused (command_id_reused, command_in_progress) and LogUnavailable.
        """
        mark = fingerprint(command)
        work = self._work.get(command_id)
        if work is None:
            work = _Work(mark, asyncio.get_running_loop().create_future())
            self._work[command_id] = work
            try:
                settled = await self._settle(command_id, actor, command, mark, execute)
            except Exception as error:
                work.done.set_result(error)
                raise
            except BaseException:
                work.done.set_result(LogUnavailable("the process is stopping"))
                raise
            finally:
                del self._work[command_id]
            work.done.set_result(settled)
            return settled
        if work.fingerprint != mark:
            raise Refused("command_id_reused")
        try:
            result = await asyncio.wait_for(asyncio.shield(work.done), self._wait)
        except TimeoutError:
            raise Refused("command_in_progress") from None
        if isinstance(result, Exception):
            raise result
        return result

    async def keep(self, command_id: UUID, actor: str, command: str, mark: str, settled: Settled) -> None:
        """Stores an answer that was found without executing anything; the first one stored stays."""
        record = Record(actor=actor, command=command, fingerprint=mark, claim=self._claim(), settled=settled)
        await self._stream.create(command_id, record)

    async def _settle(
        self, command_id: UUID, actor: str, command: Command, mark: str, execute: Callable[[], Awaitable[Settled]]
    ) -> Settled:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._wait
        claimed = Record(actor=actor, command=type(command).__name__, fingerprint=mark, claim=self._claim())
        revision = await self._stream.create(command_id, claimed)
        woken = self._waiting[command_id.hex] = asyncio.Event()
        waited = False
        try:
            while revision is None:
                woken.clear()
                stored = await self._stream.read(command_id)
                if stored is None:
                    revision = await self._stream.create(command_id, claimed)
                    continue
                record = stored.record
                if record.fingerprint != mark:
                    raise Refused("command_id_reused")
                if record.settled is not None and (waited or not record.transient):
                    return _answer(record)
                if record.settled is not None or await self._is_abandoned(command_id, record.claim):
                    revision = await self._stream.replace(command_id, claimed, stored.revision)
                    continue
                left = deadline - loop.time()
                if left <= 0:
                    raise Refused("command_in_progress")
                waited = True
                with suppress(TimeoutError):  # then look again: the hint may be lost, or the claimant dead
                    await asyncio.wait_for(woken.wait(), min(_LOOK, left))
        finally:
            del self._waiting[command_id.hex]
        return await self._execute(command_id, claimed, revision, execute)

    async def _execute(
        self, command_id: UUID, claimed: Record, revision: int, execute: Callable[[], Awaitable[Settled]]
    ) -> Settled:
        self._claimed.add(command_id)
        try:
            try:
                settled = await execute()
            except Exception as error:
                await self._release(command_id, claimed, revision, error)
                raise
            try:
                return await self._store(command_id, claimed, revision, settled)
            except LogUnavailable as error:
                if settled.refusal is not None:
                    raise
                raise outcome_unknown(settled.aggregate_id) from error
        finally:
            self._claimed.discard(command_id)
            await self._hint(command_id)

    async def _store(self, command_id: UUID, claimed: Record, revision: int, settled: Settled) -> Settled:
        """Another who took the claim over may have answered first: then that is the answer."""
        kept = await packed(_bare(claimed.command, settled))
        if len(memoryview(kept.body)) + len(kept.packed) * 4 // 3 > self._nc.max_payload - _MARGIN:
            kept = msgspec.structs.replace(kept, body=NO_BODY, packed=b"")
        record = msgspec.structs.replace(claimed, settled=kept)
        if await self._stream.replace(command_id, record, revision) is not None:
            return settled
        stored = await self._stream.read(command_id)
        if stored is not None and stored.record.settled is not None:
            return _answer(stored.record)
        return settled  # the other is still at work, and will find the same facts

    async def _release(self, command_id: UUID, claimed: Record, revision: int, error: Exception) -> None:
        """Lets the next one try. Where even that fails, the next one asks whether this process is at work on it."""
        refused = error if isinstance(error, Refused) else Refused("unavailable", reason=str(error))
        if not isinstance(error, (Refused, LogUnavailable)):
            refused = Refused("internal_error")
        settled = Settled(status=refused.status, refusal=Refusal.of(refused))
        try:
            await self._stream.replace(
                command_id, msgspec.structs.replace(claimed, settled=settled, transient=True), revision
            )
        except LogUnavailable as unavailable:
            _logger.warning("the claim of command %s stays: %s", command_id, unavailable)

    def _claim(self) -> Claim:
        return Claim(self._instance, uuid4(), datetime.now(UTC))

    async def _is_abandoned(self, command_id: UUID, claim: Claim) -> bool:
        if claim.instance == self._instance:
            return command_id not in self._claimed
        try:
            answer = await self._nc.request(_ALIVE + claim.instance, command_id.hex.encode(), timeout=_LOOK)
        except nats.errors.NoRespondersError:
            return True
        except nats.errors.TimeoutError:
            return (datetime.now(UTC) - claim.at).total_seconds() > _STALE
        except nats.errors.Error as error:
            raise LogUnavailable(str(error)) from error
        return answer.data != b"at work"

    async def _on_alive(self, message: Msg) -> None:
        at_work = UUID(hex=message.data.decode()) in self._claimed
        await message.respond(b"at work" if at_work else b"done")

    async def _on_settled(self, message: Msg) -> None:
        waiting = self._waiting.get(message.subject.removeprefix(_SETTLED))
        if waiting is not None:
            waiting.set()

    async def _hint(self, command_id: UUID) -> None:
        try:
            await self._nc.publish(_SETTLED + command_id.hex)
        except nats.errors.Error as error:
            _logger.warning("waiters for command %s will look by themselves: %r", command_id, error)


def _answer(record: Record) -> Settled:
    settled = _told(record)
    if record.transient:
        assert settled.refusal is not None
        raise settled.refusal.refused()
    return settled


def _told(record: Record) -> Settled:
    assert record.settled is not None
    return _bare(record.command, unpacked(record.settled))


def _bare(command: str, settled: Settled) -> Settled:
    """Without the view of a new project, which names a person, and which its facts tell again."""
    return msgspec.structs.replace(settled, body=NO_BODY) if command == _CREATES else settled
