"""What decisions on policies of de-identification need to know beside the policy's own facts."""

from __future__ import annotations

import asyncio

from contracts.policies import LARGEST_POLICY, DeletePolicy, UploadPolicy
from contracts.problems import InvalidBody, Refused, Wrong
from services.handlers import policies
from services.runtime.deidentifying.policies import built_in_policies, checked_policy, sha256_of
from services.runtime.gathering.sources import Sources


async def for_upload_policy(command: UploadPolicy, _: Sources) -> policies.UploadGathered:
    """Raises Refused: the policy is too large, or not valid."""
    if len(command.content.encode()) > LARGEST_POLICY:
        raise Refused("policy_too_large", limit=LARGEST_POLICY)
    policy = await asyncio.to_thread(checked_policy, command.content)
    if policy.id != command.policy_id:
        raise InvalidBody(Wrong("/id", "与地址中的策略编号不同", "is not the id that the address names"))
    return policies.UploadGathered(
        version=policy.version,
        sha256=sha256_of(command.content),
        built_in=command.policy_id in await asyncio.to_thread(built_in_policies),
    )


async def for_delete_policy(command: DeletePolicy, _: Sources) -> policies.DeleteGathered:
    return policies.DeleteGathered(built_in=command.policy_id in await asyncio.to_thread(built_in_policies))
