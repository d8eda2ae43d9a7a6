"""Uploads over HTTP: resumable ones by tus 1.0 (https://tus.io/protocols/resumable-upload), and the end of any."""

from __future__ import annotations

from typing import Any
from uuid import uuid4, uuid5

import msgspec
from litestar import Response, delete, get, patch, post
from litestar.enums import HttpMethod
from litestar.handlers import route
from litestar.openapi.datastructures import ResponseSpec

from contracts.datasets import AbortUpload, AddDatasetFile, UploadAborted, UploadState
from contracts.problems import Refused
from services.edge import tus
from services.edge.answers import Json, carry_out
from services.edge.context import AnyRequest, asked_of, edge_of
from services.edge.described import OF_COMMANDS, OF_READS, problems
from services.edge.parameters import DatasetId, IdempotencyKey, MinEventPosition, UploadId
from services.edge.problems import TUS_VERSION
from services.edge.resuming import aborted_unfinished, append, complete, finished, is_on_record
from services.edge.uploading import LEAST, dataset_id_of, may_upload, remove_bytes, upload_id_of
from services.runtime.intake import command_id
from services.runtime.storage.resumable import Described

_TAGS = ["uploads"]
_STORAGE = ("storage_full", "storage_unavailable")
_OF_TUS = ("tus_version", "forbidden", "log_unavailable", *_STORAGE)


@post(
    "/v1/datasets/{dataset_id:str}/uploads",
    operation_id="createUpload",
    summary="Begin a resumable upload (tus 1.0), with its first bytes or without",
    tags=_TAGS,
    request_max_body_size=None,
    response_headers=[tus.VERSION, tus.OFFSET, tus.EXPIRES, tus.LOCATION],
    responses={201: ResponseSpec(None, generate_examples=False, description="Made")}
    | problems(
        *_OF_TUS,
        "invalid_command_id",
        "dataset_not_found",
        "file_empty",
        "file_too_large",
        "file_name_invalid",
        "unsupported_media_type",
        "upload_busy",
        "upload_taken_over",
        "upload_stalled",
        "upload_offset_wrong",
        "command_id_reused",
    ),
)
async def create_upload(
    request: AnyRequest,
    dataset_id: DatasetId,
    tus_resumable: tus.Resumable = None,
    upload_length: tus.Length = None,
    upload_metadata: tus.Metadata = None,
    idempotency_key: IdempotencyKey = None,
) -> Response[None]:
    tus.require_version(tus_resumable)
    uploads, dataset = edge_of(request).uploads, dataset_id_of(dataset_id)
    caller = await may_upload(request, dataset, idempotency_key)
    length, name = tus.length_of(upload_length, uploads.resumable_limit), tus.filename_of(upload_metadata)
    with_bytes = tus.has_bytes(request)
    if with_bytes:
        tus.require_offset_stream(request)
    identity = uuid4() if idempotency_key is None else command_id(caller.person, idempotency_key)
    upload_id = uuid5(identity, f"{dataset} resumable")
    headers = {"Location": f"/v1/uploads/{upload_id}"}
    if idempotency_key is not None and await is_on_record(request, dataset, upload_id, name, length):
        headers |= {"Tus-Resumable": TUS_VERSION, "Upload-Offset": str(length)}
        return _created(headers)
    unfinished = await uploads.resumable.create(upload_id, dataset, name, length)
    _require_same(unfinished.described, name, length)
    if with_bytes and unfinished.offset == 0:
        unfinished = await append(request, upload_id, 0)
        if unfinished.complete:
            headers |= await complete(request, caller, upload_id)
    return _created(headers | tus.of_unfinished(unfinished))


@get(
    "/v1/uploads/{upload_id:str}",
    operation_id="getUpload",
    summary="How far an upload has come; by HEAD for tus",
    tags=_TAGS,
    response_headers=[tus.OFFSET, tus.EXPIRES],
    responses=problems(*OF_READS, *_OF_TUS, "upload_not_found", "upload_busy", "dataset_not_found", "too_many_files"),
)
async def get_upload(
    request: AnyRequest,
    upload_id: UploadId,
    tus_resumable: tus.Resumable = None,
    min_event_position: MinEventPosition = None,
) -> Response[UploadState]:
    edge, upload = edge_of(request), upload_id_of(upload_id)
    if tus_resumable is not None:
        tus.require_version(tus_resumable)
    await edge.past.cut(None, min_event_position)
    unfinished = await edge.uploads.resumable.find(upload)
    if unfinished is not None and unfinished.complete and tus_resumable is not None:
        # All of it arrived and it could not be recorded: a client that is told so would take it for done.
        caller = await may_upload(request, unfinished.described.dataset_id)
        await complete(request, caller, upload)
        unfinished = None
    if unfinished is not None:
        state = UploadState(
            upload_id=upload,
            dataset_id=unfinished.described.dataset_id,
            filename=unfinished.described.name,
            bytes=unfinished.described.length,
            offset=unfinished.offset,
            status="unfinished",
        )
        return _state(state, tus.of_unfinished(unfinished))
    file = await finished(edge, upload)
    state = UploadState(
        upload_id=upload,
        dataset_id=file.dataset_id,
        filename=file.name,
        bytes=file.bytes,
        offset=file.bytes,
        status="finished",
    )
    return _state(state, tus.of_finished(file.name, file.bytes))


