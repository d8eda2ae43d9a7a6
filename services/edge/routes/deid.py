"""De-identification of datasets over HTTP: jobs, their progress and their reports."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Response, get, post
from litestar.params import Body, PathParameter, QueryParameter

from contracts.deid import CancelDeidentification, DatasetDeidentification, DeidentifyDataset, DeidJobView, DeidReport
from contracts.problems import Refused
from projections.queries.deid import MOST_JOBS, job_detail, job_list, job_report
from services.edge.answers import carry_out, next_page, show, show_as
from services.edge.bodies import StrictBody
from services.edge.context import AnyRequest, edge_of
from services.edge.described import (
    COMMAND_ID,
    EVENT_POSITION,
    LINK,
    LOCATION,
    OF_BODIES,
    OF_COMMANDS,
    OF_READS,
    problems,
)
from services.edge.parameters import AsOf, Cursor, IdempotencyKey, InvalidParameter, Limit, MinEventPosition

_TAGS = ["deid"]

DatasetId = Annotated[str, PathParameter(description="Id of the dataset (UUID)", min_length=1)]
JobId = Annotated[str, PathParameter(description="Id of the de-identification job (UUID)", min_length=1)]
OfDataset = Annotated[str | None, QueryParameter(name="dataset_id", description="Only jobs of this dataset")]


@post(
    "/v1/datasets/{dataset_id:str}/deidentify",
    operation_id="deidentifyDataset",
    summary="Make a de-identified version of a dataset; the job answered is at work from then on",
    tags=_TAGS,
    status_code=202,
    dto=StrictBody[DatasetDeidentification],
    return_dto=None,
    response_headers=[EVENT_POSITION, COMMAND_ID, LOCATION],
    responses=problems(
        *OF_COMMANDS,
        *OF_BODIES,
        "dataset_not_found",
        "dataset_version_not_found",
        "dataset_without_files",
        "dataset_file_gone",
        "file_format_unknown",
        "policy_unknown",
        "policy_version_unknown",
        "policy_outdated",
    ),
)
async def deidentify_dataset(
    request: AnyRequest,
    dataset_id: DatasetId,
    data: Annotated[DatasetDeidentification, Body()],
    idempotency_key: IdempotencyKey = None,
) -> Response[DeidJobView]:
    command = DeidentifyDataset(
        dataset_id=_uuid(dataset_id, Refused("dataset_not_found", dataset_id=dataset_id)),
        policy_id=data.policy_id,
        policy_version=data.policy_version,
        version=data.version,
        fields=data.fields,
        seed=data.seed,
    )
    return await carry_out(request, command, idempotency_key, location="/v1/deid/jobs")


@get(
    "/v1/deid/jobs",
    operation_id="listDeidJobs",
    summary="De-identification jobs, the newest first",
    tags=_TAGS,
    response_headers=[EVENT_POSITION, LINK],
    responses=problems(*OF_READS),
)
async def list_jobs(
    request: AnyRequest,
    dataset_id: OfDataset = None,
    limit: Limit = None,
    cursor: Cursor = None,
    as_of: AsOf = None,
    min_event_position: MinEventPosition = None,
) -> Response[tuple[DeidJobView, ...]]:
    edge = edge_of(request)
    cut = await edge.past.cut(as_of, min_event_position)
    of, before = _dataset(dataset_id), _before(cursor)
    shown = await edge.reads.ask(
        lambda connection: job_list(connection, cut, dataset_id=of, before=before, limit=limit or MOST_JOBS)
    )
    page = shown.answer
    following = None if page.before is None else str(page.before)
    headers = next_page("/v1/deid/jobs", following, limit=limit, dataset_id=dataset_id, as_of=as_of)
    views = page.items if cut.position is not None else await edge.deid_progress.of_all(page.items)
    return show_as(msgspec.json.encode(views), shown, cut, **headers)


@get(
    "/v1/deid/jobs/{job_id:str}",
    operation_id="getDeidJob",
    summary="A de-identification job and how far it has come",
    tags=_TAGS,
    response_headers=[EVENT_POSITION],
    responses=problems(*OF_READS, "deid_job_not_found"),
)
async def get_job(
    request: AnyRequest, job_id: JobId, as_of: AsOf = None, min_event_position: MinEventPosition = None
) -> Response[DeidJobView]:
    edge = edge_of(request)
    cut = await edge.past.cut(as_of, min_event_position)
    missing = Refused("deid_job_not_found", job_id=job_id)
    job = _uuid(job_id, missing)
    shown = await edge.reads.ask(lambda connection: job_detail(connection, job, cut))
    if shown.answer is None:
        raise missing
    view = shown.answer if cut.position is not None else await edge.deid_progress.of(shown.answer)
    return show_as(msgspec.json.encode(view), shown, cut)


@get(
    "/v1/deid/jobs/{job_id:str}/report",
    operation_id="getDeidReport",
    summary="The report of a job as a file: policy, hashes before and after, counts by type; none of the data",
    tags=_TAGS,
    response_headers=[EVENT_POSITION],
    responses=problems(*OF_READS, "deid_job_not_found"),
)
async def get_report(
    request: AnyRequest, job_id: JobId, as_of: AsOf = None, min_event_position: MinEventPosition = None
) -> Response[DeidReport]:
    edge = edge_of(request)
    cut = await edge.past.cut(as_of, min_event_position)
    missing = Refused("deid_job_not_found", job_id=job_id)
    job = _uuid(job_id, missing)
    shown = await edge.reads.ask(lambda connection: job_report(connection, job, edge.people.name_of, cut))
    answer = show(shown, cut, missing)
    answer.headers["Content-Disposition"] = f'attachment; filename="deidentification-{job}.json"'
    return answer


@post(
    "/v1/deid/jobs/{job_id:str}/cancel",
    operation_id="cancelDeidJob",
    summary="Stop a job; `canceled` once nothing of its work is left",
    tags=_TAGS,
    status_code=200,
    response_headers=[EVENT_POSITION, COMMAND_ID],
    responses=problems(*OF_COMMANDS, "deid_job_not_found", "deid_job_ended"),
)
async def cancel_job(
    request: AnyRequest, job_id: JobId, idempotency_key: IdempotencyKey = None
) -> Response[DeidJobView]:
    command = CancelDeidentification(job_id=_uuid(job_id, Refused("deid_job_not_found", job_id=job_id)))
    return await carry_out(request, command, idempotency_key)


ROUTES: list[Any] = [deidentify_dataset, list_jobs, get_job, get_report, cancel_job]


def _uuid(text: str, missing: Refused) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise missing from None


def _dataset(text: str | None) -> UUID | None:
    return None if text is None else _uuid(text, InvalidParameter("dataset_id", "不是有效的 UUID", "it is no UUID"))


def _before(cursor: str | None) -> int | None:
    if cursor is None:
        return None
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) < 19):
        raise InvalidParameter("cursor", "不是本服务给出的游标", "it is not one that a Link header gave")
    return int(cursor)
