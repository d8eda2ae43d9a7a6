"""Commands whose answer tells of their aggregate's facts alone, so that no read model is asked for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

import msgspec

from contracts.command import Command
from contracts.deid import CancelDeidentification, DeidentifyDataset, DeidJobView, JobProblem
from contracts.nodes import ForgetNode, ForgottenNode
from contracts.policies import DeletePolicy, PolicyDetail, PolicyRemoved, UploadPolicy
from contracts.times import zulu_iso
from events.deid import (
    DeidentificationAssigned,
    DeidentificationCompleted,
    DeidentificationFailed,
    DeidJob,
)
from events.event import Recorded
from events.nodes import Node, NodeRegistered
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


def deid_job(job_id: UUID, job: DeidJob, recorded: Sequence[Recorded]) -> DeidJobView:
    requested = job.requested
    assert requested is not None
    assert job.status is not None
    last = recorded[-1]
    started = next((entry.meta.time for entry in recorded if isinstance(entry.fact, DeidentificationAssigned)), None)
    completed = last.fact if isinstance(last.fact, DeidentificationCompleted) else None
    failed = last.fact if isinstance(last.fact, DeidentificationFailed) else None
    return DeidJobView(
        id=job_id,
        dataset_id=requested.dataset_id,
        dataset_version=requested.dataset_version,
        policy_id=requested.policy_id,
        policy_version=requested.policy_version,
        fields=requested.fields,
        seeded=requested.seeded,
        status=job.status,
        progress=1.0 if completed else 0.0 if job.status == "pending" else None,
        created_at=zulu_iso(recorded[0].meta.time),
        updated_at=zulu_iso(last.meta.time),
        started_at=None if started is None else zulu_iso(started),
        completed_at=zulu_iso(last.meta.time) if job.ended else None,
        node=job.node,
        cancel_requested=job.cancel_requested or job.status == "canceled",
        output_version=completed.output_version if completed else None,
        records=completed.records if completed else None,
        counts=completed.counts if completed else None,
        failure=JobProblem(
            cause=failed.cause, reason=failed.reason, reason_en=failed.reason_en, file=failed.file, line=failed.line
        )
        if failed
        else None,
    )


def forgotten_node(_: UUID, __: Node, recorded: Sequence[Recorded]) -> ForgottenNode:
    name = next(entry.fact.name for entry in reversed(recorded) if isinstance(entry.fact, NodeRegistered))
    return ForgottenNode(name=name)


ANSWERS: dict[type[Command], Told] = {
    ForgetNode: forgotten_node,
    UploadPolicy: policy_detail,
    DeletePolicy: policy_removed,
    DeidentifyDataset: deid_job,
    CancelDeidentification: deid_job,
}