@patch(
    "/v1/uploads/{upload_id:str}",
    operation_id="continueUpload",
    summary="Send the next bytes of a resumable upload (tus 1.0); with the last of them the file is the dataset's",
    tags=_TAGS,
    status_code=204,
    request_max_body_size=None,
    response_headers=[tus.VERSION, tus.OFFSET, tus.EXPIRES],
    responses=problems(
        *_OF_TUS,
        "unsupported_media_type",
        "upload_not_found",
        "upload_offset_wrong",
        "upload_finished",
        "upload_busy",
        "upload_taken_over",
        "upload_stalled",
        "upload_expired",
        "file_too_large",
        "dataset_not_found",
        "too_many_files",
    ),
)
async def continue_upload(
    request: AnyRequest, upload_id: UploadId, tus_resumable: tus.Resumable = None, upload_offset: tus.At = None
) -> Response[None]:
    tus.require_version(tus_resumable)
    edge, upload = edge_of(request), upload_id_of(upload_id)
    caller = await edge.caller(asked_of(request).identity)
    await edge.intake.require(AddDatasetFile, caller, LEAST, asked_of(request).request_id)
    tus.require_offset_stream(request)
    offset = tus.offset_of(upload_offset)
    unfinished = await edge.uploads.resumable.find(upload)
    if unfinished is None:
        await finished(edge, upload)
        raise Refused("upload_finished")
    if edge.uploads.resumable.expired(unfinished):
        raise Refused("upload_expired")
    unfinished = await append(request, upload, offset)
    headers = tus.of_unfinished(unfinished)
    if unfinished.complete:
        headers |= await complete(request, caller, upload)
    return Response(None, status_code=204, headers=headers)


@delete(
    "/v1/uploads/{upload_id:str}",
    operation_id="abortUpload",
    summary="Take back an upload, finished or not: its bytes go. With `Tus-Resumable` the answer is 204",
    tags=_TAGS,
    status_code=200,
    responses={204: ResponseSpec(None, generate_examples=False, description="Ended, as tus wants to be told")}
    | problems(*OF_COMMANDS, "upload_not_found", "dataset_not_found", "upload_busy", "tus_version", *_STORAGE),
)
async def abort_upload(
    request: AnyRequest,
    upload_id: UploadId,
    tus_resumable: tus.Resumable = None,
    idempotency_key: IdempotencyKey = None,
) -> Response[UploadAborted]:
    if tus_resumable is not None:
        tus.require_version(tus_resumable)
    edge, upload = edge_of(request), upload_id_of(upload_id)
    caller = await edge.caller(asked_of(request).identity)
    await edge.intake.require(AbortUpload, caller, LEAST, asked_of(request).request_id)
    if await aborted_unfinished(request, caller, upload):
        response: Response[Any] = Json(msgspec.json.encode(UploadAborted(upload_id=upload)))
    else:
        file = await finished(edge, upload, also_removed=idempotency_key is not None)
        command = AbortUpload(dataset_id=file.dataset_id, upload_id=upload)
        response = await carry_out(request, command, idempotency_key)
        await remove_bytes(request, file.dataset_id, upload)
    if tus_resumable is None:
        return response
    headers = {"Tus-Resumable": TUS_VERSION, **response.headers}
    empty: Response[Any] = Response(None, status_code=204, headers=headers)
    return empty


@post(
    "/v1/uploads/{upload_id:str}",
    operation_id="overrideUploadMethod",
    request_max_body_size=None,
    include_in_schema=False,
)
async def override_method(
    request: AnyRequest,
    upload_id: UploadId,
    method: tus.Override = None,
    tus_resumable: tus.Resumable = None,
    upload_offset: tus.At = None,
) -> Response[Any]:
    """As tus has it for clients behind proxies that let PATCH and DELETE not through."""
    response: Response[Any]
    match method:
        case "PATCH":
            response = await continue_upload.fn(request, upload_id, tus_resumable, upload_offset)
        case "DELETE":
            response = await abort_upload.fn(request, upload_id, tus_resumable)
        case _:
            raise Refused("method_not_allowed")
    return response


@route("/v1/datasets/{dataset_id:str}/uploads", http_method=[HttpMethod.OPTIONS], include_in_schema=False)
async def describe_creation(request: AnyRequest, dataset_id: DatasetId) -> Response[None]:
    del dataset_id
    return tus.options(edge_of(request).uploads.resumable_limit)


@route("/v1/uploads/{upload_id:str}", http_method=[HttpMethod.OPTIONS], include_in_schema=False)
async def describe_upload(request: AnyRequest, upload_id: UploadId) -> Response[None]:
    del upload_id
    return tus.options(edge_of(request).uploads.resumable_limit)


# OPTIONS come first: for a path that has none by then the framework makes its own.
ROUTES: list[Any] = [
    describe_creation,
    describe_upload,
    create_upload,
    get_upload,
    continue_upload,
    abort_upload,
    override_method,
]


def _require_same(described: Described, name: str, length: int) -> None:
    """Raises Refused (command_id_reused) where another upload was created with the same key."""
    if (described.name, described.length) != (name, length):
        raise Refused("command_id_reused")


def _created(headers: dict[str, str]) -> Response[Any]:
    return Response(b"", status_code=201, headers=headers)


def _state(state: UploadState, headers: dict[str, str]) -> Response[Any]:
    return Json(msgspec.json.encode(state), headers={**headers, "Cache-Control": "no-store"})
