"""From a command to durable facts: load, fold, gather, decide, append, and again on a real conflict."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from typing import Any
from uuid import UUID
from weakref import WeakValueDictionary

import msgspec
from msgspec.structs import replace

from contracts.command import Command
from contracts.problems import Refused
from events.commands import CommandRefused
from events.event import Origin, Recorded
from events.log import Change, Conflict, EventLog, LogUnavailable, Undecided
from services.runtime.commands import HANDLERS, REFUSALS, Aggregate, Handler
from services.runtime.gathering.sources import Sources

_ATTEMPTS = 20
_LONGEST_TURN = 10.0  # seconds that a command waits for those before it on its aggregate, as they may for the log
_LONGEST_PAUSE = 0.1  # seconds between attempts, so that processes which want the same aggregate get out of step


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """An aggregate as the log tells it; `version` and `position` are those of its last fact, 0 before the first.

    `recorded` are all its facts, or only those that were not known before.
    """

    state: Any
    version: int
    position: int
    recorded: list[Recorded]


class Accepted(msgspec.Struct, frozen=True, kw_only=True):
    """What a command led to. `position` is where to read it; `state` is the aggregate's after it.

    `repeated`: the same command had been accepted before, and nothing was appended now.
    """

    aggregate_id: UUID
    position: int
    state: Any
    recorded: list[Recorded]
    repeated: bool = False


async def load(log: EventLog, aggregate: Aggregate, aggregate_id: UUID, known: Loaded | None = None) -> Loaded:
    """`known`: as it was at an earlier look."""
    known = known or Loaded(state=aggregate.initial, version=0, position=0, recorded=[])
    recorded = await log.read(aggregate.context, aggregate_id, known.position)
    state = known.state
    for entry in recorded:
        state = aggregate.evolve(state, entry.fact)
    last = recorded[-1].meta if recorded else known
    return Loaded(state=state, version=last.version, position=last.position, recorded=recorded)


class Dispatch:
    """Handles every command of this process; safe to call concurrently and from any number of processes."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._log = sources.log
        self._turns: WeakValueDictionary[UUID, asyncio.Lock] = WeakValueDictionary()
        self._lasting: dict[UUID, Loaded] = {}

    async def __call__(self, command: Command, origin: Origin) -> Accepted:
        """Refused: it may not be, and nothing changed. LogUnavailable, or Undecided where it may be on record all the
        same: ask again with the same command id.
        """
        handler = HANDLERS[type(command)]
        try:
            return await self._handle(command, origin)
        except Refused as refused:
            if handler.role is not None:
                await self.record_refusal(type(command), refused, origin)
            raise

    async def state(self, aggregate: Aggregate, aggregate_id: UUID) -> Any:
        """As the log tells it now. Raises LogUnavailable."""
        return (await self._load(aggregate, aggregate_id)).state

    async def _load(self, aggregate: Aggregate, aggregate_id: UUID) -> Loaded:
        if not aggregate.lasting:
            return await load(self._log, aggregate, aggregate_id)
        loaded = await load(self._log, aggregate, aggregate_id, self._lasting.get(aggregate_id))
        self._lasting[aggregate_id] = replace(loaded, recorded=[])
        return loaded

    async def _handle(self, command: Command, origin: Origin) -> Accepted:
        handler = HANDLERS[type(command)]
        if handler.check is not None:
            handler.check(command)
        aggregate_id = handler.target(command, origin.command_id)
        if handler.presume_new:
            return await self._decide(handler, aggregate_id, command, origin)
        # One after the other within this process: each would only make the others read and decide again.
        turn = self._turns.setdefault(aggregate_id, asyncio.Lock())
        try:
            async with asyncio.timeout(_LONGEST_TURN):
                await turn.acquire()
        except TimeoutError:
            raise LogUnavailable("those before it on its aggregate are still waiting") from None
        try:
            return await self._decide(handler, aggregate_id, command, origin)
        finally:
            turn.release()

    async def _decide(self, handler: Handler, aggregate_id: UUID, command: Command, origin: Origin) -> Accepted:
        gathered: Any = None
        for attempt in range(_ATTEMPTS):
            if handler.presume_new and attempt == 0:
                loaded = Loaded(state=handler.aggregate.initial, version=0, position=0, recorded=[])
            else:
                loaded = await self._load(handler.aggregate, aggregate_id)
            before = [entry for entry in loaded.recorded if entry.meta.origin.command_id == origin.command_id]
            if before:
                return Accepted(
                    aggregate_id=aggregate_id,
                    position=before[-1].meta.position,
                    state=loaded.state,
                    recorded=before,
                    repeated=True,
                )
            if handler.gather is not None and attempt == 0:
                gathered = await handler.gather(command, self._sources)
            facts = handler.decide(loaded.state, command, gathered)
            if not facts:
                return Accepted(aggregate_id=aggregate_id, position=loaded.position, state=loaded.state, recorded=[])
            change = Change(
                context=handler.aggregate.context,
                aggregate_id=aggregate_id,
                facts=facts,
                expected=loaded.position,
                version=loaded.version,
            )
            try:
                recorded = await self._log.append(change, origin=origin)
            except Conflict:
                self._lasting.pop(aggregate_id, None)  # also where the log is another one than that of the memory
                await asyncio.sleep(random.uniform(0, min(_LONGEST_PAUSE, 0.002 * 2**attempt)))  # noqa: S311  # no secret
                continue
            except Undecided as error:
                error.aggregate_id = aggregate_id
                raise
            state = loaded.state
            for fact in facts:
                state = handler.aggregate.evolve(state, fact)
            return Accepted(
                aggregate_id=aggregate_id, position=recorded[-1].meta.position, state=state, recorded=recorded
            )
        raise Refused("too_much_contention")

    async def record_refusal(self, kind: type[Command], refused: Refused, origin: Origin) -> None:
        fact = CommandRefused(command=kind.__name__, code=refused.code)
        change = Change(context=REFUSALS, aggregate_id=origin.command_id, facts=(fact,))
        with suppress(Conflict):  # the same command was refused before, and that is on record
            await self._log.append(change, origin=origin)
