"""The list of all commands, by context: who may send each, what it decides on, and how."""

from __future__ import annotations

from contracts.command import Command
from events.commands import CommandRefused
from services.runtime.commands import (
    datasets,
    deid,
    deployments,
    leases,
    nodes,
    policies,
    projects,
    runs,
    tokens,
    train_config,
)
from services.runtime.commands.datasets import DATASETS, DOWNLOADS
from services.runtime.commands.deid import DEID, DEID_TEXTS
from services.runtime.commands.deployments import DEPLOYMENTS
from services.runtime.commands.handler import Aggregate, Handler, new_aggregate
from services.runtime.commands.leases import LEASES
from services.runtime.commands.nodes import NODES
from services.runtime.commands.policies import POLICIES
from services.runtime.commands.projects import PROJECTS
from services.runtime.commands.runs import RUNS
from services.runtime.commands.tokens import TOKENS
from services.runtime.commands.train_config import TRAIN_CONFIGS

__all__ = [
    "DATASETS",
    "DEID",
    "DEID_TEXTS",
    "DEPLOYMENTS",
    "DOWNLOADS",
    "HANDLERS",
    "LEASES",
    "NODES",
    "POLICIES",
    "PROJECTS",
    "PUBLIC",
    "REFUSALS",
    "RUNS",
    "TOKENS",
    "TRAIN_CONFIGS",
    "Aggregate",
    "Handler",
    "new_aggregate",
]

HANDLERS: dict[type[Command], Handler] = {
    **projects.HANDLERS,
    **runs.HANDLERS,
    **datasets.HANDLERS,
    **train_config.HANDLERS,
    **nodes.HANDLERS,
    **deployments.HANDLERS,
    **leases.HANDLERS,
    **policies.HANDLERS,
    **deid.HANDLERS,
    **tokens.HANDLERS,
}

REFUSALS = CommandRefused.context

# Commands that come from outside, by the last two tokens of their subject: (context, wire name).
PUBLIC: dict[tuple[str, str], type[Command]] = {
    (handler.aggregate.context, command.__name__): command
    for command, handler in HANDLERS.items()
    if handler.role is not None
}
