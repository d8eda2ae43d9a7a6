"""Commands on policies of de-identification."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from contracts.command import Command
from contracts.policies import DeletePolicy, UploadPolicy, policy_aggregate
from events import policies as policy_facts
from services.handlers import policies
from services.runtime.commands.handler import Aggregate, Handler
from services.runtime.gathering import policies as gather_policies

POLICIES = Aggregate(policy_facts.PolicyFact.context, policy_facts.Policy(), policy_facts.evolve)


def _policy(command: Any, _: UUID) -> UUID:
    return policy_aggregate(command.policy_id)


HANDLERS: dict[type[Command], Handler] = {
    UploadPolicy: Handler(
        aggregate=POLICIES,
        target=_policy,
        decide=policies.upload_policy,
        role="operator",
        gather=gather_policies.for_upload_policy,
    ),
    DeletePolicy: Handler(
        aggregate=POLICIES,
        target=_policy,
        decide=policies.delete_policy,
        role="operator",
        gather=gather_policies.for_delete_policy,
    ),
}
