"""Policies, as commands on them are answered."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from contracts.policies import PolicyDetail, PolicyRemoved
from contracts.times import zulu_iso
from events.event import Recorded
from events.policies import Policy, PolicyUploaded


def policy_detail(_: UUID, policy: Policy, recorded: Sequence[Recorded]) -> PolicyDetail:
    """Its current version; versions in the order of their first upload, as the read models tell them."""
    current = policy.current
    assert current is not None
    versions = dict.fromkeys(entry.fact.version for entry in recorded if isinstance(entry.fact, PolicyUploaded))
    uploaded = next(entry.meta.time for entry in reversed(recorded) if isinstance(entry.fact, PolicyUploaded))
    return PolicyDetail(
        id=current.policy_id,
        version=current.version,
        built_in=False,
        sha256=current.sha256,
        versions=tuple(versions),
        uploaded_at=zulu_iso(uploaded),
        content=current.content,
        deleted=policy.deleted,
    )


def policy_removed(_: UUID, policy: Policy, __: Sequence[Recorded]) -> PolicyRemoved:
    assert policy.current is not None
    return PolicyRemoved(id=policy.current.policy_id)
