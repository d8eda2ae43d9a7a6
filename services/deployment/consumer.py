"""Follows the facts of deployments and supervises those of this node."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from uuid import UUID

from events.deployments import (
    DeploymentFact,
    DeploymentFailed,
    DeploymentRemoved,
    DeploymentRequested,
    DeploymentRestartRequested,
    DeploymentStopped,
    DeploymentStopRequested,
)
from events.event import Recorded
from services.deployment.logs import keep_short
from services.deployment.node import Node
from services.deployment.supervisor import Supervisor
from services.runtime.checkpoints import Checkpoint, Checkpoints

_TERMINAL = (DeploymentStopped, DeploymentFailed, DeploymentRemoved)
_LONGEST_PAUSE = 60.0

_log = logging.getLogger(__name__)


class Consumer:
    """Cancelling `run` leaves all servers running; the next start finds them again."""

    def __init__(self, node: Node, checkpoint: Path) -> None:
        self._node = node
        self._checkpoints = Checkpoints(checkpoint, Checkpoint)
        self._position = 0
        self._supervisors: dict[UUID, Supervisor] = {}

    async def run(self) -> None:
        checkpoint = await self._checkpoints.last(self._node.log)
        self._position = checkpoint.position
        leases = await self._node.leases()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._checkpoints.keep(lambda: Checkpoint(self._position, self.live)), name="checkpoints")
            group.create_task(keep_short(self._logs, self._node.log_bytes), name="lengths of logs")
            for deployment_id in checkpoint.live:
                self._supervise(deployment_id, group)
            for holder, lease in leases.held.items():  # whatever has ended gives back what it has
                if lease.kind == "deployment":
                    self._supervise(holder, group)
            async for batch in self._node.log.follow(self._position, (DeploymentFact.context,)):
                self._on_batch(batch, group)
                self._position = batch[-1].meta.position
                self._checkpoints.changed()

    @property
    def live(self) -> tuple[UUID, ...]:
        return tuple(self._supervisors)

    def _logs(self) -> list[Path]:
        return [self._node.attempt(deployment_id, 0).log for deployment_id in self._supervisors]

    def _on_batch(self, batch: list[Recorded], group: asyncio.TaskGroup) -> None:
        concerned: dict[UUID, None] = {}
        for entry in batch:
            deployment_id = entry.meta.aggregate_id
            match entry.fact:
                case DeploymentRequested(node=node) if node == self._node.name:
                    concerned[deployment_id] = None
                case DeploymentRestartRequested() | DeploymentStopRequested():
                    concerned[deployment_id] = None
                case DeploymentFailed(cause="lost") if supervisor := self._supervisors.get(deployment_id):
                    supervisor.changed.set()  # the watch over nodes gave it up while this one was not heard of
                case fact if isinstance(fact, _TERMINAL) and deployment_id not in self._supervisors:
                    concerned.pop(deployment_id, None)
        for deployment_id in concerned:
            self._supervise(deployment_id, group)

    def _supervise(self, deployment_id: UUID, group: asyncio.TaskGroup) -> None:
        if supervisor := self._supervisors.get(deployment_id):
            supervisor.changed.set()
            return
        supervisor = self._supervisors[deployment_id] = Supervisor(self._node, deployment_id)
        group.create_task(self._persist(deployment_id, supervisor), name=f"deployment {deployment_id}")

    async def _persist(self, deployment_id: UUID, supervisor: Supervisor) -> None:
        pause = 1.0
        while True:
            try:
                await supervisor()
                if not supervisor.changed.is_set():  # else something was asked for while it came to its end
                    break
                continue
            except Exception:  # noqa: BLE001 - a deployment must not stay without a supervisor, whatever befell this one
                _log.exception("the supervisor of %s failed; it begins again in %.0f s", deployment_id, pause)
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
        del self._supervisors[deployment_id]
        self._checkpoints.changed()
