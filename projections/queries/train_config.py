"""The views of the training configuration."""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec
from sqlalchemy import Connection, Integer, RowMapping, Select, bindparam, select

from contracts.times import zulu_iso
from projections.queries.cut import NOW, Cut
from projections.tables import from_column, train_configs


class StoredVersion(msgspec.Struct, frozen=True, kw_only=True):
    """A version as the tables have it. `actor` is who uploaded it; moments as the documented API spells them.

    `current`: it is the one in force.
    """

    version: int
    filename: str
    stored_name: str
    size: int
    sha256: str
    actor: str
    uploaded_at: str
    deleted_at: str | None
    current: bool


class VersionPage(msgspec.Struct, frozen=True):
    """Newest first; `before` is where the next page begins, none on the last."""

    items: tuple[StoredVersion, ...]
    before: int | None


def current_version(connection: Connection, cut: Cut = NOW) -> StoredVersion | None:
    """The one in force at the cut, none where there was none."""
    newest = version_page(connection, cut, limit=1).items
    return newest[0] if newest and newest[0].current else None


def version_page(
    connection: Connection, cut: Cut = NOW, *, before: int | None = None, limit: int | None = None
) -> VersionPage:
    """All versions at the cut, or at most `limit` of those below number `before`."""
    bounds = {"before": before or 2**31 - 1} | ({} if limit is None else {"most": limit + 1})
    rows = connection.execute(_below(cut.like, limit is not None), cut.values | bounds).mappings().all()
    shown = rows[:limit]
    more = limit is not None and len(rows) > limit
    newest = before is None
    items = tuple(
        _stored(row, current=newest and index == 0 and row["deleted_at"] is None) for index, row in enumerate(shown)
    )
    return VersionPage(items, shown[-1]["version"] if more else None)


def version_of(connection: Connection, version: int, cut: Cut = NOW) -> StoredVersion | None:
    """None where there was no such version at the cut."""
    if not 0 < version < 2**31:
        return None
    found = version_page(connection, cut, before=version + 1, limit=1).items
    return found[0] if found and found[0].version == version else None


@cache
def _below(cut: Cut, bounded: bool) -> Select[Any]:
    statement = (
        select(train_configs)
        .where(cut.holds(train_configs), train_configs.c.version < bindparam("before", type_=Integer))
        .order_by(train_configs.c.version.desc())
    )
    return statement.limit(bindparam("most", type_=Integer)) if bounded else statement


def _stored(row: RowMapping, *, current: bool) -> StoredVersion:
    return StoredVersion(
        version=row["version"],
        filename=row["filename"],
        stored_name=row["stored_name"],
        size=row["size"],
        sha256=row["sha256"],
        actor=row["actor"],
        uploaded_at=zulu_iso(from_column(row["uploaded_at"])),
        deleted_at=None if row["deleted_at"] is None else zulu_iso(from_column(row["deleted_at"])),
        current=current,
    )
