"""What became of a command."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

import msgspec

from contracts.problems import Problem


class Outcome(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`GET /v1/commands/{id}`, and the reply to a command over NATS.

    `unsettled`: nothing was decided, as something was away, and nobody is at work on it now. A durable command is tried
    again by itself, any other where it is sent again under the same id. `position` is that of the last fact the command
    appended; `result` is what HTTP would have answered with.
    """

    command_id: UUID
    status: Literal["at_work", "unsettled", "accepted", "refused"]
    aggregate_id: UUID | None = None
    position: int | None = None
    result: msgspec.Raw | None = None
    problem: Problem | None = None
