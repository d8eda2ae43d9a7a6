"""What runs left behind, over HTTP: listed, tagged, downloaded."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Response, delete, get, post
from litestar.datastructures import ResponseHeader
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example
from litestar.params import Body, PathParameter, QueryParameter
from litestar.response import Stream
from sqlalchemy import Connection, select

from contracts.problems import Refused
from contracts.run_views import RunArtifacts
from contracts.runs import Artifact, ArtifactTag, TagArtifact, UntagArtifact
from events.runs import RunFact
from projections.queries.runs import run_artifacts
from projections.tables import runs
from services.edge.answers import carry_out, show_as
from services.edge.bodies import StrictBody
from services.edge.context import AnyRequest, asked_of, edge_of
from services.edge.described import COMMAND_ID, EVENT_POSITION, OF_BODIES, OF_COMMANDS, OF_READS, problems
from services.edge.downloads import Source, content, disposition, first_piece, matches, span_of
from services.edge.of_run import artifact_id_of, ask_of_run, run_id_of
from services.edge.parameters import (
    AsOf,
    IdempotencyKey,
    IfNoneMatch,
    IfRange,
    MinEventPosition,
    ProjectReference,
    Range,
    RunId,
)
from services.runtime.answers.runs import artifact_detail

_TAGS = ["artifacts"]
_PATH = "/projects/{project_reference:str}/runs/{run_id:str}/artifacts"
_TAG_PROBLEMS = (*OF_COMMANDS, "invalid_body", "run_not_found", "artifact_not_found")
_EXAMPLE = Example(value={"tag": "最佳"})

ArtifactId = Annotated[str, PathParameter(description="Id of the artifact (UUID)", min_length=1)]
_Type = Annotated[
    str | None,
    QueryParameter(name="type", description="Only artifacts of this type: `checkpoint`, `tensorboard`, `config`, …"),
]
_Tag = Annotated[str | None, QueryParameter(name="tag", description="Only artifacts with this tag")]
_TagOfPath = Annotated[str, PathParameter(description="The tag, URL-encoded", min_length=1)]


@get(
    _PATH,
    operation_id="listArtifacts",
    summary="What a run left behind, in the order in which it was recorded",
    tags=_TAGS,
    response_headers=[EVENT_POSITION],
    responses=problems(*OF_READS, "project_not_found", "run_not_found"),
)
async def list_artifacts(
    request: AnyRequest,
    project_reference: ProjectReference,
    run_id: RunId,
    type_: _Type = None,
    tag: _Tag = None,
    as_of: AsOf = None,
    min_event_position: MinEventPosition = None,
) -> Response[RunArtifacts]:
    edge = edge_of(request)
    cut = await edge.past.cut(as_of, min_event_position)
    run = run_id_of(run_id)
    shown = await ask_of_run(edge, project_reference, run, lambda connection: run_artifacts(connection, run, cut), cut)
    wanted = tuple(
        artifact
        for artifact in shown.answer
        if (type_ is None or artifact.type == type_) and (tag is None or tag in artifact.tags)
    )
    return show_as(msgspec.json.encode(RunArtifacts(run_id=run, artifacts=wanted)), shown, cut)


@post(
    _PATH + "/{artifact_id:str}/tags",
    operation_id="tagArtifact",
    summary="Add a tag to an artifact; one that it has already changes nothing",
    tags=_TAGS,
    status_code=200,
    dto=StrictBody[ArtifactTag],
    return_dto=None,
    response_headers=[EVENT_POSITION, COMMAND_ID],
    responses=problems(*_TAG_PROBLEMS, *OF_BODIES, "too_many_tags"),
)
async def tag_artifact(
    request: AnyRequest,
    project_reference: ProjectReference,
    run_id: RunId,
    artifact_id: ArtifactId,
    data: Annotated[ArtifactTag, Body(examples=[_EXAMPLE])],
    idempotency_key: IdempotencyKey = None,
) -> Response[Artifact]:
    command = TagArtifact(
        project=project_reference, run_id=run_id_of(run_id), artifact_id=artifact_id_of(artifact_id), tag=data.tag
    )
    return await _tagged(request, command, idempotency_key)


@delete(
    _PATH + "/{artifact_id:str}/tags",
    operation_id="untagArtifact",
    summary="Take a tag off an artifact; one that it does not have changes nothing",
    tags=_TAGS,
    status_code=200,
    dto=StrictBody[ArtifactTag],
    return_dto=None,
    response_headers=[EVENT_POSITION, COMMAND_ID],
    responses=problems(*_TAG_PROBLEMS, *OF_BODIES),
)
async def untag_artifact(
    request: AnyRequest,
    project_reference: ProjectReference,
    run_id: RunId,
    artifact_id: ArtifactId,
    data: Annotated[ArtifactTag, Body(examples=[_EXAMPLE])],
    idempotency_key: IdempotencyKey = None,
) -> Response[Artifact]:
    return await _untagged(request, project_reference, run_id, artifact_id, data.tag, idempotency_key)


@delete(
    _PATH + "/{artifact_id:str}/tags/{tag:str}",
    operation_id="untagArtifactByPath",
    summary="Take a tag off an artifact, named in the path; one with a slash can only be named in the body",
    tags=_TAGS,
    status_code=200,
    response_headers=[EVENT_POSITION, COMMAND_ID],
    responses=problems(*_TAG_PROBLEMS),
)
async def untag_artifact_by_path(
    request: AnyRequest,
    project_reference: ProjectReference,
    run_id: RunId,
    artifact_id: ArtifactId,
    tag: _TagOfPath,
    idempotency_key: IdempotencyKey = None,
) -> Response[Artifact]:
    return await _untagged(request, project_reference, run_id, artifact_id, tag, idempotency_key)


@get(
    _PATH + "/{artifact_id:str}/content",
    operation_id="downloadArtifact",
    summary="The bytes of a file artifact, from the node that it lies on",
    tags=_TAGS,
    media_type="application/octet-stream",
    response_headers=[
        EVENT_POSITION,
        ResponseHeader(
            name="ETag", documentation_only=True, required=True, description="SHA-256 of the whole file, in quotes"
        ),
    ],
    responses={
        206: ResponseSpec(
            bytes, generate_examples=False, media_type="application/octet-stream", description="The range asked for"
        ),
        304: ResponseSpec(None, generate_examples=False, description="The client has it already"),
    }
    | problems(
        *OF_READS,
        "project_not_found",
        "run_not_found",
        "artifact_not_found",
        "artifact_is_directory",
        "artifact_missing",
        "artifact_changed",
        "artifact_unreadable",
        "node_unreachable",
        "range_not_satisfiable",
    ),
)
async def download_artifact(
    request: AnyRequest,
    project_reference: ProjectReference,
    run_id: RunId,
    artifact_id: ArtifactId,
    range_: Range = None,
    if_range: IfRange = None,
    if_none_match: IfNoneMatch = None,
    min_event_position: MinEventPosition = None,
) -> Response[bytes]:
    edge = edge_of(request)
    await edge.past.cut(None, min_event_position)
    run, wanted = run_id_of(run_id), artifact_id_of(artifact_id)

    def find(connection: Connection) -> Source | None:
        found = [artifact for artifact in run_artifacts(connection, run) if artifact.id == wanted]
        node = select(runs.c.node).where(runs.c.id == str(run), runs.c.until.is_(None))
        return Source(run_id=run, node=connection.execute(node).scalar_one(), artifact=found[0]) if found else None

    shown = await ask_of_run(edge, project_reference, run, find)
    source = shown.answer
    if source is None:
        raise Refused("artifact_not_found", artifact_id=artifact_id)
    artifact = source.artifact
    if artifact.sha256 is None:
        raise Refused("artifact_is_directory", name=artifact.name, node=source.node, path=artifact.path)
    etag = f'"{artifact.sha256}"'
    headers = {
        "Event-Position": str(shown.position),
        "ETag": etag,
        "Accept-Ranges": "bytes",
        "Content-Disposition": disposition(artifact.name),
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "private, no-cache",
    }
    if if_none_match is not None and matches(if_none_match, etag):
        return Response(b"", status_code=304, headers=headers)
    span = span_of(range_ if if_range is None or if_range.strip() == etag else None, artifact.size)
    first = await first_piece(edge.files, source, span)
    headers["Content-Length"] = str(span.end - span.start)
    if span.partial:
        headers["Content-Range"] = f"bytes {span.start}-{span.end - 1}/{artifact.size}"
    status = 206 if span.partial else 200
    media = "application/octet-stream"
    if asked_of(request).head or span.start == span.end:
        return Response(b"", status_code=status, headers=headers, media_type=media)
    return Stream(  # type: ignore[return-value]
        content(edge.files, source, span, first), status_code=status, headers=headers, media_type=media
    )


ROUTES: list[Any] = [list_artifacts, tag_artifact, untag_artifact, untag_artifact_by_path, download_artifact]


class _Detail(msgspec.Struct):
    """What of a RunDetail is looked at here."""

    artifacts: tuple[Artifact, ...]


async def _untagged(
    request: AnyRequest, project: str, run_id: str, artifact_id: str, tag: str, key: str | None
) -> Response[Any]:
    command = UntagArtifact(project=project, run_id=run_id_of(run_id), artifact_id=artifact_id_of(artifact_id), tag=tag)
    return await _tagged(request, command, key)


async def _tagged(request: AnyRequest, command: TagArtifact | UntagArtifact, key: str | None) -> Response[Any]:
    """The command is answered with its run: here with the artifact of it."""
    response = await carry_out(request, command, key)
    response.content = msgspec.json.encode(await _artifact(request, command, response.content))
    return response


async def _artifact(request: AnyRequest, command: TagArtifact | UntagArtifact, detail: bytes) -> Artifact:
    for artifact in msgspec.json.decode(detail, type=_Detail).artifacts:
        if artifact.id == command.artifact_id:
            return artifact
    # The read models do not show it yet.
    return artifact_detail(await edge_of(request).log.read(RunFact.context, command.run_id), command.artifact_id)
