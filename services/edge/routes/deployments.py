"""Deployments over HTTP."""

from __future__ import annotations

from typing import Annotated, Any, get_args
from uuid import UUID

import msgspec
from litestar import Response, delete, get, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example
from litestar.params import Body, PathParameter, QueryParameter

from contracts.deployments import (
    CreateDeployment,
    DeploymentInfo,
    DeploymentRemoval,
    NodeGpus,
    RemoveDeployment,
    RestartDeployment,
)
from contracts.problems import Refused
from events.deployments import DeploymentStatus
from projections.queries.deployments import DeploymentFilter, deployment_list
from services.edge.answers import carry_out, show, show_as
from services.edge.bodies import StrictBody
from services.edge.context import AnyRequest, edge_of
from services.edge.described import COMMAND_ID, EVENT_POSITION, OF_BODIES, OF_COMMANDS, OF_READS, problems
from services.edge.parameters import AsOf, IdempotencyKey, InvalidParameter, MinEventPosition, Prefer
from services.runtime.reads import Shown

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


@post(
    "/deployments",
    operation_id="createDeployment",
    summary="Serve a model and answer once its server's process runs or has failed, or after a bounded wait",
    tags=_TAGS,
    dto=StrictBody[CreateDeployment],
    return_dto=None,
    response_headers=[EVENT_POSITION, COMMAND_ID],
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
    return await carry_out(request, data, idempotency_key, prefer)


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
    responses=problems(*OF_COMMANDS, "deployment_not_found", "deployment_stopping"),
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
    "/gpus",
    operation_id="listGpus",
    summary="What the nodes have to serve with just now: GPUs, who has them, and the ports that are taken",
    tags=_TAGS,
    responses=problems("log_unavailable"),
)
async def list_gpus(request: AnyRequest) -> Response[tuple[NodeGpus, ...]]:
    found = await edge_of(request).deployments.gpus()
    return Response(msgspec.json.encode(found), media_type="application/json")  # type: ignore[arg-type]


ROUTES: list[Any] = [
    create_deployment,
    list_deployments,
    get_deployment,
    remove_deployment,
    restart_deployment,
    list_gpus,
]


def deployment_id_of(text: str) -> UUID:
    """Raises Refused (deployment_not_found)."""
    try:
        return UUID(text)
    except ValueError:
        raise Refused("deployment_not_found", deployment_id=text) from None


def _present(shown: Shown[DeploymentInfo | None]) -> Shown[DeploymentInfo | None]:
    """One that was removed is none."""
    return Shown(None, shown.position) if shown.answer is not None and shown.answer.removed else shown
