"""The views of de-identification jobs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Connection, Integer, RowMapping, Select, bindparam, select

from contracts.deid import DeidJobView, DeidReport, JobProblem, ReportedFile
from contracts.times import zulu_iso
from events.deid import DeidentificationFailed, DeidentifiedFile, SourceFile
from projections.queries.cut import NOW, Cut
from projections.queries.projects import NameOf
from projections.tables import deid_jobs, from_column

MOST_JOBS = 1_000


class JobPage(msgspec.Struct, frozen=True):
    """Jobs, the newest first; `before` is where the next page begins, none on the last."""

    items: tuple[DeidJobView, ...]
    before: int | None


class _LeftOut(msgspec.Struct, frozen=True):
    """What a list of jobs needs to know of each output."""

    quarantined: int = 0


_left_out = msgspec.json.Decoder(tuple[_LeftOut, ...]).decode


def job_list(
    connection: Connection,
    cut: Cut = NOW,
    *,
    dataset_id: UUID | None = None,
    before: int | None = None,
    limit: int = MOST_JOBS,
) -> JobPage:
    """At most `limit` jobs of all datasets or one, requested before position `before`."""
    values: dict[str, Any] = {"most": limit + 1} | cut.values
    if dataset_id is not None:
        values["dataset"] = str(dataset_id)
    if before is not None:
        values["before"] = before
    statement = _listed(cut.like, dataset_id is not None, before is not None)
    rows = connection.execute(statement, values).mappings().all()
    shown = rows[:limit]
    return JobPage(tuple(map(_view, shown)), shown[-1]["created"] if len(rows) > limit else None)


def job_detail(connection: Connection, job_id: UUID, cut: Cut = NOW) -> DeidJobView | None:
    """None where there was no such job at the cut."""
    row = _row(connection, job_id, cut)
    return None if row is None else _view(row)


def job_report(connection: Connection, job_id: UUID, name_of: NameOf, cut: Cut = NOW) -> DeidReport | None:
    row = _row(connection, job_id, cut)
    if row is None:
        return None
    sources = msgspec.json.decode(row["sources"], type=tuple[SourceFile, ...])
    outputs = msgspec.json.decode(row["outputs"] or "[]", type=tuple[DeidentifiedFile, ...])
    files = tuple(
        ReportedFile(name=source.name, input_bytes=source.bytes, input_sha256=source.sha256) for source in sources
    )
    if outputs:  # in the order of their sources
        files = tuple(
            msgspec.structs.replace(
                file,
                output_bytes=output.bytes,
                output_sha256=output.output_sha256,
                records=output.records,
                quarantined=output.quarantined,
                quarantined_lines=output.quarantined_lines,
                counts=output.counts,
            )
            for file, output in zip(files, outputs, strict=True)
        )
    return DeidReport(
        job=_view(row),
        dataset_sha256=row["dataset_sha256"],
        policy_sha256=row["policy_sha256"],
        requested_by=_name(row["requested_by"], name_of),
        files=files,
    )


def live_jobs_of(connection: Connection, node: str) -> Sequence[UUID]:
    """The jobs that a node works on. Names are compared here: no database has the column in an index, few jobs live."""
    statement = select(deid_jobs.c.node, deid_jobs.c.id).where(NOW.holds(deid_jobs), deid_jobs.c.status == "running")
    return [UUID(row.id) for row in connection.execute(statement) if row.node == node]


def _name(actor: str, name_of: NameOf) -> str | None:
    try:
        return name_of(UUID(actor))
    except ValueError:
        return actor


def _row(connection: Connection, job_id: UUID, cut: Cut) -> RowMapping | None:
    values = {"job": str(job_id)} | cut.values
    return connection.execute(_one(cut.like), values).mappings().one_or_none()


@cache
def _one(cut: Cut) -> Select[Any]:
    return select(deid_jobs).where(deid_jobs.c.id == bindparam("job"), cut.holds(deid_jobs))


@cache
def _listed(cut: Cut, of_dataset: bool, bounded: bool) -> Select[Any]:
    statement = select(deid_jobs).where(cut.holds(deid_jobs)).order_by(deid_jobs.c.created.desc())
    if of_dataset:
        statement = statement.where(deid_jobs.c.dataset_id == bindparam("dataset"))
    if bounded:
        statement = statement.where(deid_jobs.c.created < bindparam("before"))
    return statement.limit(bindparam("most", type_=Integer))


def _view(row: RowMapping) -> DeidJobView:
    return DeidJobView(
        id=UUID(row["id"]),
        dataset_id=UUID(row["dataset_id"]),
        dataset_version=row["dataset_version"],
        policy_id=row["policy_id"],
        policy_version=row["policy_version"],
        fields=None if row["fields"] is None else msgspec.json.decode(row["fields"], type=tuple[str, ...]),
        seeded=bool(row["seeded"]),
        status=row["status"],
        progress=1.0 if row["status"] == "completed" else 0.0 if row["status"] == "pending" else None,
        created_at=_moment(row["created_at"]),
        updated_at=_moment(row["updated_at"]),
        started_at=_moment_or_none(row["started_at"]),
        completed_at=_moment_or_none(row["completed_at"]),
        node=row["node"],
        cancel_requested=bool(row["cancel_requested"]),
        output_version=row["output_version"],
        records=row["records"],
        quarantined=None if row["outputs"] is None else sum(one.quarantined for one in _left_out(row["outputs"])),
        counts=None if row["counts"] is None else msgspec.json.decode(row["counts"], type=dict[str, int]),
        failure=None if row["failure"] is None else _problem(row["failure"]),
    )


def _problem(column: str) -> JobProblem:
    fact = msgspec.json.decode(column, type=DeidentificationFailed)
    return JobProblem(cause=fact.cause, reason=fact.reason, reason_en=fact.reason_en, file=fact.file, line=fact.line)


def _moment(column: int) -> str:
    return zulu_iso(from_column(column))


def _moment_or_none(column: int | None) -> str | None:
    return None if column is None else _moment(column)
