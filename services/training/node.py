"""A node, as its runs need it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from uuid import UUID

import msgspec
from nats.js import JetStreamContext

from events.log import EventLog
from services.runtime.dispatch import Dispatch
from services.training.clearing import Clearing
from services.training.executors import Executor, Place
from services.training.gpus import RunGpus
from services.training.inputs import Inputs
from services.training.overlaps import Overlaps
from services.training.slots import Slots


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """What every run of this node needs. `executors` by name, the first is that of new runs.

    `root` is the training directory, `runs` that of the runs' own directories. `grace` is how many seconds a canceled
    run has between TERM and KILL. Without `own_output`, runs write where their YAML says, and take turns. A launch that
    failed is tried again `launch_retries` times, after `retry_pause` seconds, the next time after twice as many.
    `earlier` are names that the node had, under which runs may wait for it.
    """

    name: str
    log: EventLog
    dispatch: Dispatch
    js: JetStreamContext
    executors: Mapping[str, Executor]
    root: Path
    runs: Path
    grace: float = 10.0
    own_output: bool = True
    launch_retries: int = 0
    retry_pause: float = 1.0
    slots: Slots = msgspec.field(default_factory=Slots)
    inputs: Inputs | None = None
    clearing: Clearing | None = None
    gpus: RunGpus | None = None
    earlier: frozenset[str] = frozenset()
    overlaps: Overlaps = msgspec.field(default_factory=Overlaps)

    def answers_to(self, name: str) -> bool:
        return name == self.name or name in self.earlier

    def place(self, run_id: UUID, attempt: int) -> Place:
        return Place(run_id, attempt, self.runs / str(run_id) / str(attempt))
