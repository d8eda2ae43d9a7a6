"""Follows the facts of runs and supervises those of this node."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from uuid import UUID

from events.event import Recorded
from events.log import LogUnavailable
from events.runs import (
    RunCanceled,
    RunCancelRequested,
    RunCompleted,
    RunFact,
    RunFailed,
    RunLaunchFailed,
    RunRequested,
)
from services.runtime import checkpoints
from services.runtime.checkpoints import Checkpoints
from services.training.node import Node
from services.training.supervisor import Supervisor

_TERMINAL = (RunCompleted, RunFailed, RunCanceled, RunLaunchFailed)
_LONGEST_PAUSE = 60.0

_log = logging.getLogger(__name__)


class Checkpoint(checkpoints.Checkpoint, frozen=True):
    """Of the node called `name`."""

    name: str = ""


class Consumer:
    """Cancelling `run` leaves all children running; the next start finds them again."""

    def __init__(self, node: Node, checkpoint: Path) -> None:
        self._log = node.log
        self._node = node
        self._checkpoints = Checkpoints(checkpoint, Checkpoint)
        self._position = 0
        self._supervisors: dict[UUID, Supervisor] = {}

    async def run(self) -> None:
        checkpoint = await self._checkpoints.last(self._log)
        self._position = checkpoint.position
        leasing = await self._node.gpus.recover() if self._node.gpus else ()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._checkpoints.keep(self._checkpoint), name="checkpoints")
            if self._node.gpus:
                group.create_task(self._node.gpus.serve(), name="GPUs of runs")
            for run_id in (*checkpoint.live, *leasing):  # whatever has ended gives back what it has
                self._supervise(run_id, group, had=run_id in checkpoint.live)
            async for batch in self._log.follow(self._position, (RunFact.context,)):
                self._on_batch(batch, group)
                self._position = batch[-1].meta.position
                self._checkpoints.changed()

    @property
    def live(self) -> tuple[UUID, ...]:
        return tuple(self._supervisors)

    def _on_batch(self, batch: list[Recorded], group: asyncio.TaskGroup) -> None:
        over = {entry.meta.aggregate_id for entry in batch if isinstance(entry.fact, _TERMINAL)}
        # What was lost may still have processes here, launched before this service was killed with its checkpoint.
        lost = {entry.meta.aggregate_id for entry in batch if getattr(entry.fact, "cause", None) == "lost"}
        for entry in batch:
            run_id = entry.meta.aggregate_id
            match entry.fact:
                case RunRequested(node=node) if self._node.answers_to(node) and run_id not in over - lost:
                    self._supervise(run_id, group)
                case RunCancelRequested() if supervisor := self._supervisors.get(run_id):
                    supervisor.cancel()
                case RunCancelRequested() if run_id not in over:
                    self._supervise(run_id, group)  # it may be of this node, and nobody else to end it
        for run_id in over:
            # Mostly our own report; if somebody else ended the run, its processes have to go.
            if supervisor := self._supervisors.get(run_id):
                supervisor.cancel()

    def _supervise(self, run_id: UUID, group: asyncio.TaskGroup, *, had: bool = False) -> None:
        if run_id not in self._supervisors:
            supervisor = self._supervisors[run_id] = Supervisor(self._node, run_id, had=had)
            self._node.slots.expect(run_id)
            group.create_task(self._persist(run_id, supervisor), name=f"run {run_id}")

    async def _persist(self, run_id: UUID, supervisor: Supervisor) -> None:
        pause = 1.0
        while True:
            try:
                await supervisor()
            except LogUnavailable as error:
                _log.warning("run %s waits for the log: %s; again in %.0f s", run_id, error, pause)
            except Exception:  # noqa: BLE001 - a run must not stay without a supervisor, whatever befell this one
                _log.exception("the supervisor of run %s failed; it begins again in %.0f s", run_id, pause)
            else:
                break
            self._node.slots.give_up(run_id)
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
        if self._node.gpus:
            await self._node.gpus.release(run_id)
        self._node.slots.leave(run_id)
        del self._supervisors[run_id]
        if self._node.clearing is not None:
            self._node.clearing.run_ended()
        self._checkpoints.changed()

    def _checkpoint(self) -> Checkpoint:
        return Checkpoint(self._position, self.live, self._node.name)
