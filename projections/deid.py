"""De-identification of datasets: facts folded into the table `deid_jobs`."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from events.deid import (
    DeidentificationAssigned,
    DeidentificationCanceled,
    DeidentificationCancelRequested,
    DeidentificationCompleted,
    DeidentificationFailed,
    DeidentificationRequested,
)
from projections.rows import Rows
from projections.tables import deid_jobs


def on_deidentification_requested(rows: Rows, fact: DeidentificationRequested) -> None:
    rows.add(
        deid_jobs,
        dataset_id=str(fact.dataset_id),
        dataset_version=fact.dataset_version,
        dataset_sha256=fact.dataset_sha256,
        policy_id=fact.policy_id,
        policy_version=fact.policy_version,
        policy_sha256=hashlib.sha256(fact.policy.encode()).hexdigest(),
        fields=None if fact.fields is None else _json(fact.fields),
        seeded=int(fact.seeded),
        requested_by=rows.actor,
        status="pending",
        cancel_requested=0,
        sources=_json(fact.files),
        created_at=rows.time,
        updated_at=rows.time,
    )


def on_deidentification_assigned(rows: Rows, fact: DeidentificationAssigned) -> None:
    _change(rows, status="running", node=fact.node, started_at=rows.time)


def on_deidentification_cancel_requested(rows: Rows, _: DeidentificationCancelRequested) -> None:
    _change(rows, cancel_requested=1)


def on_deidentification_completed(rows: Rows, fact: DeidentificationCompleted) -> None:
    _end(
        rows,
        "completed",
        outputs=_json(fact.files),
        output_version=fact.output_version,
        records=fact.records,
        counts=_json(fact.counts),
    )


def on_deidentification_failed(rows: Rows, fact: DeidentificationFailed) -> None:
    _end(rows, "failed", failure=_json(fact))


def on_deidentification_canceled(rows: Rows, _: DeidentificationCanceled) -> None:
    _end(rows, "canceled", cancel_requested=1)


def _end(rows: Rows, status: str, **columns: Any) -> None:
    _change(rows, status=status, completed_at=rows.time, **columns)


def _change(rows: Rows, **columns: Any) -> None:
    rows.change(deid_jobs, updated_at=rows.time, **columns)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
