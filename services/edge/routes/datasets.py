"""Datasets over HTTP: made, listed, shown, kept and deleted, with their versions."""

from __future__ import annotations

import logging
from typing import Annotated, Any, Literal

import msgspec
from litestar import Response, delete, get, post, put
from litestar.openapi.spec import Example
from litestar.params import Body, PathParameter, QueryParameter
from msgspec.structs import replace

from contracts.datasets import (
    CreateDataset,
    CreatedDataset,
    DatasetRecord,
    DatasetRemoved,
    DatasetSummary,
    DeleteDataset,
    RetentionChange,
    RetentionOfDataset,
    SetDatasetRetention,
    UnfinishedUpload,
    UploadProgress,
    VersionDetail,
    VersionSummary,
)
from contracts.problems import Refused
from contracts.times import zulu_iso
from projections.queries.datasets import (
    DatasetFilters,
    dataset_exists,
    dataset_list,
    dataset_record,
    version_detail,
    version_list,
)
from services.edge.answers import carry_out, next_page, show, show_as
from services.edge.bodies import StrictBody
from services.edge.context import AnyRequest, Edge, asked_of, edge_of
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
from services.edge.parameters import (
    AsOf,
    Cursor,
    DatasetId,
    IdempotencyKey,
    Limit,
    MinEventPosition,
    after_cursor,
    cursor_of,
)
from services.edge.uploading import dataset_id_of, remove_bytes

_TAGS = ["datasets"]
_log = logging.getLogger(__name__)
_EXAMPLE = Example(
    value={
        "name": "chatglm_pairs_v1",
        "type": "text2text",
        "description": "object-storage",
        "task_type": "sft",
        "metadata": {"language": "zh", "records": 1024},
    }
)
_Name = Annotated[
    str | None, QueryParameter(name="name", description="Only datasets with this in their name, whatever its case")
]
_Type = Annotated[str | None, QueryParameter(name="type", description="Only datasets of this type")]
_TaskType = Annotated[str | None, QueryParameter(name="task_type", description="Only datasets for this kind of task")]
_Status = Annotated[
    Literal["created", "ready", "invalid"] | None, QueryParameter(name="status", description="Only those that are so")
]
_Version = Annotated[int, PathParameter(description="Number of the version, from 1", ge=1, le=2**31 - 1)]


@post(
    "/v1/datasets",
    operation_id="createDataset",
    summary="Register a dataset; its files come after",
    tags=_TAGS,
    status_code=200,
    dto=StrictBody[CreateDataset],
    return_dto=None,
    response_headers=[EVENT_POSITION, COMMAND_ID, LOCATION],
    responses=problems(*OF_COMMANDS, *OF_BODIES),
)
async def create_dataset(
    request: AnyRequest,
    data: Annotated[CreateDataset, Body(examples=[_EXAMPLE])],
    idempotency_key: IdempotencyKey = None,
) -> Response[CreatedDataset]:
    return await carry_out(request, data, idempotency_key, location="/v1/datasets")


@get(
    "/v1/datasets",
    operation_id="listDatasets",
    summary="All datasets, or a page of them, in the order of their creation",
    tags=_TAGS,
    response_headers=[EVENT_POSITION, LINK],
    responses=problems(*OF_READS),
)
async def list_datasets(
    request: AnyRequest,
    name: _Name = None,
    type_: _Type = None,
    task_type: _TaskType = None,
    status: _Status = None,
    limit: Limit = None,
    cursor: Cursor = None,
    as_of: AsOf = None,
    min_event_position: MinEventPosition = None,
) -> Response[tuple[DatasetSummary, ...]]:
    edge = edge_of(request)
    after = after_cursor("datasets", cursor)
    cut = await edge.past.cut(as_of, min_event_position)
    filters = DatasetFilters(name=name, type=type_, task_type=task_type, status=status)
    shown = await edge.reads.ask(lambda connection: dataset_list(connection, filters, cut, after=after, limit=limit))
    following = cursor_of("datasets", shown.answer.after)
    headers = next_page("/v1/datasets", following, limit=limit, as_of=as_of, **msgspec.structs.asdict(filters))
    return show_as(msgspec.json.encode(shown.answer.items), shown, cut, **headers)


@get(
    "/v1/datasets/{dataset_id:str}",
    operation_id="getDataset",
    summary="A dataset with its files, and what of others has arrived so far",
    tags=_TAGS,
    response_headers=[EVENT_POSITION],
    responses=problems(*OF_READS, "dataset_not_found"),
)
async def get_dataset(
    request: AnyRequest, dataset_id: DatasetId, as_of: AsOf = None, min_event_position: MinEventPosition = None
) -> Response[DatasetRecord]:
    edge = edge_of(request)
    dataset = dataset_id_of(dataset_id)
    cut = await edge.past.cut(as_of, min_event_position)
    language = asked_of(request).language
    shown = await edge.reads.ask(lambda connection: dataset_record(connection, dataset, cut, language=language))
    record = shown.answer
    if record is not None and cut.position is None:
        record = replace(record, upload_progress=await _progress(edge, record))
    if record is None:
        raise _missing(dataset_id)
    headers = {"Content-Language": language, "Vary": "Accept-Language"}
    return show_as(msgspec.json.encode(record), shown, cut, **headers)


