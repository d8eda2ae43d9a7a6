"""The views of uploaded policies of de-identification."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, RowMapping, select

from contracts.policies import PolicyDetail, PolicySummary, policy_aggregate
from contracts.times import zulu_iso
from projections.queries.cut import NOW, Cut
from projections.tables import from_column, policies, policy_versions


def policy_list(connection: Connection, cut: Cut = NOW) -> tuple[PolicySummary, ...]:
    """Those that were not deleted, in the order of their first upload."""
    statement = select(policies).where(cut.holds(policies), policies.c.deleted == 0).order_by(policies.c.created)
    found = connection.execute(statement, cut.values).mappings().all()
    versions = _versions(connection, [row["id"] for row in found], cut)
    return tuple(PolicySummary(**_fields(row, versions[row["id"]], row["version"])) for row in found)


def policy_detail(
    connection: Connection, policy_id: str, version: str | None = None, cut: Cut = NOW
) -> PolicyDetail | None:
    """A version of a policy, its current one where none is named; none where there is none at the cut.

    Without a version a deleted policy is none; its versions are there still.
    """
    aggregate = str(policy_aggregate(policy_id))
    statement = select(policies).where(cut.holds(policies), policies.c.id == aggregate)
    row = connection.execute(statement, cut.values).mappings().one_or_none()
    if row is None or (row["deleted"] and version is None):
        return None
    versions = _versions(connection, [aggregate], cut)[aggregate]
    wanted = version or row["version"]
    one = next((known for known in versions if known["version"] == wanted), None)
    if one is None:
        return None
    return PolicyDetail(**_fields(row, versions, wanted), content=one["content"], deleted=bool(row["deleted"]))


def _fields(row: RowMapping, versions: Sequence[RowMapping], version: str) -> dict[str, Any]:
    one = next(known for known in versions if known["version"] == version)
    return {
        "id": row["policy_id"],
        "version": version,
        "built_in": False,
        "sha256": one["sha256"],
        "versions": tuple(known["version"] for known in versions),
        "uploaded_at": zulu_iso(from_column(one["uploaded_at"])),
    }


def _versions(connection: Connection, ids: Sequence[str], cut: Cut) -> dict[str, list[RowMapping]]:
    """By policy, in the order of their first upload."""
    found: dict[str, list[RowMapping]] = defaultdict(list)
    if not ids:
        return found
    statement = (
        select(policy_versions)
        .where(cut.holds(policy_versions), policy_versions.c.policy.in_(ids))
        .order_by(policy_versions.c.created)
    )
    for row in connection.execute(statement, cut.values).mappings():
        found[row["policy"]].append(row)
    return found
