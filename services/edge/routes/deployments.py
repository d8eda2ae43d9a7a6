"""Deployments over HTTP."""

from __future__ import annotations

from typing import Annotated, Any, get_args
from uuid import UUID

import msgspec
from litestar import Response, delete, get, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example
from litestar.params import Body, HeaderParameter, PathParameter, QueryParameter
from litestar.response import Stream

from contracts.deployments import (
    CreateDeployment,
    DeploymentInfo,
    DeploymentRemoval,
    LogPiece,
    NodeGpus,
    RemoveDeployment,
    RestartDeployment,
)
from contracts.files import LONGEST_PIECE
from contracts.problems import Refused
from events.deployments import DeploymentStatus
from projections.queries.deployments import DeploymentFilter, deployment_list
from services.edge.answers import Json, carry_out, show, show_as
from services.edge.bodies import StrictBody
from services.edge.context import AnyRequest, asked_of, edge_of
from services.edge.deployment_logs import END, as_events, as_text, piece, start_of_tail
from services.edge.described import COMMAND_ID, EVENT_POSITION, LOCATION, OF_BODIES, OF_COMMANDS, OF_READS, problems
from services.edge.negotiated import preferred
from services.edge.parameters import AsOf, IdempotencyKey, InvalidParameter, MinEventPosition, Prefer
from services.runtime.questions import Shown

_EXAMPLE = Example(
    summary="The documented one",
    value={
        "model_path": "models/qwen2.5",
        "model_version": "v1",
        "tags": ["demo"],
        "extra_args": "--max-num-seqs 4",
        "preferred_gpu": 0,
        "health_path": "/health",
    },
)
_TAGS = ["deployments"]
_STATUSES = get_args(DeploymentStatus)
_LATER = {
    202: ResponseSpec(DeploymentInfo, generate_examples=False, description="Asked for with `Prefer: respond-async`")
}

DeploymentId = Annotated[str, PathParameter(description="Id of the deployment (UUID)", min_length=1)]
_Model = Annotated[str | None, QueryParameter(name="model", description="Only those with this text in their path")]
_Tag = Annotated[str | None, QueryParameter(name="tag", description="Only those with this tag")]
_Status = Annotated[
    str | None,
    QueryParameter(name="status", description=f"Only those that are so just now, in any case: {', '.join(_STATUSES)}"),
]
_All = Annotated[bool | None, QueryParameter(name="all", description="Those that were deleted too")]
_Force = Annotated[
    bool | None, QueryParameter(name="force", description="Kills what does not end in time, instead of answering 409")
]

_Offset = Annotated[
    int | None,
    QueryParameter(name="offset", description="The byte to begin with, 0 by default; not with `tail`", ge=0, le=2**53),
]
_Length = Annotated[
    int | None,
    QueryParameter(name="length", description="Most bytes of a piece, 65536 by default", ge=1, le=LONGEST_PIECE),
]
_Tail = Annotated[
    int | None, QueryParameter(name="tail", description="Begins with the last so many lines", ge=1, le=10_000)
]
_LastEventId = Annotated[
    str | None,
    HeaderParameter(name="Last-Event-ID", description="Live only: continues behind the event of that id"),
]
_MEDIA = ("application/json", "text/plain", "text/event-stream")
_PIECE = 65_536


@post(
    "/deployments",
    operation_id="createDeployment",
    summary="Serve a model and answer once its server's process runs or has failed, or after a bounded wait",
    tags=_TAGS,
    dto=StrictBody[CreateDeployment],
    return_dto=None,
    response_headers=[EVENT_POSITION, COMMAND_ID, LOCATION],
    responses=_LATER
    | problems(
        *OF_COMMANDS,
        *OF_BODIES,
        "model_path_refused",
        "extra_args_refused",
        "extra_args_unbalanced",
        "artifact_not_found",
        "not_a_checkpoint",
        "checkpoint_incomplete",
        "checkpoint_elsewhere",
        "no_deployment_node",
        "node_not_serving",
        "deployment_node_unreachable",
        "no_free_port",
        "no_gpu",
        "deployment_failed",
    ),
)
async def create_deployment(
    request: AnyRequest,
    data: Annotated[CreateDeployment, Body(examples=[_EXAMPLE])],
    idempotency_key: IdempotencyKey = None,
    prefer: Prefer = None,
) -> Response[DeploymentInfo]:
    return await carry_out(request, data, idempotency_key, prefer, location="/deployments")