@delete(
    "/v1/datasets/{dataset_id:str}",
    operation_id="deleteDataset",
    summary="Delete a dataset, and the bytes of all its versions; its history stays in the ledger",
    tags=_TAGS,
    status_code=200,
    response_headers=[EVENT_POSITION, COMMAND_ID],
    responses=problems(*OF_COMMANDS, "dataset_not_found"),
)
async def delete_dataset(
    request: AnyRequest, dataset_id: DatasetId, idempotency_key: IdempotencyKey = None
) -> Response[DatasetRemoved]:
    dataset = dataset_id_of(dataset_id)
    response = await carry_out(request, DeleteDataset(dataset_id=dataset), idempotency_key)
    await remove_bytes(request, dataset)
    return response


@put(
    "/v1/datasets/{dataset_id:str}/retention",
    operation_id="setDatasetRetention",
    summary="How many days the uploads of a dataset are kept; null keeps them for ever",
    tags=_TAGS,
    dto=StrictBody[RetentionChange],
    return_dto=None,
    response_headers=[EVENT_POSITION, COMMAND_ID],
    responses=problems(*OF_COMMANDS, *OF_BODIES, "dataset_not_found"),
)
async def set_dataset_retention(
    request: AnyRequest,
    dataset_id: DatasetId,
    data: Annotated[RetentionChange, Body(examples=[Example(value={"retention_days": 90})])],
    idempotency_key: IdempotencyKey = None,
) -> Response[RetentionOfDataset]:
    command = SetDatasetRetention(dataset_id=dataset_id_of(dataset_id), retention_days=data.retention_days)
    return await carry_out(request, command, idempotency_key)


@get(
    "/v1/datasets/{dataset_id:str}/versions",
    operation_id="listDatasetVersions",
    summary="The versions of a dataset, one for each change of its files and for each de-identification",
    tags=_TAGS,
    response_headers=[EVENT_POSITION],
    responses=problems(*OF_READS, "dataset_not_found"),
)
async def list_versions(
    request: AnyRequest, dataset_id: DatasetId, as_of: AsOf = None, min_event_position: MinEventPosition = None
) -> Response[tuple[VersionSummary, ...]]:
    edge = edge_of(request)
    dataset = dataset_id_of(dataset_id)
    cut = await edge.past.cut(as_of, min_event_position)
    shown = await edge.reads.ask(lambda connection: version_list(connection, dataset, cut))
    return show(shown, cut, _missing(dataset_id))


@get(
    "/v1/datasets/{dataset_id:str}/versions/{version:int}",
    operation_id="getDatasetVersion",
    summary="A version with its files, and whether their bytes are still there",
    tags=_TAGS,
    response_headers=[EVENT_POSITION],
    responses=problems(*OF_READS, "dataset_not_found", "dataset_version_not_found"),
)
async def get_version(
    request: AnyRequest,
    dataset_id: DatasetId,
    version: _Version,
    as_of: AsOf = None,
    min_event_position: MinEventPosition = None,
) -> Response[VersionDetail]:
    edge = edge_of(request)
    dataset = dataset_id_of(dataset_id)
    cut = await edge.past.cut(as_of, min_event_position)
    shown = await edge.reads.ask(lambda connection: version_detail(connection, dataset, version, cut))
    if shown.answer is None:
        known = await edge.reads.ask(lambda connection: dataset_exists(connection, dataset, cut))
        if not known.answer:
            raise _missing(dataset_id)
    return show(shown, cut, Refused("dataset_version_not_found", dataset_id=dataset_id, version=version))


ROUTES: list[Any] = [
    create_dataset,
    list_datasets,
    get_dataset,
    delete_dataset,
    set_dataset_retention,
    list_versions,
    get_version,
]


def _missing(dataset_id: str) -> Refused:
    return Refused("dataset_not_found", dataset_id=dataset_id)


async def _progress(edge: Edge, record: DatasetRecord) -> UploadProgress:
    """What is seen just now; what the read models do not show yet of finished ones is shown as unfinished."""
    try:
        known = await edge.uploads.resumable.all()
    except Refused as refused:
        # What is on record can be told all the same.
        _log.warning("unfinished uploads of dataset %s are not known: %s", record.id, refused.text("en"))
        return record.upload_progress
    finished = {file.upload_id for file in record.files}
    unfinished = tuple(
        UnfinishedUpload(
            upload_id=found.described.upload_id,
            name=found.described.name,
            bytes=found.described.length,
            offset=found.offset,
            created_at=zulu_iso(found.described.created_at),
            expires_at=zulu_iso(found.expires_at),
        )
        for found in known
        if found.described.dataset_id == record.id and found.described.upload_id not in finished
    )
    return UploadProgress(files_count=len(record.files), unfinished=unfinished)
