"""Commands whose answer tells of their aggregate's facts alone, so that no read model is asked for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

import msgspec

from contracts.command import Command
from contracts.policies import DeletePolicy, PolicyDetail, PolicyRemoved, UploadPolicy
from contracts.times import zulu_iso
from events.event import Recorded
from events.policies import Policy, PolicyUploaded

# From the aggregate's id, its state and all its facts, oldest first.
Told = Callable[[UUID, Any, Sequence[Recorded]], msgspec.Struct]


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


ANSWERS: dict[type[Command], Told] = {
    UploadPolicy: policy_detail,
    DeletePolicy: policy_removed,
}
