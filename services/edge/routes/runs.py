"""Training runs over HTTP."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote
from uuid import UUID

import msgspec
from litestar import Response, get, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import Body, QueryParameter

from contracts.problems import Refused
from contracts.projects import project_id
from contracts.runs import CancelRun, ResumeRun, RunDetail, RunOptions, StartRun
from projections.queries.projects import project_summary
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
from services.edge.of_run import artifact_id_of
from services.edge.parameters import (
    AsOf,
    Cursor,
    IdempotencyKey,
    Limit,
    MinEventPosition,
    Prefer,
    ProjectReference,
    RunId,
    after_cursor,
    cursor_of,
)

_TAGS = ["runs"]
_SourceArtifact = Annotated[
    str | None,
    QueryParameter(
        name="source_artifact_id",
        description="Id of the checkpoint artifact of that run; left out: its newest complete checkpoint",
    ),
]
_LATER = {202: ResponseSpec(RunDetail, generate_examples=False, description="Asked for with `Prefer: respond-async`")}


@post(
    "/projects/{project_reference:str}/runs",
    operation_id="startRun",
    summary="Start a run and answer once it runs, has failed or is queued, or after a bounded wait",
    tags=_TAGS,
    dto=StrictBody[RunOptions],
    return_dto=None,
    response_headers=[EVENT_POSITION, COMMAND_ID, LOCATION],
    responses=_LATER
    | problems(
        *OF_COMMANDS,
        *OF_BODIES,
        "project_not_found",
        "project_archived",
        "raw_data_refused",
        "assets_missing",
        "asset_not_a_file",
        "asset_unreadable",
        "asset_outside",
        "start_command_not_allowed",
        "no_training_node",
        "launch_failed",
    ),
)
async def start_run(
    request: AnyRequest,
    project_reference: ProjectReference,
    data: Annotated[RunOptions | None, Body(description="Nothing is needed")] = None,
    idempotency_key: IdempotencyKey = None,
    prefer: Prefer = None,
) -> Response[RunDetail]:
    command = StartRun(
        project=project_reference,
        start_command=data.start_command if data else None,
        max_wall_seconds=data.max_wall_seconds if data else None,
    )
    return await carry_out(request, command, idempotency_key, prefer, location=_location(project_reference))


@get(
    "/projects/{project_reference:str}/runs",
    operation_id="listRuns",
    summary="The runs of a project, or a page of them, in the order of their creation",
    description="Of the output of each, the last 20 lines.",
    tags=_TAGS,
    response_headers=[EVENT_POSITION, LINK],
    responses=problems(*OF_READS, "project_not_found"),
)
async def list_runs(
    request: AnyRequest,
    project_reference: ProjectReference,
    limit: Limit = None,
    cursor: Cursor = None,
    as_of: AsOf = None,
    min_event_position: MinEventPosition = None,
) -> Response[tuple[RunDetail, ...]]:
    edge = edge_of(request)
    after = after_cursor("runs", cursor)
    cut = await edge.past.cut(as_of, min_event_position)
    shown = await edge.reads.run_list(project_id(project_reference), cut, after=after, limit=limit)
    if shown.answer is None:
        raise Refused("project_not_found", reference=project_reference)
    following = cursor_of("runs", shown.answer.after)
    headers = next_page(_location(project_reference), following, limit=limit, as_of=as_of)
    return show_as(msgspec.json.encode(shown.answer.items), shown, cut, **headers)


@get(
    "/projects/{project_reference:str}/runs/{run_id:str}",
    operation_id="getRun",
    summary="A run with its latest log lines, metrics and artifacts",
    tags=_TAGS,
    response_headers=[EVENT_POSITION],
    responses=problems(*OF_READS, "project_not_found", "run_not_found"),
)
async def get_run(
    request: AnyRequest,
    project_reference: ProjectReference,
    run_id: RunId,
    as_of: AsOf = None,
    min_event_position: MinEventPosition = None,
) -> Response[RunDetail]:
    edge = edge_of(request)
    cut = await edge.past.cut(as_of, min_event_position)
    project, run = project_id(project_reference), _run_id(run_id)
    shown = await edge.reads.run_detail(run, cut)
    missing = Refused("run_not_found", run_id=run_id)
    if shown.answer is None or shown.answer.project_id != project:
        known = await edge.reads.ask(lambda connection: project_summary(connection, project, lambda _: None, cut))
        raise missing if known.answer is not None else Refused("project_not_found", reference=project_reference)
    return show(shown, cut, missing)


@post(
    "/projects/{project_reference:str}/runs/{run_id:str}/resume",
    operation_id="resumeRun",
    summary="Start a new run that continues from a checkpoint of one that has ended",
    tags=_TAGS,
    dto=StrictBody[RunOptions],
    return_dto=None,
    response_headers=[EVENT_POSITION, COMMAND_ID, LOCATION],
    responses=_LATER
    | problems(
        *OF_COMMANDS,
        *OF_BODIES,
        "project_not_found",
        "project_archived",
        "raw_data_refused",
        "run_not_found",
        "run_not_ended",
        "artifact_not_found",
        "not_a_checkpoint",
        "no_checkpoint",
        "checkpoint_incomplete",
        "assets_missing",
        "asset_not_a_file",
        "asset_unreadable",
        "asset_outside",
        "start_command_not_allowed",
        "node_unreachable",
        "launch_failed",
    ),
)
async def resume_run(
    request: AnyRequest,
    project_reference: ProjectReference,
    run_id: RunId,
    source_artifact_id: _SourceArtifact = None,
    data: Annotated[RunOptions | None, Body(description="Nothing is needed")] = None,
    idempotency_key: IdempotencyKey = None,
    prefer: Prefer = None,
) -> Response[RunDetail]:
    command = ResumeRun(
        project=project_reference,
        run_id=_run_id(run_id),
        source_artifact_id=None if source_artifact_id is None else artifact_id_of(source_artifact_id),
        start_command=data.start_command if data else None,
        max_wall_seconds=data.max_wall_seconds if data else None,
    )
    return await carry_out(request, command, idempotency_key, prefer, location=_location(project_reference))


@post(
    "/projects/{project_reference:str}/runs/{run_id:str}/cancel",
    operation_id="cancelRun",
    summary="Stop a run; `canceled` once nothing of it is left alive",
    tags=_TAGS,
    status_code=200,
    response_headers=[EVENT_POSITION, COMMAND_ID],
    responses=problems(*OF_COMMANDS, "run_not_found", "run_ended"),
)
async def cancel_run(
    request: AnyRequest,
    project_reference: ProjectReference,
    run_id: RunId,
    idempotency_key: IdempotencyKey = None,
    prefer: Prefer = None,
) -> Response[RunDetail]:
    return await carry_out(
        request, CancelRun(project=project_reference, run_id=_run_id(run_id)), idempotency_key, prefer
    )


ROUTES: list[Any] = [start_run, list_runs, get_run, resume_run, cancel_run]


def _location(project_reference: str) -> str:
    return f"/projects/{quote(project_reference, safe='')}/runs"


def _run_id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise Refused("run_not_found", run_id=text) from None
