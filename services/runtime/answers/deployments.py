"""How commands on deployments are answered: after the server's process runs, has failed, or is gone."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from uuid import UUID

import msgspec

from contracts.command import Command
from contracts.deployments import (
    CreateDeployment,
    DeploymentInfo,
    DeploymentRemoval,
    RemoveDeployment,
    RestartDeployment,
)
from contracts.problems import Refused
from contracts.times import unix_seconds
from events.deployments import (
    Deployment,
    DeploymentAttemptEnded,
    DeploymentFailed,
    DeploymentLaunched,
    DeploymentRemoved,
    DeploymentStopped,
)
from events.event import Event, Recorded
from events.log import EventLog
from services.runtime.commands import DEPLOYMENTS
from services.runtime.dispatch import Accepted, load
from services.runtime.nodes.deployments import Deployments
from services.runtime.settling import Facts

OF_DEPLOYMENTS: tuple[type[Command], ...] = (CreateDeployment, RemoveDeployment, RestartDeployment)
AWAITED: tuple[type[Event], ...] = (DeploymentLaunched, DeploymentFailed, DeploymentStopped, DeploymentRemoved)
_KILLED_WITHIN = 10.0  # seconds that KILL, and the driver's giving back of memory, may take
_REPORTED_WITHIN = 0.5


class DeploymentAnswers:
    """`launch` and `stop` are how many seconds a server's launch and its end are waited for."""

    def __init__(
        self, log: EventLog, facts: Facts, deployments: Deployments, *, launch: float = 10.0, stop: float = 10.0
    ) -> None:
        self._log = log
        self._facts = facts
        self._deployments = deployments
        self._launch = launch
        self._stop = stop

    async def settled(self, command: Command, accepted: Accepted) -> tuple[int, Refused | None]:
        """Waits for what the command led to; its position, and how the command is refused although it was accepted.

        Raises LogUnavailable.
        """
        if isinstance(command, RemoveDeployment):
            return await self._removed(command, accepted)
        after = accepted.position if isinstance(command, RestartDeployment) else 0
        settled = await self._facts.fact(accepted.aggregate_id, AWAITED, self._launch, after=after)
        if settled is None:
            return accepted.position, None
        position = max(accepted.position, settled.meta.position)
        fact = settled.fact
        if not isinstance(fact, DeploymentFailed):
            return position, None
        if fact.cause in ("no_port", "no_gpu"):
            node = accepted.state.requested.node
            return position, Refused("no_free_port" if fact.cause == "no_port" else "no_gpu", node=node)
        return position, Refused("deployment_failed", deployment_id=accepted.aggregate_id, reason=fact.reason)

    async def _removed(self, command: RemoveDeployment, accepted: Accepted) -> tuple[int, Refused | None]:
        patience = self._stop + (_KILLED_WITHIN if command.force else _REPORTED_WITHIN)
        removed = await self._facts.fact(accepted.aggregate_id, (DeploymentRemoved,), patience)
        if removed is None:
            view = await self._view(command.deployment_id)
            if view.reachable is False:
                silent = Refused("deployment_stop_unconfirmed", deployment_id=command.deployment_id, node=view.node)
                return accepted.position, silent
            return accepted.position, Refused("deployment_stopping", deployment_id=command.deployment_id)
        return max(accepted.position, removed.meta.position), None

    async def view(self, command: type[Command], deployment_id: UUID) -> bytes:
        """By its facts and its node, so that no read model has to be waited for. Raises LogUnavailable."""
        if command is RemoveDeployment:
            return msgspec.json.encode(DeploymentRemoval(detail="deployment removed", deployment_id=deployment_id))
        return msgspec.json.encode(await self._view(deployment_id))

    async def _view(self, deployment_id: UUID) -> DeploymentInfo:
        loaded = await load(self._log, DEPLOYMENTS, deployment_id)
        [view] = await self._deployments.as_now([deployment_info(deployment_id, loaded.state, loaded.recorded)])
        return view


def deployment_info(deployment_id: UUID, deployment: Deployment, recorded: Sequence[Recorded]) -> DeploymentInfo:
    """As far as it is on record. `recorded`: all its facts, oldest first."""
    requested, placed = deployment.requested, deployment.placed
    assert requested is not None
    assert deployment.status is not None

    def last(*kinds: type[Event]) -> Recorded | None:
        return next((entry for entry in reversed(recorded) if isinstance(entry.fact, kinds)), None)

    launched, ended = last(DeploymentLaunched), None
    if deployment.ended:
        ended = last(DeploymentStopped, DeploymentFailed)
    elif deployment.between_attempts:
        ended = last(DeploymentAttemptEnded)
    failure = ended.fact if ended and isinstance(ended.fact, DeploymentFailed | DeploymentAttemptEnded) else None
    cause = failure.cause if failure is not None else None
    return DeploymentInfo(
        deployment_id=deployment_id,
        model_path=requested.model_path,
        model_version=requested.model_version,
        tags=requested.tags,
        gpu_id=placed.gpu_id if placed else None,
        port=placed.port if placed else None,
        pid=deployment.launched.pid if deployment.launched else None,
        status=deployment.status,
        started_at=unix_seconds(launched.meta.time) if launched else None,
        stopped_at=unix_seconds(ended.meta.time) if ended and deployment.ended else None,
        health_ok=None,
        vllm_cmd=shlex.join(placed.argv) if placed else None,
        log_file=placed.log_file if placed else None,
        health_path=requested.health_path,
        created_at=unix_seconds(recorded[0].meta.time),
        node=requested.node,
        extra_args=requested.extra_args or None,
        gpu_uuid=placed.gpu_uuid if placed else None,
        preferred_gpu=requested.preferred_gpu,
        preference=placed.preference if placed else None,
        gpu_required=requested.gpu_required,
        min_free_memory=requested.min_free_memory,
        exclusive=requested.exclusive,
        restart_policy=requested.restart_policy,
        attempt=deployment.attempt,
        exit_code=getattr(ended.fact, "exit_code", None) if ended else None,
        failure_cause=None if cause == "restart" or cause == "machine_restart" else cause,  # it narrows
        failure_reason=(failure.reason or None) if failure is not None else None,
        survivors=deployment.survivors,
        run_id=requested.run_id,
        artifact_id=requested.artifact_id,
        removed=deployment.removed,
    )
