"""Nodes: their reports, heartbeats and views."""

from __future__ import annotations

from typing import Literal
from uuid import UUID, uuid5

import msgspec

from contracts.command import Command

# Never changes: every node id of every ledger is derived from it.
_NODE_NAMESPACE = UUID("3f2a8a5e-2f4b-5d0e-8c55-6c1f0f7c9b21")


def node_id(name: str) -> UUID:
    return uuid5(_NODE_NAMESPACE, name)


class RegisterNode(Command, frozen=True, kw_only=True):
    """A training service says what its node is; what is on record already changes nothing."""

    name: str
    labels: dict[str, str]
    executor: str
    training_directory: str


class DeclareNodeLost(Command, frozen=True, kw_only=True):
    """A watcher saw no heartbeat of the node for so long."""

    name: str
    silent_seconds: float


class ForgetNode(Command, frozen=True, kw_only=True):
    """Asks that a node which is lost be shown no longer; what is on record of its runs stays."""

    name: str


class ForgottenNode(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to `DELETE /v1/nodes/{name}`."""

    name: str
    status: Literal["forgotten"] = "forgotten"


class Gpu(msgspec.Struct, frozen=True, kw_only=True):
    """A GPU of a node, memory in bytes."""

    name: str
    uuid: str
    memory_total: int
    memory_free: int


class Heartbeat(msgspec.Struct, frozen=True, kw_only=True):
    """Who holds the name of a node, stored again and again: the lease of the name, and the sign that the node lives.

    `data_directory` identifies the service's data directory, of which one service at a time is let in, `boot` the
    machine since it was started. `stopped`: the service has ended in an orderly way and holds the name no longer.
    `every`: seconds until the next one.
    """

    instance: UUID
    data_directory: UUID
    boot: str
    stopped: bool = False
    every: float = 5.0


class ServingHeartbeat(msgspec.Struct, frozen=True, kw_only=True):
    """Stored by a deployment service again and again: the sign that it lives. `node` is the name that it has now."""

    node: str


class NodeAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What a node says of itself when it is asked."""

    gpus: tuple[Gpu, ...] = ()


class NodeDetail(msgspec.Struct, frozen=True, kw_only=True):
    """A node. Moments are ISO 8601 UTC without a zone suffix.

    `status` is `live` where the node answered just now, `lost` where it was declared so, else `unreachable`. What was
    seen just now, `gpus` and `last_heartbeat` too, is no part of the past: with `as_of` it is null. `runs` are those
    that have not ended.
    """

    name: str
    labels: dict[str, str]
    executor: str
    training_directory: str
    status: Literal["live", "unreachable", "lost"] | None
    registered_at: str
    lost_at: str | None
    last_heartbeat: str | None
    gpus: tuple[Gpu, ...] | None
    runs: tuple[UUID, ...]
