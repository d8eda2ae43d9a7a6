"""Why a deployment came as it did, as an answer."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

import msgspec

from events.deployments import DeploymentStatus


class DeploymentStep(msgspec.Struct, frozen=True, kw_only=True):
    """A fact of a deployment, and what it says as a sentence; `time` in Unix seconds.

    `kind`: somebody asked, the service decided, or its node observed. `name` is the person's, none where that was
    erased; all facts that one request led to have its `correlation_id`.
    """

    position: int
    time: float
    fact: str
    kind: Literal["asked", "decided", "observed"]
    actor: str
    name: str | None
    command_id: UUID
    correlation_id: str | None
    causation_id: str | None
    sentence: str


class DeploymentExplanation(msgspec.Struct, frozen=True, kw_only=True):
    """`GET /deployments/{deployment_id}/explain`: the causal chain, oldest first.

    `why` tells its latest end, none while there is none.
    """

    deployment_id: UUID
    status: DeploymentStatus
    why: str | None
    chain: tuple[DeploymentStep, ...]
