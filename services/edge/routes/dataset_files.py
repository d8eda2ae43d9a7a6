"""Files of datasets over HTTP: uploaded at once, downloaded, and who was given them."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

from litestar import Response, get, put
from litestar.datastructures import ResponseHeader
from litestar.openapi.datastructures import ResponseSpec
from litestar.response import Stream

from contracts.datasets import Download, RecordDownload, Uploaded
from contracts.problems import Refused
from projections.queries.datasets import StoredFile, dataset_exists, download_list, stored_file
from services.edge.answers import show, traceparent_of
from services.edge.context import AnyRequest, asked_of, edge_of
from services.edge.described import COMMAND_ID, EVENT_POSITION, OF_COMMANDS, OF_READS, problems
from services.edge.downloads import Broken, Span, disposition, matches, span_of
from services.edge.multipart_file import AROUND, FormFile
from services.edge.parameters import (
    AsOf,
    DatasetId,
    IdempotencyKey,
    IfNoneMatch,
    IfRange,
    MinEventPosition,
    Range,
    UploadId,
)
from services.edge.uploading import dataset_id_of, may_upload, record_upload, upload_id_of

_TAGS = ["datasets"]
_PIECE = 1 << 20
_OCTETS = "application/octet-stream"


@put(
    "/v1/datasets/{dataset_id:str}/files",
    operation_id="uploadDatasetFile",
    summary="Add a file to a dataset: multipart/form-data, field `file`",
    tags=_TAGS,
    request_max_body_size=None,
    response_headers=[EVENT_POSITION, COMMAND_ID],
    responses=problems(
        *OF_COMMANDS,
        "unsupported_media_type",
        "dataset_not_found",
        "file_missing",
        "several_files",
        "file_empty",
        "file_too_large",
        "file_name_invalid",
        "multipart_invalid",
        "too_many_files",
        "upload_stalled",
        "storage_full",
        "storage_unavailable",
    ),
)
async def upload_file(
    request: AnyRequest, dataset_id: DatasetId, idempotency_key: IdempotencyKey = None
) -> Response[Uploaded]:
    uploads, dataset = edge_of(request).uploads, dataset_id_of(dataset_id)
    caller = await may_upload(request, dataset, idempotency_key)
    form = FormFile(request)
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > uploads.limit + AROUND:
        raise Refused("file_too_large", limit=uploads.limit)
    name = await form.open()
    arrived = await uploads.storage.receive(form.chunks(), uploads.limit)
    return await record_upload(request, caller, dataset, name, arrived, idempotency_key)


@get(
    "/v1/datasets/{dataset_id:str}/files/{upload_id:str}/content",
    operation_id="downloadDatasetFile",
    summary="The bytes of a file; that somebody was given raw data is recorded",
    tags=_TAGS,
    media_type=_OCTETS,
    response_headers=[
        EVENT_POSITION,
        ResponseHeader(
            name="ETag", documentation_only=True, required=True, description="SHA-256 of the whole file, in quotes"
        ),
    ],
    responses={
        206: ResponseSpec(bytes, generate_examples=False, media_type=_OCTETS, description="The range asked for"),
        304: ResponseSpec(None, generate_examples=False, description="The client has it already"),
    }
    | problems(
        *OF_READS,
        "dataset_not_found",
        "upload_not_found",
        "dataset_file_gone",
        "range_not_satisfiable",
        "log_unavailable",
    ),
)
async def download_file(
    request: AnyRequest,
    dataset_id: DatasetId,
    upload_id: UploadId,
    range_: Range = None,
    if_range: IfRange = None,
    if_none_match: IfNoneMatch = None,
    min_event_position: MinEventPosition = None,
) -> Response[bytes]:
    edge, asked = edge_of(request), asked_of(request)
    await edge.past.cut(None, min_event_position)
    dataset, upload = dataset_id_of(dataset_id), upload_id_of(upload_id)
    shown = await edge.reads.ask(
        lambda connection: stored_file(connection, upload) or dataset_exists(connection, dataset)
    )
    file = shown.answer
    if file is False:
        raise Refused("dataset_not_found", dataset_id=dataset_id)
    if not isinstance(file, StoredFile) or file.dataset_id != dataset:
        raise Refused("upload_not_found", upload_id=upload_id)
    path = edge.uploads.storage.path(file.stored_name)
    if not file.available or not await asyncio.to_thread(path.is_file):
        raise Refused("dataset_file_gone", name=file.name)
    etag = f'"{file.sha256}"'
    headers = {
        "Event-Position": str(shown.position),
        "ETag": etag,
        "Accept-Ranges": "bytes",
        "Content-Disposition": disposition(file.name),
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "private, no-cache",
    }
    if if_none_match is not None and matches(if_none_match, etag):
        return Response(b"", status_code=304, headers=headers)
    span = span_of(range_ if if_range is None or if_range.strip() == etag else None, file.bytes)
    headers["Content-Length"] = str(span.end - span.start)
    if span.partial:
        headers["Content-Range"] = f"bytes {span.start}-{span.end - 1}/{file.bytes}"
    status = 206 if span.partial else 200
    if asked.head:
        return Response(b"", status_code=status, headers=headers, media_type=_OCTETS)
    if file.raw:
        headers["Event-Position"] = str(await _record(request, file, span))
    return Stream(  # type: ignore[return-value]
        _content(path, file, span), status_code=status, headers=headers, media_type=_OCTETS
    )


@get(
    "/v1/datasets/{dataset_id:str}/downloads",
    operation_id="listDatasetDownloads",
    summary="Who was given raw data of a dataset, oldest first",
    tags=_TAGS,
    response_headers=[EVENT_POSITION],
    responses=problems(*OF_READS, "dataset_not_found"),
)
async def list_downloads(
    request: AnyRequest, dataset_id: DatasetId, as_of: AsOf = None, min_event_position: MinEventPosition = None
) -> Response[tuple[Download, ...]]:
    edge, dataset = edge_of(request), dataset_id_of(dataset_id)
    cut = await edge.past.cut(as_of, min_event_position)
    shown = await edge.reads.ask(lambda connection: download_list(connection, dataset, edge.people.name_of, cut))
    return show(shown, cut, Refused("dataset_not_found", dataset_id=dataset_id))


ROUTES: list[Any] = [upload_file, download_file, list_downloads]


async def _record(request: AnyRequest, file: StoredFile, span: Span) -> int:
    """Before the first byte goes out, so that none does without being on record. The position of the fact."""
    edge, asked = edge_of(request), asked_of(request)
    command = RecordDownload(
        dataset_id=file.dataset_id, upload_id=file.upload_id, sha256=file.sha256, start=span.start, end=span.end
    )
    answer = await edge.intake.handle(
        command,
        await edge.caller(asked.identity),
        least="reader",
        correlation_id=asked.request_id,
        traceparent=traceparent_of(request),
    )
    assert answer.position is not None
    return answer.position


async def _content(path: Path, file: StoredFile, span: Span) -> AsyncGenerator[bytes, None]:
    """The bytes of the span. Of a whole file the last piece is sent only once its hash is what is on record. Broken."""
    digest = None if span.partial else hashlib.sha256()
    position = span.start
    with contextlib.ExitStack() as stack:
        opened = await asyncio.to_thread(path.open, "rb")
        stack.callback(opened.close)
        while position < span.end:
            piece = await asyncio.to_thread(os.pread, opened.fileno(), min(_PIECE, span.end - position), position)
            position += len(piece)
            if digest is not None:
                await asyncio.to_thread(digest.update, piece)
                if position == span.end and digest.hexdigest() != file.sha256:
                    raise Broken(f"{path} does not have the recorded SHA-256")
            if not piece:
                raise Broken(f"{path} is shorter than on record")
            yield piece
