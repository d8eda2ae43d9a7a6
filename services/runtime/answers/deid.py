"""De-identification jobs, as commands on them are answered."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from contracts.deid import DeidJobView, JobProblem
from contracts.times import zulu_iso
from events.deid import DeidentificationAssigned, DeidentificationCompleted, DeidentificationFailed, DeidJob
from events.event import Recorded


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
        quarantined=sum(file.quarantined for file in completed.files) if completed else None,
        counts=completed.counts if completed else None,
        failure=JobProblem(
            cause=failed.cause, reason=failed.reason, reason_en=failed.reason_en, file=failed.file, line=failed.line
        )
        if failed
        else None,
    )
