"""The training configuration over HTTP: uploaded, shown, deleted, its versions and what they differ in."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Response, delete, get, put
from litestar.datastructures import ResponseHeader
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import QueryParameter
from sqlalchemy import Connection

from contracts.problems import Refused
from contracts.train_config import (
    DeleteTrainConfig,
    TrainConfigGone,
    TrainConfigStored,
    TrainConfigVersion,
    TrainConfigView,
    UploadTrainConfig,
    VersionDifference,
)
from events.train_config import TRAIN_CONFIG
from projections.queries.train_config import StoredVersion, current_version, version_of, version_page
from services.edge import train_configs
from services.edge.answers import carry_out, next_page, show, show_as
from services.edge.context import AnyRequest, Edge, edge_of
from services.edge.described import COMMAND_ID, EVENT_POSITION, LINK, OF_COMMANDS, OF_READS, problems
from services.edge.parameters import (
    AsOf,
    Cursor,
    IdempotencyKey,
    IfNoneMatch,
    Limit,
    MinEventPosition,
    after_cursor,
    cursor_of,
)
from services.runtime.questions import Shown
from services.runtime.train_config.differences import difference
from services.runtime.train_config.reading import read

TAGS = ["training configuration"]
OF_UPLOADS = (
    *OF_COMMANDS,
    "unsupported_media_type",
    "invalid_body",
    "file_missing",
    "several_files",
    "file_empty",
    "file_too_large",
    "file_name_invalid",
    "multipart_invalid",
    "train_config_filename",
    "train_config_invalid",
    "upload_stalled",
    "storage_full",
    "storage_unavailable",
)
ETAG = ResponseHeader(name="ETag", documentation_only=True, required=True, description="SHA-256 of the file, in quotes")
NOT_MODIFIED = {304: ResponseSpec(None, generate_examples=False, description="The client has it already")}
_NUMBER = {"ge": 1, "le": 2**31 - 1}

_Version = Annotated[
    int | None, QueryParameter(name="version", description="Number of a version; left out: the current one", **_NUMBER)
]
_From = Annotated[
    int | None,
    QueryParameter(name="from", description="The version to compare with; left out: the one before `to`", **_NUMBER),
]
_To = Annotated[
    int | None, QueryParameter(name="to", description="The version that is compared; left out: the newest", **_NUMBER)
]


@put(
    "/v1/train-config",
    operation_id="uploadTrainConfig",
    summary="Upload a training configuration (multipart/form-data, field `file`): the next version, now in force",
    tags=TAGS,
    request_max_body_size=None,
    response_headers=[EVENT_POSITION, COMMAND_ID],
    responses=problems(*OF_UPLOADS),
)
async def upload_train_config(
    request: AnyRequest, idempotency_key: IdempotencyKey = None
) -> Response[TrainConfigStored]:
    caller = await train_configs.may_upload(request, UploadTrainConfig, idempotency_key)
    received = await train_configs.receive(request)
    stored: Response[Any] = await train_configs.store(
        request, caller, received, TRAIN_CONFIG, lambda file: UploadTrainConfig(file=file), idempotency_key
    )
    return stored


@get(
    "/v1/train-config",
    operation_id="getTrainConfig",
    summary="The current training configuration",
    tags=TAGS,
    response_headers=[EVENT_POSITION],
    responses=problems(*OF_READS, "train_config_missing"),
)
async def get_train_config(
    request: AnyRequest, as_of: AsOf = None, min_event_position: MinEventPosition = None
) -> Response[TrainConfigView]:
    edge = edge_of(request)
    cut = await edge.past.cut(as_of, min_event_position)
    shown = await edge.reads.ask(lambda connection: current_version(connection, cut))
    found = shown.answer
    view = None if found is None else TrainConfigView(**_view(found))
    return show(Shown(view, shown.position), cut, Refused("train_config_missing"))


@delete(
    "/v1/train-config",
    operation_id="deleteTrainConfig",
    summary="Take the current training configuration out of force; every version stays",
    tags=TAGS,
    status_code=200,
    response_headers=[EVENT_POSITION, COMMAND_ID],
    responses=problems(*OF_COMMANDS, "train_config_missing"),
)
async def delete_train_config(request: AnyRequest, idempotency_key: IdempotencyKey = None) -> Response[TrainConfigGone]:
    return await carry_out(request, DeleteTrainConfig(), idempotency_key)


@get(
    "/v1/train-config/versions",
    operation_id="listTrainConfigVersions",
    summary="Every version that was uploaded, or a page of them, the newest first",
    tags=TAGS,
    response_headers=[EVENT_POSITION, LINK],
    responses=problems(*OF_READS),
)
async def list_versions(
    request: AnyRequest,
    limit: Limit = None,
    cursor: Cursor = None,
    as_of: AsOf = None,
    min_event_position: MinEventPosition = None,
) -> Response[tuple[TrainConfigVersion, ...]]:
    edge = edge_of(request)
    before = after_cursor("train-config", cursor) or None
    cut = await edge.past.cut(as_of, min_event_position)
    shown = await edge.reads.ask(lambda connection: version_page(connection, cut, before=before, limit=limit))
    following = cursor_of("train-config", shown.answer.before)
    headers = next_page("/v1/train-config/versions", following, limit=limit, as_of=as_of)
    versions = [
        TrainConfigVersion(
            **_view(found),
            actor=found.actor,
            uploaded_by=_name(edge, found.actor),
            current=found.current,
            deleted_at=found.deleted_at,
        )
        for found in shown.answer.items
    ]
    return show_as(msgspec.json.encode(versions), shown, cut, **headers)


@get(
    "/v1/train-config/content",
    operation_id="downloadTrainConfig",
    summary="The YAML itself, of the current version or of another one",
    tags=TAGS,
    media_type=train_configs.MEDIA_TYPE,
    response_headers=[EVENT_POSITION, ETAG],
    responses=NOT_MODIFIED
    | problems(*OF_READS, "train_config_missing", "train_config_version_missing", "train_config_unreadable"),
)
async def download_train_config(
    request: AnyRequest,
    version: _Version = None,
    if_none_match: IfNoneMatch = None,
    as_of: AsOf = None,
    min_event_position: MinEventPosition = None,
) -> Response[bytes]:
    edge = edge_of(request)
    cut = await edge.past.cut(as_of, min_event_position)
    shown = await edge.reads.ask(
        lambda connection: current_version(connection, cut) if version is None else version_of(connection, version, cut)
    )
    found = shown.answer
    if found is None:
        raise _missing(version)
    position = shown.position if cut.position is None else cut.position
    return await train_configs.download(
        found.filename, found.sha256, position, if_none_match, lambda: _content(edge, found)
    )


@get(
    "/v1/train-config/diff",
    operation_id="compareTrainConfigs",
    summary="Key by key, what two versions differ in",
    tags=TAGS,
    response_headers=[EVENT_POSITION],
    responses=problems(*OF_READS, "train_config_missing", "train_config_version_missing", "train_config_unreadable"),
)
async def compare_versions(
    request: AnyRequest,
    from_: _From = None,
    to: _To = None,
    as_of: AsOf = None,
    min_event_position: MinEventPosition = None,
) -> Response[VersionDifference]:
    edge = edge_of(request)
    cut = await edge.past.cut(as_of, min_event_position)

    def find(connection: Connection) -> tuple[StoredVersion, StoredVersion]:
        number = to or next((found.version for found in version_page(connection, cut, limit=1).items), None)
        if number is None:
            raise _missing(None)
        wanted = (number - 1 if from_ is None else from_, number)
        old, new = (version_of(connection, version, cut) for version in wanted)
        if old is None or new is None:
            raise _missing(wanted[0] if old is None else number)
        return old, new

    shown = await edge.reads.ask(find)
    old, new = shown.answer
    contents = await asyncio.gather(_content(edge, old), _content(edge, new))
    body = await asyncio.to_thread(_compared, contents[0], contents[1], old.version, new.version)
    return show_as(body, shown, cut)


ROUTES: list[Any] = [
    upload_train_config,
    get_train_config,
    delete_train_config,
    list_versions,
    download_train_config,
    compare_versions,
]


def _view(found: StoredVersion) -> dict[str, Any]:
    return {
        "filename": found.filename,
        "uploaded_at": found.uploaded_at,
        "size": found.size,
        "version": found.version,
        "sha256": found.sha256,
    }


def _name(edge: Edge, actor: str) -> str | None:
    """None where the person was erased."""
    try:
        return edge.people.name_of(UUID(actor))
    except ValueError:
        return actor  # a service


def _missing(version: int | None) -> Refused:
    if version is None:
        return Refused("train_config_missing")
    return Refused("train_config_version_missing", version=version)


async def _content(edge: Edge, found: StoredVersion) -> bytes:
    return await train_configs.content_of(edge.uploads.storage, found.stored_name, found.sha256)


def _compared(old: bytes, new: bytes, from_: int, to: int) -> bytes:
    found = msgspec.structs.asdict(difference(read(old), read(new)))
    return msgspec.json.encode(VersionDifference(from_=from_, to=to, **found))
