"""Projects over HTTP."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Response, get, patch, post
from litestar.openapi.spec import Example
from litestar.params import Body

from contracts.problems import Refused
from contracts.projects import (
    ArchiveProject,
    CreateProject,
    Project,
    ProjectChanges,
    ProjectDetail,
    ReviseProject,
    UnarchiveProject,
    project_id,
)
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
from services.edge.parameters import (
    AsOf,
    Cursor,
    IdempotencyKey,
    Limit,
    MinEventPosition,
    ProjectReference,
    after_cursor,
    cursor_of,
)

_EXAMPLE = Example(
    summary="A project of the tour",
    value={
        "name": "qwen-finetune",
        "description": "微调 Qwen 以适配客服场景",
        "owner": "alice",
        "tags": ["demo", "customer-service"],
        "dataset_name": "datasets/qwen_demo.jsonl",
        "training_yaml_name": "configs/qwen_demo.yaml",
    },
)
_TAGS = ["projects"]


@post(
    "/projects",
    operation_id="createProject",
    summary="Register a project",
    tags=_TAGS,
    dto=StrictBody[CreateProject],
    return_dto=None,
    response_headers=[EVENT_POSITION, COMMAND_ID, LOCATION],
    responses=problems(*OF_COMMANDS, *OF_BODIES, "project_exists"),
)
async def create_project(
    request: AnyRequest,
    data: Annotated[CreateProject, Body(examples=[_EXAMPLE])],
    idempotency_key: IdempotencyKey = None,
) -> Response[ProjectDetail]:
    return await carry_out(request, data, idempotency_key, location="/projects")


@get(
    "/projects",
    operation_id="listProjects",
    summary="All projects, or a page of them, in the order of their creation",
    tags=_TAGS,
    response_headers=[EVENT_POSITION, LINK],
    responses=problems(*OF_READS),
)
async def list_projects(
    request: AnyRequest,
    limit: Limit = None,
    cursor: Cursor = None,
    as_of: AsOf = None,
    min_event_position: MinEventPosition = None,
) -> Response[tuple[Project, ...]]:
    edge = edge_of(request)
    after = after_cursor("projects", cursor)
    cut = await edge.past.cut(as_of, min_event_position)
    shown = await edge.reads.project_list(cut, after=after, limit=limit)
    headers = next_page("/projects", cursor_of("projects", shown.answer.after), limit=limit, as_of=as_of)
    return show_as(msgspec.json.encode(shown.answer.items), shown, cut, **headers)


@get(
    "/projects/{project_reference:str}",
    operation_id="getProject",
    summary="A project with its runs",
    tags=_TAGS,
    response_headers=[EVENT_POSITION],
    responses=problems(*OF_READS, "project_not_found"),
)
async def get_project(
    request: AnyRequest,
    project_reference: ProjectReference,
    as_of: AsOf = None,
    min_event_position: MinEventPosition = None,
) -> Response[ProjectDetail]:
    edge = edge_of(request)
    cut = await edge.past.cut(as_of, min_event_position)
    shown = await edge.reads.project_detail(project_id(project_reference), cut)
    return show(shown, cut, Refused("project_not_found", reference=project_reference))


@patch(
    "/projects/{project_reference:str}",
    operation_id="reviseProject",
    summary="Change a project; what is left out stays as it is",
    tags=_TAGS,
    dto=StrictBody[ProjectChanges],
    return_dto=None,
    response_headers=[EVENT_POSITION, COMMAND_ID],
    responses=problems(*OF_COMMANDS, *OF_BODIES, "project_not_found", "project_archived"),
)
async def revise_project(
    request: AnyRequest,
    project_reference: ProjectReference,
    data: Annotated[ProjectChanges, Body(examples=[Example(value={"description": "v2", "tags": ["demo"]})])],
    idempotency_key: IdempotencyKey = None,
) -> Response[ProjectDetail]:
    return await carry_out(request, ReviseProject(project=project_reference, changes=data), idempotency_key)


@post(
    "/projects/{project_reference:str}/archive",
    operation_id="archiveProject",
    summary="Archive a project: it takes no changes and no runs",
    tags=_TAGS,
    status_code=200,
    response_headers=[EVENT_POSITION, COMMAND_ID],
    responses=problems(*OF_COMMANDS, "project_not_found", "project_already_archived"),
)
async def archive_project(
    request: AnyRequest, project_reference: ProjectReference, idempotency_key: IdempotencyKey = None
) -> Response[ProjectDetail]:
    return await carry_out(request, ArchiveProject(project=project_reference), idempotency_key)


@post(
    "/projects/{project_reference:str}/unarchive",
    operation_id="unarchiveProject",
    summary="Take an archived project back into use",
    tags=_TAGS,
    status_code=200,
    response_headers=[EVENT_POSITION, COMMAND_ID],
    responses=problems(*OF_COMMANDS, "project_not_found", "project_not_archived"),
)
async def unarchive_project(
    request: AnyRequest, project_reference: ProjectReference, idempotency_key: IdempotencyKey = None
) -> Response[ProjectDetail]:
    return await carry_out(request, UnarchiveProject(project=project_reference), idempotency_key)


ROUTES: list[Any] = [
    create_project,
    list_projects,
    get_project,
    revise_project,
    archive_project,
    unarchive_project,
]
