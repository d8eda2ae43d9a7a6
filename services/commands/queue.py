"""Commands from the work queue: each handled once, acknowledged after its outcome is durable, or a dead letter."""

from __future__ import annotations

import asyncio
import json
import logging
from contextlib import aclosing, suppress
from uuid import UUID

import nats.errors
import nats.js.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig

from contracts.problems import Refused
from events.log import LogUnavailable
from events.log.streams import COMMANDS
from services.commands.message import Asked, Callers, Decode
from services.runtime.commands import PUBLIC
from services.runtime.ending import end
from services.runtime.intake import Caller, Intake, check_key, command_id
from services.runtime.outcome_records import is_transient
from services.runtime.pulling import pull

CONSUMER = "commands"
_AT_ONCE = 32
_ACK_WAIT = 20.0  # then a message of a process that was killed comes again
_HOLD = 5.0  # how often a process that lives says so
_LONGEST_DELAY = 60.0
_MOST_FAILURES = 8  # deliveries of a message that fails unforeseen, before it is put aside
_PAUSE = 0.5

_logger = logging.getLogger(__name__)


class Queue:
    """Takes messages of `commands.>` together with every other process of its kind."""

    def __init__(self, nc: Client, intake: Intake, callers: Callers, decode: Decode, body_limit: int) -> None:
        self._nc = nc
        self._js = nc.jetstream()
        self._intake = intake
        self._callers = callers
        self._decode = decode
        self._body_limit = body_limit
        self._room = asyncio.Semaphore(_AT_ONCE)
        self._working: set[asyncio.Task[None]] = set()
        self._held: dict[str, Msg] = {}  # by their acknowledgement subject
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        self._tasks = [
            asyncio.create_task(self._follow(), name="commands"),
            asyncio.create_task(self._hold(), name="commands at work"),
        ]

    async def stop(self) -> None:
        """Takes no more, and waits for what is at work; the intake bounds that."""
        await end(*self._tasks[:1])
        if self._working:
            await asyncio.wait(self._working)
        await end(*self._tasks[1:])

    async def _follow(self) -> None:
        config = ConsumerConfig(
            durable_name=CONSUMER, ack_policy=AckPolicy.EXPLICIT, ack_wait=_ACK_WAIT, max_ack_pending=1_000
        )
        while True:
            try:
                await self._js.add_consumer(COMMANDS, config)
                async with aclosing(pull(self._nc, COMMANDS, CONSUMER, batch=_AT_ONCE)) as messages:
                    async for message in messages:
                        await self._room.acquire()
                        task = asyncio.create_task(self._handle(message))
                        self._working.add(task)
                        task.add_done_callback(self._done)
            except (nats.errors.Error, nats.js.errors.Error) as error:
                _logger.warning("pulling commands again: %r", error)
            await asyncio.sleep(_PAUSE)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._room.release()
        self._working.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            # Not acknowledged, so it comes again.
            _logger.error("a message of the queue was not settled", exc_info=error)

    async def _hold(self) -> None:
        while True:
            await asyncio.sleep(_HOLD)
            for message in list(self._held.values()):
                with suppress(nats.errors.Error):  # then it comes again, and is answered from its outcome
                    await message.in_progress()

    async def _handle(self, message: Msg) -> None:
        self._held[message.reply] = message
        try:
            await self._settle(message)
        except LogUnavailable as error:
            _logger.warning("%s comes again: %s", message.subject, error)
            await self._again(message)
        except Exception:
            _logger.exception("%s failed", message.subject)
            if message.metadata.num_delivered < _MOST_FAILURES:
                await self._again(message)
            else:
                await self._bury(message, "unknown", "internal_error", f"failed {_MOST_FAILURES} times")
        finally:
            del self._held[message.reply]

    async def _settle(self, message: Msg) -> None:
        try:
            asked = Asked.of(message.subject, message.headers, message.data)
        except ValueError as error:
            await self._bury(message, "unknown", "not_found", str(error))
            return
        caller: Caller | None = None
        identity: UUID | None = None
        command = None
        try:
            caller = await self._callers.caller(asked.user)
            identity = _identity(message, asked, caller)
            command = asked.command(self._decode, self._body_limit)
            await self._intake.handle(
                command,
                caller,
                identity=identity,
                respond_async=True,
                traceparent=asked.traceparent,
                correlation_id=asked.correlation_id,
            )
        except Refused as refused:
            if is_transient(refused) or refused.code == "command_in_progress":
                await self._again(message)
                return
            if command is not None and refused.code not in ("forbidden", "command_id_reused"):
                await message.ack()  # a decision, which is stored as the outcome
                return
            if caller is not None and identity is not None:
                await self._intake.refuse(identity, caller, asked.name, asked.body, refused)
            context = asked.context if (asked.context, asked.name) in PUBLIC else "unknown"
            await self._bury(message, context, refused.code, refused.text("en"))
        else:
            await message.ack()

    async def _again(self, message: Msg) -> None:
        await message.nak(delay=min(2.0 ** min(message.metadata.num_delivered, 10), _LONGEST_DELAY))

    async def _bury(self, message: Msg, context: str, code: str, reason: str) -> None:
        """Terminates the message once it is kept as a dead letter."""
        metadata = message.metadata
        headers = {
            # Twice buried is once kept.
            "Nats-Msg-Id": f"{COMMANDS}.{metadata.sequence.stream}.{metadata.timestamp.timestamp()}",
            "dead-letter-subject": message.subject,
            "dead-letter-code": code,
            "dead-letter-reason": json.dumps(reason),
            "dead-letter-sequence": str(metadata.sequence.stream),
            # As JSON in one header, since a header such as Nats-Rollup would act once more.
            "dead-letter-headers": json.dumps(message.headers or {}),
        }
        try:
            await self._js.publish(f"deadletters.{context}", message.data, headers=headers)
        except (nats.errors.Error, nats.js.errors.Error) as error:
            raise LogUnavailable(str(error)) from error
        _logger.warning("%s is a dead letter: %s", message.subject, reason)
        await message.term()


def _identity(message: Msg, asked: Asked, caller: Caller) -> UUID:
    """Of the sender's own id, else of the message's place in the stream: a redelivered message is the same command."""
    if asked.key is not None:
        check_key(asked.key)
        return command_id(caller.person, asked.key)
    metadata = message.metadata
    # A key never holds a blank, so nobody can name this id. The time tells it from that of a stream before this one.
    return command_id(caller.person, f"{COMMANDS} {metadata.sequence.stream} {metadata.timestamp.isoformat()}")
