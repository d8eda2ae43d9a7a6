"""The nodes that train, over HTTP."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Response, get
from msgspec.structs import replace

from contracts.nodes import NodeDetail
from contracts.times import naive_iso
from projections.queries.nodes import node_list
from services.edge.answers import show_as
from services.edge.context import AnyRequest, edge_of
from services.edge.described import EVENT_POSITION, OF_READS, problems
from services.edge.parameters import AsOf, MinEventPosition
from services.runtime.node_states import Seen


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


ROUTES: list[Any] = [list_nodes]


def _with(view: NodeDetail, seen: Seen) -> NodeDetail:
    return replace(
        view,
        status="live" if seen.answer is not None else view.status or "unreachable",
        last_heartbeat=None if seen.heard is None else naive_iso(seen.heard),
        gpus=None if seen.answer is None else seen.answer.gpus,
    )
