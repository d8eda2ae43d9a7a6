"""What the configurations of two runs differ in, over HTTP."""

from __future__ import annotations

import asyncio
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Response, get
from litestar.params import QueryParameter
from sqlalchemy import Connection, select

from contracts.problems import Refused
from contracts.runs import Artifact
from contracts.train_config import LARGEST, RunConfigDifference
from projections.queries.cut import Cut
from projections.queries.runs import run_artifacts
from projections.queries.train_config import StoredVersion, version_of
from projections.tables import runs
from services.edge.answers import show_as
from services.edge.context import AnyRequest, Edge, edge_of
from services.edge.described import EVENT_POSITION, OF_READS, problems
from services.edge.downloads import Broken, Source, Span, content, first_piece
from services.edge.of_run import ask_of_run, run_id_of
from services.edge.parameters import AsOf, InvalidParameter, MinEventPosition, ProjectReference, RunId
from services.edge.train_configs import content_of
from services.runtime.train_config.differences import difference
from services.runtime.train_config.reading import read

_TYPES = ("config_original", "config")  # as the user wrote it goes before as the run was to use it
_Other = Annotated[
    str | None,
    QueryParameter(name="other", description="Id of the run to compare with (UUID), of any project", min_length=1),
]


class _Configured(msgspec.Struct, frozen=True):
    """Where the YAML of a run lies: in the store, or on its node."""

    run_id: UUID
    node: str
    version: StoredVersion | None
    artifact: Artifact | None


@get(
    "/projects/{project_reference:str}/runs/{run_id:str}/config-diff",
    operation_id="compareRunConfigs",
    summary="Key by key, what the YAML of a run differs in from that of another one, as their users wrote them",
    tags=["runs"],
    response_headers=[EVENT_POSITION],
    responses=problems(
        *OF_READS,
        "project_not_found",
        "run_not_found",
        "run_config_missing",
        "train_config_invalid",
        "train_config_unreadable",
        "artifact_not_found",
        "artifact_missing",
        "artifact_is_directory",
        "artifact_changed",
        "artifact_unreadable",
        "node_unreachable",
    ),
)
async def compare_run_configs(
    request: AnyRequest,
    project_reference: ProjectReference,
    run_id: RunId,
    other: _Other = None,
    as_of: AsOf = None,
    min_event_position: MinEventPosition = None,
) -> Response[RunConfigDifference]:
    edge = edge_of(request)
    cut = await edge.past.cut(as_of, min_event_position)
    if other is None:
        raise InvalidParameter("other", "缺少该参数", "it is required")
    this, that = run_id_of(run_id), run_id_of(other)

    def find(connection: Connection) -> tuple[_Configured, _Configured]:
        return _configured(connection, that, cut), _configured(connection, this, cut)

    shown = await ask_of_run(edge, project_reference, this, find, cut)
    old, new = shown.answer
    contents = await asyncio.gather(_content(edge, old), _content(edge, new))
    body = await asyncio.to_thread(_compared, contents[0], contents[1], this, that)
    return show_as(body, shown, cut)


ROUTES = [compare_run_configs]


def _configured(connection: Connection, run_id: UUID, cut: Cut) -> _Configured:
    """Raises Refused where there is no such run at the cut, or nothing of it."""
    statement = select(runs.c.node, runs.c.train_config_version).where(runs.c.id == str(run_id), cut.holds(runs))
    row = connection.execute(statement).one_or_none()
    if row is None:
        raise Refused("run_not_found", run_id=run_id)
    version = None if row.train_config_version is None else version_of(connection, row.train_config_version, cut)
    found = {artifact.type: artifact for artifact in run_artifacts(connection, run_id, cut)}
    artifact = next((found[type_] for type_ in _TYPES if type_ in found), None)
    if version is None and artifact is None:
        raise Refused("run_config_missing", run_id=run_id)
    return _Configured(run_id, row.node, version, artifact)


async def _content(edge: Edge, found: _Configured) -> bytes:
    if found.version is not None:
        return await content_of(edge.uploads.storage, found.version.stored_name, found.version.sha256)
    artifact = found.artifact
    assert artifact is not None
    if artifact.size > LARGEST:
        raise Refused("run_config_missing", run_id=found.run_id)
    source, span = Source(run_id=found.run_id, node=found.node, artifact=artifact), Span(0, artifact.size)
    first = await first_piece(edge.files, source, span)
    try:
        return b"".join([data async for data in content(edge.files, source, span, first)])
    except Broken as broken:
        raise Refused("artifact_changed", path=artifact.path) from broken


def _compared(old: bytes, new: bytes, this: UUID, that: UUID) -> bytes:
    found = msgspec.structs.asdict(difference(read(old), read(new)))
    return msgspec.json.encode(RunConfigDifference(run_id=this, other=that, **found))
