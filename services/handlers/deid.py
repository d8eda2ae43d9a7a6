"""Decisions on de-identification of datasets, a job each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec

from contracts.deid import (
    FORMATS,
    AssignDeidentification,
    CancelDeidentification,
    DeidentifyDataset,
    ReportDeidentificationCanceled,
    ReportDeidentificationFailed,
    ReportDeidentificationLost,
    ReportDeidentified,
    format_of,
)
from contracts.field_names import is_data
from contracts.problems import InvalidBody, Refused, Wrong
from events.datasets import Dataset, DatasetVersion
from events.deid import (
    DeidentificationAssigned,
    DeidentificationCanceled,
    DeidentificationCancelRequested,
    DeidentificationCompleted,
    DeidentificationFailed,
    DeidentificationRequested,
    DeidJob,
    SourceFile,
)


class FrozenPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a policy that may be used, with its YAML."""

    id: str
    version: str
    content: str


class DeidentifyGathered(msgspec.Struct, frozen=True, kw_only=True):
    """`sealed_seed`: the caller's, or a new one, as the fact may hold it."""

    dataset: Dataset
    policy: FrozenPolicy
    sealed_seed: str


def deidentify_dataset(
    _: DeidJob, command: DeidentifyDataset, gathered: DeidentifyGathered
) -> tuple[DeidentificationRequested, ...]:
    _require_names(command.fields or ())
    version = _version(gathered.dataset, command)
    for file in version.files:
        if format_of(file.name) is None:
            raise Refused("file_format_unknown", name=file.name, known=", ".join(FORMATS))
        if gathered.dataset.file(file.upload_id) is None:
            raise Refused("dataset_file_gone", name=file.name)
    policy = gathered.policy
    return (
        DeidentificationRequested(
            dataset_id=command.dataset_id,
            dataset_version=version.number,
            dataset_sha256=version.sha256,
            files=tuple(
                SourceFile(name=file.name, stored_name=file.stored_name, bytes=file.bytes, sha256=file.sha256)
                for file in version.files
            ),
            policy_id=policy.id,
            policy_version=policy.version,
            policy=policy.content,
            sealed_seed=gathered.sealed_seed,
            seeded=command.seed is not None,
            fields=command.fields,
        ),
    )


def _require_names(fields: Sequence[str]) -> None:
    """They stay on record, where nothing of somebody must."""
    wrongs = [
        Wrong(f"/fields/{number}", "应为字段名，而不是数据", "must be the name of a field, not data")
        for number, field in enumerate(fields)
        if is_data(field)
    ]
    if wrongs:
        raise InvalidBody(*wrongs)


def _version(dataset: Dataset, command: DeidentifyDataset) -> DatasetVersion:
    if not dataset.exists:
        raise Refused("dataset_not_found", dataset_id=command.dataset_id)
    if command.version is None:
        version = dataset.current
    else:
        version = dataset.version(command.version)
        if version is None:
            raise Refused("dataset_version_not_found", dataset_id=command.dataset_id, version=command.version)
    if version is None or not version.files:
        raise Refused("dataset_without_files", dataset_id=command.dataset_id)
    return version


def cancel_deidentification(
    job: DeidJob, command: CancelDeidentification, _: None
) -> tuple[DeidentificationCancelRequested | DeidentificationCanceled, ...]:
    """A job that no node has taken yet is canceled at once; any other when its node has stopped."""
    if job.status is None:
        raise Refused("deid_job_not_found", job_id=command.job_id)
    if job.ended:
        raise Refused("deid_job_ended", status=job.status)
    if job.node is None:
        return (DeidentificationCanceled(),)
    return () if job.cancel_requested else (DeidentificationCancelRequested(),)


# What is reported. A report that comes again, or too late, changes nothing: a terminal fact is final.


def assign_deidentification(
    job: DeidJob, command: AssignDeidentification, _: None
) -> tuple[DeidentificationAssigned, ...]:
    return (DeidentificationAssigned(node=command.node),) if job.status == "pending" else ()


def report_deidentified(job: DeidJob, command: ReportDeidentified, _: None) -> tuple[DeidentificationCompleted, ...]:
    """Also where its cancellation was asked for meanwhile: the version is there."""
    if job.status != "running":
        return ()
    counts: Counter[str] = Counter()
    for file in command.files:
        counts.update(file.counts)
    completed = DeidentificationCompleted(
        output_version=command.output_version,
        files=command.files,
        records=sum(file.records for file in command.files),
        counts=dict(sorted(counts.items())),
    )
    return (completed,)


def report_deidentification_failed(
    job: DeidJob, command: ReportDeidentificationFailed, _: None
) -> tuple[DeidentificationFailed, ...]:
    if job.status != "running":
        return ()
    failed = DeidentificationFailed(
        cause=command.cause,
        reason=command.reason,
        reason_en=command.reason_en,
        file=command.file,
        line=command.line,
    )
    return (failed,)


def report_deidentification_canceled(
    job: DeidJob, _: ReportDeidentificationCanceled, __: None
) -> tuple[DeidentificationCanceled, ...]:
    return (DeidentificationCanceled(),) if job.status == "running" and job.cancel_requested else ()


def report_deidentification_lost(
    job: DeidJob, command: ReportDeidentificationLost, _: None
) -> tuple[DeidentificationFailed, ...]:
    """Also where its cancellation was asked for: that nothing of its work is left was not confirmed."""
    if job.status != "running" or job.node != command.node:
        return ()
    node, seconds = command.node, f"{command.silent_seconds:.0f}"
    zh = f"节点 {node} 的去标识化服务已 {seconds} 秒没有心跳，视为失联；以相同的 seed 重新提交，结果相同"
    en = (
        f"the de-identification service of node {node} is lost: not heard of for {seconds} s; with the same seed, a new"
    )
    failed = DeidentificationFailed(cause="lost", reason=zh, reason_en=f"{en} job has the same outcome")
    return (failed,)
