"""Why a deployment came as it did, over HTTP."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Response, get

from contracts.deployment_history import DeploymentExplanation
from contracts.problems import Refused
from events.deployments import DeploymentFact
from services.edge.answers import show_as
from services.edge.context import AnyRequest, asked_of, edge_of
from services.edge.described import EVENT_POSITION, OF_READS, problems
from services.edge.explained_deployments import explain_deployment
from services.edge.parameters import AsOf, MinEventPosition
from services.edge.routes.deployments import DeploymentId, deployment_id_of


@get(
    "/deployments/{deployment_id:str}/explain",
    operation_id="explainDeployment",
    summary="Why a deployment came as it did: who asked, what was decided, what was observed, oldest first",
    description="Also of one that was deleted.",
    tags=["deployments"],
    response_headers=[EVENT_POSITION],
    responses=problems(*OF_READS, "deployment_not_found", "log_unavailable"),
)
async def explain(
    request: AnyRequest, deployment_id: DeploymentId, as_of: AsOf = None, min_event_position: MinEventPosition = None
) -> Response[DeploymentExplanation]:
    edge, language = edge_of(request), asked_of(request).language
    identity = deployment_id_of(deployment_id)
    cut = await edge.past.cut(as_of, min_event_position)
    shown = await edge.deployments.on_record(identity, cut)
    last = shown.position if cut.position is None else cut.position
    facts = [entry for entry in await edge.log.read(DeploymentFact.context, identity) if entry.meta.position <= last]
    view = explain_deployment(identity, facts, edge.people.name_of, language)
    if view is None:
        raise Refused("deployment_not_found", deployment_id=deployment_id)
    return show_as(msgspec.json.encode(view), shown, cut, **{"Content-Language": language, "Vary": "Accept-Language"})


ROUTES: list[Any] = [explain]
