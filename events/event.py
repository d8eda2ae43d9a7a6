"""The base of every fact, and what the log's envelope says of a recorded one."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar
from uuid import UUID

import msgspec


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened. Its wire name is its class name, and neither that nor a field's meaning ever changes.

    `context` is the second token of its subject; `revision` counts shapes that need upcasting.
    """

    context: ClassVar[str]
    revision: ClassVar[int] = 1


class Origin(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Who caused a fact, and in answer to what. `actor` is a person's id or `service:<name>`, never a name."""

    actor: str
    command_id: UUID
    correlation_id: str | None = None
    causation_id: str | None = None
    traceparent: str | None = None


class Meta(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The envelope of a recorded fact.

    `position` is the stream sequence, total order of the ledger; `version` counts the facts of one aggregate from 1;
    `time` is when it was decided, `stored_at` when the log stored it (known to readers of the log only), both UTC.
    """

    id: UUID
    context: str
    aggregate_id: UUID
    version: int
    position: int
    time: datetime
    origin: Origin
    stored_at: datetime | None = None


class Recorded(msgspec.Struct, frozen=True, gc=False):
    fact: Event
    meta: Meta