@get(
    "/deployments",
    operation_id="listDeployments",
    summary="The deployments in the order of their creation, as they are just now",
    tags=_TAGS,
    response_headers=[EVENT_POSITION],
    responses=problems(*OF_READS),
)
async def list_deployments(
    request: AnyRequest,
    model: _Model = None,
    tag: _Tag = None,
    status: _Status = None,
    all_: _All = None,
    as_of: AsOf = None,
    min_event_position: MinEventPosition = None,
) -> Response[tuple[DeploymentInfo, ...]]:
    edge = edge_of(request)
    wanted_status = None if status is None else status.strip().lower()
    if wanted_status is not None and wanted_status not in _STATUSES:
        names = ", ".join(_STATUSES)
        raise InvalidParameter("status", f"须为 {names} 之一", f"it must be one of {names}")
    cut = await edge.past.cut(as_of, min_event_position)
    wanted = DeploymentFilter(model=model, tag=tag, removed=bool(all_))
    shown = await edge.reads.ask(lambda connection: deployment_list(connection, wanted, cut))
    views = list(shown.answer)
    if cut.position is None:
        views = await edge.deployments.as_now(views)
    chosen = [view for view in views if wanted_status in (None, view.status)]
    return show_as(msgspec.json.encode(chosen), shown, cut)


@get(
    "/deployments/{deployment_id:str}",
    operation_id="getDeployment",
    summary="A deployment as it is just now",
    tags=_TAGS,
    response_headers=[EVENT_POSITION],
    responses=problems(*OF_READS, "deployment_not_found"),
)
async def get_deployment(
    request: AnyRequest, deployment_id: DeploymentId, as_of: AsOf = None, min_event_position: MinEventPosition = None
) -> Response[DeploymentInfo]:
    edge = edge_of(request)
    cut = await edge.past.cut(as_of, min_event_position)
    shown = await edge.deployments.detail(deployment_id_of(deployment_id), cut)
    return show(_present(shown), cut, Refused("deployment_not_found", deployment_id=deployment_id))


@delete(
    "/deployments/{deployment_id:str}",
    operation_id="removeDeployment",
    summary="Stop a deployment and take it off the list, once nothing of it is left alive",
    tags=_TAGS,
    status_code=200,
    response_headers=[EVENT_POSITION, COMMAND_ID],
    responses=problems(*OF_COMMANDS, "deployment_not_found", "deployment_stopping", "deployment_stop_unconfirmed"),
)
async def remove_deployment(
    request: AnyRequest, deployment_id: DeploymentId, force: _Force = None, idempotency_key: IdempotencyKey = None
) -> Response[DeploymentRemoval]:
    command = RemoveDeployment(deployment_id=deployment_id_of(deployment_id), force=bool(force))
    return await carry_out(request, command, idempotency_key)


@post(
    "/deployments/{deployment_id:str}/restart",
    operation_id="restartDeployment",
    summary="End a deployment's server, if it runs, and start it anew",
    tags=_TAGS,
    status_code=200,
    response_headers=[EVENT_POSITION, COMMAND_ID],
    responses=problems(
        *OF_COMMANDS, "deployment_not_found", "deployment_stopping", "no_free_port", "no_gpu", "deployment_failed"
    ),
)
async def restart_deployment(
    request: AnyRequest, deployment_id: DeploymentId, idempotency_key: IdempotencyKey = None
) -> Response[DeploymentInfo]:
    command = RestartDeployment(deployment_id=deployment_id_of(deployment_id))
    return await carry_out(request, command, idempotency_key)


