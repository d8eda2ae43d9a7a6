"""Uploads over HTTP: resumable ones by tus 1.0 (https://tus.io/protocols/resumable-upload), and the end of any."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import AsyncIterator
from email.utils import format_datetime
from typing import Annotated, Any
from uuid import UUID, uuid4, uuid5

import msgspec
from litestar import Response, delete, get, patch, post
from litestar.datastructures import ResponseHeader
from litestar.enums import HttpMethod
from litestar.handlers import route
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import HeaderParameter

from contracts.datasets import AbortUpload, AddDatasetFile, UploadAborted, UploadState
from contracts.problems import Refused
from events.datasets import Dataset, DatasetFact
from projections.queries.datasets import StoredFile, stored_file
from services.edge.answers import carry_out, traceparent_of
from services.edge.context import AnyRequest, Edge, asked_of, edge_of
from services.edge.described import OF_COMMANDS, OF_READS, problems
from services.edge.parameters import DatasetId, IdempotencyKey, InvalidParameter, MinEventPosition, UploadId
from services.edge.problems import TUS_VERSION
from services.edge.uploading import LEAST, dataset_id_of, may_upload, remove_bytes, upload_id_of
from services.runtime.commands import DATASETS
from services.runtime.dispatch import load
from services.runtime.intake import Answer, Caller, command_id
from services.runtime.storage import check_file_name
from services.runtime.storage.keeping import recording_id
from services.runtime.storage.recording import record
from services.runtime.storage.resumable import Described, Unfinished

_TAGS = ["uploads"]
_JSON = "application/json"
_OFFSET_STREAM = "application/offset+octet-stream"
_EXTENSIONS = "creation,creation-with-upload,expiration,termination"
_LONGEST_METADATA = 16 * 1024
# How long a piece waits for the one before it, whose connection was lost and which the server has not noticed yet.
_TURNS, _TURN = 50, 0.1
_PATIENCE = 5.0  # seconds for the read models to show what is on record

_STORAGE = ("storage_full", "storage_unavailable")
_OF_TUS = ("tus_version", "forbidden", "log_unavailable", *_STORAGE)
_TUS = ResponseHeader(name="Tus-Resumable", documentation_only=True, required=True, description="Version of tus")
_OFFSET = ResponseHeader(name="Upload-Offset", documentation_only=True, description="Bytes that have arrived")
_EXPIRES = ResponseHeader(
    name="Upload-Expires", documentation_only=True, description="When the upload is removed unless more of it arrives"
)

_Resumable = Annotated[
    str | None, HeaderParameter(name="Tus-Resumable", description="Version of tus that the client speaks: `1.0.0`")
]
_Length = Annotated[
    int | None, HeaderParameter(name="Upload-Length", description="Size of the whole file in bytes", ge=0, le=2**62)
]
_Metadata = Annotated[
    str | None,
    HeaderParameter(
        name="Upload-Metadata",
        description="`filename` and the file's name in Base64, further pairs after commas; others are not kept",
    ),
]
_At = Annotated[
    int | None, HeaderParameter(name="Upload-Offset", description="Bytes that came before these", ge=0, le=2**62)
]


@post(
    "/v1/datasets/{dataset_id:str}/uploads",
    operation_id="createUpload",
    summary="Begin a resumable upload (tus 1.0), with its first bytes or without",
    tags=_TAGS,
    request_max_body_size=None,
    response_headers=[
        _TUS,
        _OFFSET,
        _EXPIRES,
        ResponseHeader(name="Location", documentation_only=True, required=True, description="Where to send its bytes"),
    ],
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
        "upload_offset_wrong",
        "command_id_reused",
    ),
)
async def create_upload(
    request: AnyRequest,
    dataset_id: DatasetId,
    tus_resumable: _Resumable = None,
    upload_length: _Length = None,
    upload_metadata: _Metadata = None,
    idempotency_key: IdempotencyKey = None,
) -> Response[None]:
    _require_version(tus_resumable)
    uploads, dataset = edge_of(request).uploads, dataset_id_of(dataset_id)
    caller = await may_upload(request, dataset, idempotency_key)
    length, name = _length_of(upload_length, uploads.resumable_limit), _filename(upload_metadata)
    with_bytes = "content-type" in request.headers
    if with_bytes:
        _require_offset_stream(request)
    identity = uuid4() if idempotency_key is None else command_id(caller.person, idempotency_key)
    upload_id = uuid5(identity, f"{dataset} resumable")
    headers = {"Location": f"/v1/uploads/{upload_id}"}
    if idempotency_key is not None and await _is_on_record(request, dataset, upload_id, name, length):
        headers |= {"Tus-Resumable": TUS_VERSION, "Upload-Offset": str(length)}
        return Response(None, status_code=201, headers=headers)
    unfinished = await uploads.resumable.create(upload_id, dataset, name, length)
    _require_same(unfinished.described, name, length)
    if with_bytes and unfinished.offset == 0:
        unfinished = await _append(request, upload_id, 0)
        if unfinished.complete:
            headers |= await _complete(request, caller, upload_id)
    return Response(None, status_code=201, headers=headers | _headers(unfinished))


@get(
    "/v1/uploads/{upload_id:str}",
    operation_id="getUpload",
    summary="How far an upload has come; by HEAD for tus",
    tags=_TAGS,
    response_headers=[_OFFSET, _EXPIRES],
    responses=problems(*OF_READS, *_OF_TUS, "upload_not_found", "upload_busy", "dataset_not_found", "too_many_files"),
)
async def get_upload(
    request: AnyRequest,
    upload_id: UploadId,
    tus_resumable: _Resumable = None,
    min_event_position: MinEventPosition = None,
) -> Response[UploadState]:
    edge, upload = edge_of(request), upload_id_of(upload_id)
    if tus_resumable is not None:
        _require_version(tus_resumable)
    await edge.past.cut(None, min_event_position)
    unfinished = await edge.uploads.resumable.find(upload)
    if unfinished is not None and unfinished.complete and tus_resumable is not None:
        # All of it arrived and it could not be recorded: a client that is told so would take it for done.
        caller = await may_upload(request, unfinished.described.dataset_id)
        await _complete(request, caller, upload)
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
        return _state(state, _headers(unfinished))
    file = await _finished(edge, upload)
    state = UploadState(
        upload_id=upload,
        dataset_id=file.dataset_id,
        filename=file.name,
        bytes=file.bytes,
        offset=file.bytes,
        status="finished",
    )
    size = str(file.bytes)
    headers = {"Tus-Resumable": TUS_VERSION, "Upload-Offset": size, "Upload-Length": size}
    return _state(state, headers | {"Upload-Metadata": _metadata_of(file.name)})


@patch(
    "/v1/uploads/{upload_id:str}",
    operation_id="continueUpload",
    summary="Send the next bytes of a resumable upload (tus 1.0); with the last of them the file is the dataset's",
    tags=_TAGS,
    status_code=204,
    request_max_body_size=None,
    response_headers=[_TUS, _OFFSET, _EXPIRES],
    responses=problems(
        *_OF_TUS,
        "unsupported_media_type",
        "upload_not_found",
        "upload_offset_wrong",
        "upload_busy",
        "upload_expired",
        "file_too_large",
        "dataset_not_found",
        "too_many_files",
    ),
)
async def continue_upload(
    request: AnyRequest, upload_id: UploadId, tus_resumable: _Resumable = None, upload_offset: _At = None
) -> Response[None]:
    _require_version(tus_resumable)
    edge, upload = edge_of(request), upload_id_of(upload_id)
    caller = await edge.caller(asked_of(request).identity)
    await edge.intake.require(AddDatasetFile, caller, LEAST, asked_of(request).request_id)
    _require_offset_stream(request)
    if upload_offset is None:
        raise _wrong_header("Upload-Offset", "缺少", "it is missing")
    unfinished = await edge.uploads.resumable.find(upload)
    if unfinished is None:
        await _finished(edge, upload)
        raise Refused("upload_finished")
    if edge.uploads.resumable.expired(unfinished):
        raise Refused("upload_expired")
    unfinished = await _append(request, upload, upload_offset)
    headers = _headers(unfinished)
    if unfinished.complete:
        headers |= await _complete(request, caller, upload)
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
    tus_resumable: _Resumable = None,
    idempotency_key: IdempotencyKey = None,
) -> Response[UploadAborted]:
    if tus_resumable is not None:
        _require_version(tus_resumable)
    edge, upload = edge_of(request), upload_id_of(upload_id)
    caller = await edge.caller(asked_of(request).identity)
    await edge.intake.require(AbortUpload, caller, LEAST, asked_of(request).request_id)
    if await _aborted_unfinished(request, caller, upload):
        response: Response[Any] = Response(msgspec.json.encode(UploadAborted(upload_id=upload)), media_type=_JSON)
    else:
        file = await _finished(edge, upload, also_removed=idempotency_key is not None)
        command = AbortUpload(dataset_id=file.dataset_id, upload_id=upload)
        response = await carry_out(request, command, idempotency_key)
        await remove_bytes(request, file.dataset_id, upload)
    if tus_resumable is None:
        return response
    headers = {"Tus-Resumable": TUS_VERSION, **response.headers}
    empty: Response[Any] = Response(None, status_code=204, headers=headers)
    return empty


@route("/v1/datasets/{dataset_id:str}/uploads", http_method=[HttpMethod.OPTIONS], include_in_schema=False)
async def describe_creation(request: AnyRequest, dataset_id: DatasetId) -> Response[None]:
    del dataset_id
    return _described(edge_of(request))


@route("/v1/uploads/{upload_id:str}", http_method=[HttpMethod.OPTIONS], include_in_schema=False)
async def describe_upload(request: AnyRequest, upload_id: UploadId) -> Response[None]:
    del upload_id
    return _described(edge_of(request))


# OPTIONS come first: for a path that has none by then the framework makes its own.
ROUTES: list[Any] = [describe_creation, describe_upload, create_upload, get_upload, continue_upload, abort_upload]


async def _is_on_record(request: AnyRequest, dataset_id: UUID, upload_id: UUID, name: str, length: int) -> bool:
    """Whether what is being created was finished before: repeated, it must not begin anew. Raises Refused."""
    dataset: Dataset = (await load(edge_of(request).log, DATASETS, dataset_id)).state
    files = (file for version in dataset.versions for file in version.files if file.upload_id == upload_id)
    if (file := next(files, None)) is None:
        return False
    if (file.name, file.bytes) != (name, length):
        raise Refused("command_id_reused")
    return True


def _require_same(described: Described, name: str, length: int) -> None:
    """Raises Refused (command_id_reused) where another upload was created with the same key."""
    if (described.name, described.length) != (name, length):
        raise Refused("command_id_reused")


async def _append(request: AnyRequest, upload_id: UUID, offset: int) -> Unfinished:
    """The piece before may still hold the upload: its connection was lost, and its last bytes are being written."""
    for _ in range(_TURNS):
        try:
            return await edge_of(request).uploads.resumable.append(upload_id, offset, _chunks(request))
        except Refused as refused:
            if refused.code != "upload_busy":
                raise
        await asyncio.sleep(_TURN)
    raise Refused("upload_busy")


async def _chunks(request: AnyRequest) -> AsyncIterator[bytes]:
    async for data in request.stream():
        if data:
            yield data


async def _complete(request: AnyRequest, caller: Caller, upload_id: UUID) -> dict[str, str]:
    """All of it has arrived: it becomes a file of the dataset, once, whoever else is at it. Headers of the answer."""
    edge, asked = edge_of(request), asked_of(request)

    async def hand_in(command: AddDatasetFile) -> Answer:
        return await edge.intake.handle(
            command,
            caller,
            identity=recording_id(upload_id),
            least=LEAST,
            correlation_id=asked.request_id,
            traceparent=traceparent_of(request),
        )

    for _ in range(_TURNS):
        try:
            described, part = await edge.uploads.resumable.complete(upload_id)
        except Refused as refused:
            if refused.code == "upload_not_found":
                return {}  # another one was faster
            if refused.code != "upload_busy":
                raise
            await asyncio.sleep(_TURN)
            continue
        answer = await record(part, described.dataset_id, upload_id, described.name, hand_in)
        return {"Event-Position": str(answer.position), "Command-Id": str(answer.command_id)}
    raise Refused("upload_busy")


async def _aborted_unfinished(request: AnyRequest, caller: Caller, upload_id: UUID) -> bool:
    """False: it is finished, or there is none."""
    resumable = edge_of(request).uploads.resumable
    if await resumable.find(upload_id) is None:
        return False
    for _ in range(_TURNS):
        try:
            if await resumable.abort(upload_id):
                return True
            await _complete(request, caller, upload_id)  # it may be on record: then that is taken back
        except Refused as refused:
            if refused.code == "upload_not_found":
                return False
            if refused.code != "upload_busy":
                raise
            await asyncio.sleep(_TURN)
        else:
            return False
    raise Refused("upload_busy")


async def _finished(edge: Edge, upload_id: UUID, *, also_removed: bool = False) -> StoredFile:
    """Raises Refused (upload_not_found). Where it is not shown, whatever is on record by now is waited for."""
    file: StoredFile | None = None
    for last_try in (False, True):
        shown = await edge.reads.ask(lambda connection: stored_file(connection, upload_id))
        file = shown.answer
        if file is not None or last_try:
            break
        position = await edge.log.last_position((DatasetFact.context,))
        if shown.position >= position or not await edge.reads.passed(position, _PATIENCE):
            break
    if file is None or not (file.available or also_removed):
        raise Refused("upload_not_found", upload_id=upload_id)
    return file


def _state(state: UploadState, headers: dict[str, str]) -> Response[Any]:
    return Response(msgspec.json.encode(state), headers={**headers, "Cache-Control": "no-store"}, media_type=_JSON)


def _headers(unfinished: Unfinished) -> dict[str, str]:
    headers = {"Tus-Resumable": TUS_VERSION, "Upload-Offset": str(unfinished.offset)}
    if unfinished.complete:
        return headers
    return headers | {
        "Upload-Length": str(unfinished.described.length),
        "Upload-Metadata": _metadata_of(unfinished.described.name),
        "Upload-Expires": format_datetime(unfinished.expires_at, usegmt=True),
    }


def _metadata_of(name: str) -> str:
    return f"filename {base64.b64encode(name.encode()).decode()}"


def _described(edge: Edge) -> Response[None]:
    headers = {
        "Tus-Resumable": TUS_VERSION,
        "Tus-Version": TUS_VERSION,
        "Tus-Extension": _EXTENSIONS,
        "Tus-Max-Size": str(edge.uploads.resumable_limit),
    }
    return Response(None, status_code=204, headers=headers)


def _require_version(version: str | None) -> None:
    if version != TUS_VERSION:
        raise Refused("tus_version")


def _require_offset_stream(request: AnyRequest) -> None:
    if request.headers.get("content-type") != _OFFSET_STREAM:
        raise Refused("unsupported_media_type", expected=_OFFSET_STREAM)


def _length_of(length: int | None, limit: int) -> int:
    if length is None:
        raise _wrong_header("Upload-Length", "缺少", "it is missing")
    if length == 0:
        raise Refused("file_empty")
    if length > limit:
        raise Refused("file_too_large", limit=limit)
    return length


def _filename(metadata: str | None) -> str:
    """Raises Refused."""
    if metadata is None or len(metadata) > _LONGEST_METADATA:
        raise _wrong_header("Upload-Metadata", "缺少或过长", "it is missing, or too long")
    pairs = (pair.strip().partition(" ") for pair in metadata.split(","))
    values = {key: value.strip() for key, _, value in pairs}
    try:
        name = base64.b64decode(values["filename"], validate=True).decode()
    except KeyError:
        raise _wrong_header("Upload-Metadata", "缺少 filename", "it has no filename") from None
    except (binascii.Error, ValueError):
        raise _wrong_header(
            "Upload-Metadata", "filename 须为 UTF-8 文本的 Base64", "the filename must be Base64 of UTF-8 text"
        ) from None
    return check_file_name(name)


def _wrong_header(name: str, zh: str, en: str) -> Refused:
    return InvalidParameter(name, zh, en)
