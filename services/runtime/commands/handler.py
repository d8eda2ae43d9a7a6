"""What is said of each command: who may send it, what it decides on, and how."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID, uuid5

import msgspec

from events.event import Event
from events.tokens import Role
from services.runtime.gathering.sources import Sources


class Aggregate(msgspec.Struct, frozen=True):
    """How the facts of a context fold: the state before any fact, and the step.

    `lasting`: one of it goes on for ever and is asked for again and again, so a process remembers it as folded so far.
    Its state alone has to tell a command that comes again.
    """

    context: str
    initial: Any
    evolve: Callable[[Any, Any], Any]
    lasting: bool = False


class Handler(msgspec.Struct, frozen=True, kw_only=True):
    """`target` gives the aggregate's id; `role` is the least that may send it from outside, none for reports.

    `check` refuses what needs no state; `gather` looks up what `decide` needs beside the aggregate's own state.
    `presume_new`: the first attempt takes the aggregate for new without reading it, and the append finds out; only
    where nothing that is gathered could refuse a command which was accepted before and comes again.
    """

    aggregate: Aggregate
    target: Callable[[Any, UUID], UUID]
    decide: Callable[[Any, Any, Any], tuple[Event, ...]]
    role: Role | None = None
    check: Callable[[Any], None] | None = None
    gather: Callable[[Any, Sources], Awaitable[Any]] | None = None
    presume_new: bool = False


# Never changes: ids of new aggregates derive from their command's id, so a repeated command finds what it made.
_NEW_AGGREGATE = UUID("0c8b3d6e-3b0a-5c4f-8f43-6f1d8f0f2a11")


def new_aggregate(command_id: UUID) -> UUID:
    return uuid5(_NEW_AGGREGATE, str(command_id))


def new(_: Any, command_id: UUID) -> UUID:
    """The target of a command that makes an aggregate."""
    return new_aggregate(command_id)
