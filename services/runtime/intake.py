"""The one way in for commands from outside: who may, once only, recorded, visible to reads, answered."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, Literal
from uuid import UUID, uuid4, uuid5

import msgspec

from contracts.command import Command
from contracts.deid import DeidentifyDataset
from contracts.deployments import CreateDeployment
from contracts.outcomes import Outcome
from contracts.problems import Language, Refused
from contracts.projects import CreateProject
from contracts.runs import CancelRun, ResumeRun, StartRun
from contracts.tokens import IssueToken
from events.event import Origin
from events.log import LogUnavailable, Undecided
from events.runs import RunLaunchFailed
from events.tokens import Role
from services.runtime.answers.deployments import OF_DEPLOYMENTS, DeploymentAnswers
from services.runtime.answers.views import ReadModels, Views
from services.runtime.commands import HANDLERS
from services.runtime.dispatch import Accepted, Dispatch
from services.runtime.ending import end
from services.runtime.outcome_records import Refusal, Settled, fingerprint_of_bytes, is_transient, outcome_unknown
from services.runtime.outcomes import Outcomes
from services.runtime.settling import ENDED, LAUNCHED, Runs

# Never changes: an id derived from it finds what became of a command whose client asks again.
_COMMANDS = UUID("3d1b7f52-9a1e-5c0d-8c55-7e7b9d2a4c11")
_KEY = re.compile(r"[\x21-\x7e]{1,200}")
_RANKS: dict[Role, int] = {"reader": 0, "operator": 1, "admin": 2}

_logger = logging.getLogger(__name__)


class Caller(msgspec.Struct, frozen=True):
    """Somebody who was authenticated; `person` is the id of that name in the directory of people.

    `may_reveal`: whether the originals of pseudonyms may be told.
    """

    name: str
    person: UUID
    role: Role
    may_reveal: bool = False


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a command is answered with. `body` is the JSON of its view; `position` where reads show it.

    `lagging`: the read models do not show `position` yet, so the body may tell less (no logs, no metrics).
    """

    status: int
    body: bytes
    command_id: UUID
    aggregate_id: UUID | None
    position: int | None
    lagging: bool = False


