"""The nodes that train, over HTTP."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Response, delete, get
from litestar.params import PathParameter
from msgspec.structs import replace

from contracts.nodes import ForgetNode, ForgottenNode, NodeDetail
from contracts.times import naive_iso
from projections.queries.nodes import node_list
from services.edge.answers import carry_out, show_as
from services.edge.context import AnyRequest, edge_of
from services.edge.described import COMMAND_ID, EVENT_POSITION, OF_COMMANDS, OF_READS, problems
from services.edge.parameters import AsOf, IdempotencyKey, MinEventPosition
from services.runtime.nodes.states import Seen

_NodeName = Annotated[str, PathParameter(description="Name of the node", min_length=1, max_length=64)]


@get(
    "/v1/nodes",
    operation_id="listNodes",
    summary="The nodes that train: what they are, whether they answer, their GPUs and live runs",
    tags=["nodes"],
    response_headers=[EVENT_POSITION],
    responses=problems(*OF_READS),
)
async def list_nodes(
    request: AnyRequest, as_of: AsOf = None, min_event_position: MinEventPosition = None
) -> Response[tuple[NodeDetail, ...]]:
    edge = edge_of(request)
    cut = await edge.past.cut(as_of, min_event_position)
    shown = await edge.reads.ask(lambda connection: node_list(connection, cut))
    views = shown.answer
    if cut.position is None:
        seen = await edge.nodes.look(view.name for view in views)
        views = tuple(map(_with, views, seen))
    return show_as(msgspec.json.encode(views), shown, cut)


@delete(
    "/v1/nodes/{name:str}",
    operation_id="forgetNode",
    summary="Forget a node that is lost and will not come back; its runs stay on record",
    tags=["nodes"],
    status_code=200,
    response_headers=[EVENT_POSITION, COMMAND_ID],
    responses=problems(*OF_COMMANDS, "node_not_found", "node_not_lost"),
)
async def forget_node(
    request: AnyRequest, name: _NodeName, idempotency_key: IdempotencyKey = None
) -> Response[ForgottenNode]:
    return await carry_out(request, ForgetNode(name=name), idempotency_key)


ROUTES: list[Any] = [list_nodes, forget_node]


def _with(view: NodeDetail, seen: Seen) -> NodeDetail:
    return replace(
        view,
        status="live" if seen.answer is not None else view.status or "unreachable",
        last_heartbeat=None if seen.heard is None else naive_iso(seen.heard),
        gpus=None if seen.answer is None else seen.answer.gpus,
    )