@get(
    "/deployments/{deployment_id:str}/logs",
    operation_id="getDeploymentLogs",
    summary="What a deployment's servers print: a piece of it, as text, or live",
    description="From byte `offset` on, or the last `tail` lines; `next_offset` of one piece is the `offset` of the "
    "next. `Accept: text/plain` answers with all of it up to now, `Accept: text/event-stream` follows it: an event "
    "for each piece, whose id `Last-Event-ID` goes on from, then an event `end` once the deployment has ended. "
    "Where what was at `offset` is kept no longer, it begins with the oldest that is. "
    "The log stays readable after the deployment was deleted.",
    tags=_TAGS,
    responses={204: ResponseSpec(None, generate_examples=False, description="Live only: everything was sent before")}
    | problems(*OF_READS, "deployment_not_found", "deployment_log_missing", "deployment_node_unreachable"),
)
async def get_deployment_logs(
    request: AnyRequest,
    deployment_id: DeploymentId,
    offset: _Offset = None,
    length: _Length = None,
    tail: _Tail = None,
    last_event_id: _LastEventId = None,
    min_event_position: MinEventPosition = None,
) -> Response[LogPiece]:
    edge = edge_of(request)
    if offset is not None and tail is not None:
        raise InvalidParameter("tail", "不能与 offset 同用", "it does not go with offset")
    await edge.past.cut(None, min_event_position)
    view = (await edge.deployments.on_record(deployment_id_of(deployment_id))).answer
    if view is None:
        raise Refused("deployment_not_found", deployment_id=deployment_id)
    media = preferred(request.headers.get("accept", "*/*"), _MEDIA)
    if media == _MEDIA[2] and last_event_id is not None:
        if last_event_id == END:
            return Response(None, status_code=204)  # type: ignore[arg-type]  # which tells a browser to stay away
        offset, tail = _place_of(last_event_id), None
    start = offset or 0
    if tail is not None:
        start = await start_of_tail(edge, view, tail)
    headers = {"Vary": "Accept"}
    if media == _MEDIA[0]:
        found = await piece(edge, view, start, length or _PIECE)
        return Json(msgspec.json.encode(found), headers=headers)
    if media == _MEDIA[2]:
        # Proxies are asked not to hold events back.
        headers |= {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    until = (await piece(edge, view, start, 0)).size if media == _MEDIA[1] else 0
    if asked_of(request).head:
        return Response(b"", headers=headers, media_type=media)  # type: ignore[arg-type]
    flow = as_text(edge, view, start, until) if media == _MEDIA[1] else as_events(edge, view, start)
    return Stream(flow, headers=headers, media_type=media)  # type: ignore[return-value]


@get(
    "/gpus",
    operation_id="listGpus",
    summary="What the nodes have to serve with just now: GPUs, who has them, and the ports that are taken",
    tags=_TAGS,
    responses=problems("log_unavailable"),
)
async def list_gpus(request: AnyRequest) -> Response[tuple[NodeGpus, ...]]:
    found = await edge_of(request).deployments.gpus()
    return Json(msgspec.json.encode(found))


ROUTES: list[Any] = [
    create_deployment,
    list_deployments,
    get_deployment,
    remove_deployment,
    restart_deployment,
    get_deployment_logs,
    list_gpus,
]


def deployment_id_of(text: str) -> UUID:
    """Raises Refused (deployment_not_found)."""
    try:
        return UUID(text)
    except ValueError:
        raise Refused("deployment_not_found", deployment_id=text) from None


def _place_of(event_id: str) -> int:
    """Raises Refused for what this service never gave as an id."""
    if event_id.isascii() and event_id.isdigit() and len(event_id) <= 16:
        return int(event_id)
    raise InvalidParameter("Last-Event-ID", "不是本服务给出的编号", "it is not an id that this service gave")


def _present(shown: Shown[DeploymentInfo | None]) -> Shown[DeploymentInfo | None]:
    """One that was removed is none."""
    return Shown(None, shown.position) if shown.answer is not None and shown.answer.removed else shown
