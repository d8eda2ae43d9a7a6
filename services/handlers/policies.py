"""Decisions on policies of de-identification."""

from __future__ import annotations

import msgspec

from contracts.policies import DeletePolicy, UploadPolicy
from contracts.problems import Refused
from events.policies import Policy, PolicyDeleted, PolicyUploaded


class UploadGathered(msgspec.Struct, frozen=True, kw_only=True):
    """`version` is the one that the content names, `sha256` its hash in hex; `built_in`: the id is a built-in one's."""

    version: str
    sha256: str
    built_in: bool


class DeleteGathered(msgspec.Struct, frozen=True, kw_only=True):
    built_in: bool


def upload_policy(policy: Policy, command: UploadPolicy, gathered: UploadGathered) -> tuple[PolicyUploaded, ...]:
    """A version that is on record may become the current one again, with the content that it has."""
    if gathered.built_in:
        raise Refused("policy_built_in", policy_id=command.policy_id)
    known = policy.versions.get(gathered.version)
    if known is not None and known.sha256 != gathered.sha256:
        raise Refused("policy_version_exists", policy_id=command.policy_id, version=gathered.version)
    if known is not None and known is policy.current and not policy.deleted:
        return ()
    uploaded = PolicyUploaded(
        policy_id=command.policy_id, version=gathered.version, content=command.content, sha256=gathered.sha256
    )
    return (uploaded,)


def delete_policy(policy: Policy, command: DeletePolicy, gathered: DeleteGathered) -> tuple[PolicyDeleted, ...]:
    if gathered.built_in:
        raise Refused("policy_built_in", policy_id=command.policy_id)
    if policy.current is None or policy.deleted:
        raise Refused("policy_not_found", policy_id=command.policy_id)
    return (PolicyDeleted(),)