class Waits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds in seconds: for a run to be launched, for one to be canceled, and for the read models."""

    run: float = 10.0
    cancel: float = 20.0
    projection: float = 5.0


def command_id(person: UUID, key: str) -> UUID:
    """The id of the command that this person sent with this key."""
    return uuid5(_COMMANDS, f"{person} {key}")


def has_role(role: Role, least: Role) -> bool:
    return _RANKS[role] >= _RANKS[least]


def check_key(key: str) -> None:
    """Raises Refused (invalid_command_id)."""
    if _KEY.fullmatch(key) is None:
        raise Refused("invalid_command_id")


class Intake:
    """Handles commands of people; safe to call concurrently and from any number of processes.

    What was begun runs to its end although the caller goes away; `stop` waits for that.
    """

    def __init__(
        self,
        dispatch: Dispatch,
        views: Views,
        reads: ReadModels,
        outcomes: Outcomes,
        runs: Runs,
        waits: Waits = Waits(),  # noqa: B008  # frozen
        deployments: DeploymentAnswers | None = None,
    ) -> None:
        self._dispatch = dispatch
        self._views = views
        self._reads = reads
        self._outcomes = outcomes
        self._runs = runs
        self._waits = waits
        self._deployments = deployments
        self._working: set[asyncio.Task[Any]] = set()

    async def stop(self, timeout: float = 10.0) -> None:
        """Waits for what is at work, then cancels it: whoever asks again with its key resumes it."""
        if self._working:
            _, late = await asyncio.wait(self._working, timeout=timeout)
            await end(*late)

    async def handle(
        self,
        command: Command,
        caller: Caller,
        *,
        key: str | None = None,
        identity: UUID | None = None,
        respond_async: bool = False,
        traceparent: str | None = None,
        correlation_id: str | None = None,
        least: Role | None = None,
    ) -> Answer:
        """Raises Refused and LogUnavailable.

        `key` is the caller's own id of the command (`Idempotency-Key`, `command-id`): the same one gives the same
        answer. `identity` is an id that was derived already; with either, the outcome is stored. With `respond_async`
        the launch or the end of a run is not waited for. `least` is the role that is needed for what the service itself
        reports on behalf of a caller, such as a file that it received of one.
        """
        if key is not None:
            check_key(key)
            identity = command_id(caller.person, key)
        origin = Origin(
            actor=str(caller.person),
            command_id=identity or uuid4(),
            correlation_id=correlation_id,
            traceparent=traceparent,
        )
        await self._require_role(type(command), caller, origin, least)

        async def execute() -> Settled:
            return await self._execute(command, origin, respond_async)

        if identity is None:
            settled = await self._to_its_end(execute())
        else:
            settled = await self._to_its_end(self._outcomes.once(identity, origin.actor, command, execute))
        return await self._answer(settled, command, origin.command_id)

    async def require(self, kind: type[Command], caller: Caller, least: Role, correlation_id: str | None) -> None:
        """Refuses before anything is received what `handle` would refuse then. Raises Refused (forbidden)."""
        origin = Origin(actor=str(caller.person), command_id=uuid4(), correlation_id=correlation_id)
        await self._require_role(kind, caller, origin, least)

    async def refuse(self, identity: UUID, caller: Caller, command: str, body: bytes, refused: Refused) -> None:
        """Stores a refusal for a message that is no command, so that its sender can learn of it."""
        settled = Settled(status=refused.status, refusal=Refusal.of(refused))
        await self._outcomes.keep(identity, str(caller.person), command, fingerprint_of_bytes(command, body), settled)

    async def outcome(self, caller: Caller, id_or_key: str, language: Language = "zh", request_id: str = "") -> Outcome:
        """What became of a command: by the key that this caller sent it with, or by its id.

        Another person's is shown to administrators only. Raises Refused (command_not_found) and LogUnavailable.
        """
        candidates = [command_id(caller.person, id_or_key)] if _KEY.fullmatch(id_or_key) else []
        with suppress(ValueError):
            candidates.append(UUID(id_or_key))
        for candidate in candidates:
            record = await self._outcomes.get(candidate)
            if record is None or (record.actor != str(caller.person) and caller.role != "admin"):
                continue
            if record.settled is None or record.transient:
                at_work = await self._outcomes.is_at_work(candidate, record)
                return Outcome(command_id=candidate, status="at_work" if at_work else "unsettled")
            return await self._outcome(candidate, record.command, record.settled, language, request_id)
        raise Refused("command_not_found", id=id_or_key)

    async def _outcome(
        self, identity: UUID, command: str, settled: Settled, language: Language, request_id: str
    ) -> Outcome:
        status: Literal["accepted", "refused"] = "accepted" if settled.refusal is None else "refused"
        result, problem = None, None
        if settled.refusal is not None:
            problem = _refused(settled, settled.refusal).problem(language, request_id)
        else:
            kind = next(kind for kind in HANDLERS if kind.__name__ == command)
            passed = settled.position is None or await self._passed(settled.position)
            result = msgspec.Raw(await self._body(settled, kind, passed))
        return Outcome(
            command_id=identity,
            status=status,
            aggregate_id=settled.aggregate_id,
            position=settled.position,
            result=result,
            problem=problem,
        )

    async def _require_role(
        self, kind: type[Command], caller: Caller, origin: Origin, least: Role | None = None
    ) -> None:
        required = HANDLERS[kind].role or least
        if required is None:
            raise Refused("not_found")  # a report of the service's own, which nobody outside may send
        if not has_role(caller.role, required):
            refused = Refused("forbidden", role=required)
            await self._dispatch.record_refusal(kind, refused, origin)
            raise refused

    async def _to_its_end(self, work: Coroutine[Any, Any, Settled]) -> Settled:
        task = asyncio.create_task(work)
        self._working.add(task)
        task.add_done_callback(self._working.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(_log_failure)
            raise

    async def _execute(self, command: Command, origin: Origin, respond_async: bool) -> Settled:
        """Raises only what is transient; any other refusal is a result."""
        try:
            accepted = await self._dispatch(command, origin)
        except Undecided as error:
            raise outcome_unknown(error.aggregate_id) from error
        except Refused as refused:
            if is_transient(refused):
                raise
            return Settled(status=refused.status, refusal=Refusal.of(refused))
        try:
            return await self._accepted(command, accepted, respond_async)
        except LogUnavailable as error:  # only what it led to cannot be told
            raise outcome_unknown(accepted.aggregate_id) from error

    async def _accepted(self, command: Command, accepted: Accepted, respond_async: bool) -> Settled:
        position, failed = accepted.position, None
        if not respond_async:
            position, failed = await self._effect(command, accepted)
        if not accepted.recorded:  # nothing was changed, so what it is answered with is the state of now
            position = max(position, self._reads.position)
        passed = await self._passed(position, self._waits.projection)
        settled = Settled(
            status=202 if respond_async and isinstance(command, _LAUNCHING) else _STATUSES.get(type(command), 200),
            aggregate_id=accepted.aggregate_id,
            position=position,
        )
        if failed is not None:
            return msgspec.structs.replace(settled, status=failed.status, refusal=Refusal.of(failed))
        if not self._views.is_whole(command, passed=passed):
            return settled  # what is told now, with less in it, is not what is told later
        view = await self._views.of(command, accepted, position, passed=passed)
        return msgspec.structs.replace(settled, body=msgspec.Raw(view))

    async def _effect(self, command: Command, accepted: Accepted) -> tuple[int, Refused | None]:
        """Waits (bounded) for what the command leads to: the last position, and why it came to nothing.

        Raises LogUnavailable, and Refused for a reason that may pass.
        """
        if self._deployments is not None and isinstance(command, OF_DEPLOYMENTS):
            position, failed = await self._deployments.settled(command, accepted)
            if failed is not None and is_transient(failed):
                raise failed
            return position, failed
        kinds = _AWAITED.get(type(command))
        bound = self._waits.cancel if isinstance(command, CancelRun) else self._waits.run
        found = None if kinds is None else await self._runs.fact(accepted.aggregate_id, kinds, bound)
        if found is None:
            return accepted.position, None
        position = max(accepted.position, found.meta.position)
        if isinstance(command, _LAUNCHING) and isinstance(found.fact, RunLaunchFailed):
            reason = found.fact.reason
            return position, Refused("launch_failed", reason=reason, reason_en=found.fact.reason_en or reason)
        return position, None

    async def _passed(self, position: int, patience: float = 0.0) -> bool:
        """Whether the read models show it, waited for at most `patience` seconds.

        Where they do not answer at all, what was accepted stays accepted.
        """
        try:
            return await self._reads.passed(position, patience)
        except Refused as refused:
            if refused.status != 503:
                raise
            _logger.warning("the read models do not answer: %s", refused.text("en"))
            return False

    async def _answer(self, settled: Settled, command: Command, identity: UUID) -> Answer:
        if settled.refusal is not None:
            raise _refused(settled, settled.refusal)
        passed = settled.position is None or await self._passed(settled.position)
        return Answer(
            status=settled.status,
            body=await self._body(settled, type(command), passed),
            command_id=identity,
            aggregate_id=settled.aggregate_id,
            position=settled.position,
            lagging=not passed,
        )

    async def _body(self, settled: Settled, kind: type[Command], passed: bool) -> bytes:
        kept = bytes(settled.body)
        if kept and (named := self._views.named(kind, kept)) is not None:
            return named
        assert settled.aggregate_id is not None
        assert settled.position is not None
        view = await self._views.again(kind, settled.aggregate_id, settled.position, passed=passed)
        return self._views.named(kind, view) or view


_LAUNCHING = (StartRun, ResumeRun, CreateDeployment)
_AWAITED = {StartRun: LAUNCHED, ResumeRun: LAUNCHED, CancelRun: ENDED}
_STATUSES = {CreateProject: 201, StartRun: 201, ResumeRun: 201, IssueToken: 201, CreateDeployment: 201} | {
    DeidentifyDataset: 202
}


def _refused(settled: Settled, refusal: Refusal) -> Refused:
    """With what there is nonetheless."""
    refused = refusal.refused()
    refused.position, refused.aggregate_id = settled.position, settled.aggregate_id
    return refused


def _log_failure(task: asyncio.Task[Any]) -> None:
    """Its caller went away, so nobody else will hear of it."""
    if not task.cancelled() and (error := task.exception()) is not None and not isinstance(error, Refused):
        _logger.error("a command whose caller went away failed", exc_info=error)
