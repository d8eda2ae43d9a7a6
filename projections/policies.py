"""Policies of de-identification: facts folded into the tables `policies` and `policy_versions`."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid5

from contracts.policies import policy_aggregate
from events.policies import PolicyDeleted, PolicyUploaded
from projections.rows import Rows
from projections.tables import policies, policy_versions


def on_policy_uploaded(rows: Rows, fact: PolicyUploaded) -> None:
    current: dict[str, Any] = {"version": fact.version, "deleted": 0, "updated_at": rows.time}
    if rows.knows(policies, rows.aggregate_id):
        rows.change(policies, **current)
    else:
        rows.add(policies, policy_id=fact.policy_id, **current)
    version = str(version_row(fact))
    if rows.knows(policy_versions, version):  # it is the current one again, as it was
        rows.change(policy_versions, version, uploaded_at=rows.time)
        return
    rows.add(
        policy_versions,
        version,
        policy=rows.aggregate_id,
        version=fact.version,
        content=fact.content,
        sha256=fact.sha256,
        uploaded_at=rows.time,
    )


def version_row(fact: PolicyUploaded) -> UUID:
    return uuid5(policy_aggregate(fact.policy_id), fact.version)


def on_policy_deleted(rows: Rows, _: PolicyDeleted) -> None:
    rows.change(policies, deleted=1, updated_at=rows.time)
