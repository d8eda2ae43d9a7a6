"""Commands by request and reply: a service of the NATS services framework, one endpoint for each command."""

from __future__ import annotations

import asyncio
import logging
from typing import Any
from uuid import UUID, uuid4

import msgspec
import nats.errors
import nats.micro
from nats.aio.client import Client
from nats.micro.request import Request
from nats.micro.service import EndpointStats, Service, ServiceConfig

from contracts.outcomes import Outcome
from contracts.problems import Refused
from events.log import LogUnavailable
from services import VERSION
from services.commands.message import Asked, Callers, Decode
from services.runtime.commands import HANDLERS, PUBLIC
from services.runtime.intake import Caller, Intake, command_id

NAME = "trainledger"
_AT_ONCE = 256  # most of them wait for a launch and cost nothing
# Where replies may go. In an account of its own a user cannot name a foreign subject; this holds in any other setup.
_INBOXES = ("_INBOX", "_R_.")

_logger = logging.getLogger(__name__)


class Asks:
    """Answers `ask.>` together with every other process of its kind (queue group)."""

    def __init__(self, nc: Client, intake: Intake, callers: Callers, decode: Decode, body_limit: int) -> None:
        self._nc = nc
        self._intake = intake
        self._callers = callers
        self._decode = decode
        self._body_limit = body_limit
        self._room = asyncio.Semaphore(_AT_ONCE)
        self._working: set[asyncio.Task[None]] = set()
        self._refused: dict[str, int] = {}
        self._service: Service | None = None

    async def start(self) -> None:
        config = ServiceConfig(
            name=NAME,
            version=VERSION,
            description="Commands of the ledger",
            queue_group=NAME,
            stats_handler=self._stats,
        )
        self._service = await nats.micro.add_service(self._nc, config)
        for (context, name), kind in PUBLIC.items():
            metadata = {
                "role": str(HANDLERS[kind].role),
                "schema": msgspec.json.encode(msgspec.json.schema(kind)).decode(),
            }
            await self._service.add_endpoint(
                name=name, subject=f"ask.*.{context}.{name}", handler=self._on_request, metadata=metadata
            )
        await self._nc.flush()

    async def stop(self) -> None:
        """Takes no more, and waits for what is at work; the intake bounds that."""
        if self._service is not None and not self._nc.is_closed:
            await self._service.stop()
        self._service = None
        if self._working:
            await asyncio.wait(self._working)

    def _stats(self, endpoint: EndpointStats) -> Any:
        return {"refused": self._refused.get(endpoint.name, 0), "at_work": len(self._working)}

    async def _on_request(self, request: Request) -> None:
        """Returns as soon as there is room, since the framework gives an endpoint one request at a time."""
        await self._room.acquire()
        task = asyncio.create_task(self._handle(request))
        self._working.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._room.release()
        self._working.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _logger.error("a request over NATS was not answered", exc_info=error)

    async def _handle(self, request: Request) -> None:
        asked = Asked.of(request.subject, request.headers, request.data)
        identity = uuid4()
        caller: Caller | None = None
        try:
            caller = await self._callers.caller(asked.user)
            answer = await self._intake.handle(
                asked.command(self._decode, self._body_limit),
                caller,
                key=asked.key,
                identity=identity,
                traceparent=asked.traceparent,
                correlation_id=asked.correlation_id,
            )
        except Refused as refused:
            await self._refuse(request, asked, _identity(asked, caller, identity), refused)
        except LogUnavailable as error:
            _logger.warning("%s was not handled: %s", request.subject, error)
            await self._refuse(request, asked, _identity(asked, caller, identity), Refused("log_unavailable"))
        except Exception:
            _logger.exception("%s failed", request.subject)
            await self._refuse(request, asked, _identity(asked, caller, identity), Refused("internal_error"))
        else:
            outcome = Outcome(
                command_id=answer.command_id,
                status="accepted",
                aggregate_id=answer.aggregate_id,
                position=answer.position,
                result=msgspec.Raw(answer.body),
            )
            await self._respond(request, outcome, {})

    async def _refuse(self, request: Request, asked: Asked, identity: UUID, refused: Refused) -> None:
        self._refused[asked.name] = self._refused.get(asked.name, 0) + 1
        problem = refused.problem(asked.language, str(identity))
        outcome = Outcome(command_id=identity, status="refused", problem=problem)
        headers = {"Nats-Service-Error-Code": str(refused.status), "Nats-Service-Error": refused.code}
        await self._respond(request, outcome, headers)

    async def _respond(self, request: Request, outcome: Outcome, headers: dict[str, str]) -> None:
        reply = request._msg.reply
        if not reply.startswith(_INBOXES):
            if reply:
                _logger.warning("no answer to %s: %s is no inbox", request.subject, reply)
            return
        try:
            await request.respond(msgspec.json.encode(outcome), headers or None)
        except nats.errors.Error as error:
            _logger.warning("the answer to %s was not sent: %r", request.subject, error)


def _identity(asked: Asked, caller: Caller | None, identity: UUID) -> UUID:
    return identity if asked.key is None or caller is None else command_id(caller.person, asked.key)
