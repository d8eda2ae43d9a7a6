"""What else there is to read of a run over HTTP: metrics and why it came so."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Any
from urllib.parse import quote

import msgspec
from litestar import Response, get
from litestar.params import QueryParameter
from sqlalchemy import Connection

from contracts.problems import Refused
from contracts.run_views import RunExplanation, RunMetrics
from events.runs import RunFact
from projections.queries.run_metrics import After, Points, Series, metric_page, thinned_metrics
from services.edge.answers import next_page, show_as
from services.edge.context import AnyRequest, asked_of, edge_of
from services.edge.described import EVENT_POSITION, LINK, OF_READS, problems
from services.edge.explained import explain
from services.edge.of_run import ask_of_run, run_id_of
from services.edge.parameters import AsOf, Cursor, InvalidParameter, MinEventPosition, ProjectReference, RunId

_LIMIT = 1_000
_TAGS = ["runs"]

_Name = Annotated[
    str | None, QueryParameter(name="name", description="Only the metric of this name", min_length=1, max_length=200)
]
_FromStep = Annotated[
    int | None, QueryParameter(name="from_step", description="Only points of this step or a later one", ge=0, le=2**53)
]
_Limit = Annotated[
    int | None,
    QueryParameter(
        name="limit",
        description="Most points of a page, 1000 by default; the `Link` header leads to the next",
        ge=1,
        le=10_000,
    ),
]
_MaxPoints = Annotated[
    int | None,
    QueryParameter(
        name="max_points",
        description="Thins a longer series to so many points of each name: it is divided into buckets of equally many "
        "points, of which the first, the last, the least and the greatest stay. Not with `limit` and `cursor`",
        ge=4,
        le=10_000,
    ),
]


@get(
    "/projects/{project_reference:str}/runs/{run_id:str}/metrics",
    operation_id="getRunMetrics",
    summary="Every metric point of a run with its step, or a thinned series",
    tags=_TAGS,
    response_headers=[EVENT_POSITION, LINK],
    responses=problems(*OF_READS, "project_not_found", "run_not_found"),
)
async def get_run_metrics(
    request: AnyRequest,
    project_reference: ProjectReference,
    run_id: RunId,
    name: _Name = None,
    from_step: _FromStep = None,
    limit: _Limit = None,
    cursor: Cursor = None,
    max_points: _MaxPoints = None,
    as_of: AsOf = None,
    min_event_position: MinEventPosition = None,
) -> Response[RunMetrics]:
    if max_points is not None and (limit is not None or cursor is not None):
        raise InvalidParameter("max_points", "不能与 limit、cursor 同用", "it does not go with limit and cursor")
    edge = edge_of(request)
    after = _from_cursor(cursor)
    cut = await edge.past.cut(as_of, min_event_position)
    run, series = run_id_of(run_id), Series(name=name, from_step=from_step)

    def read(connection: Connection) -> Points:
        if max_points is not None:
            return thinned_metrics(connection, run, series, cut, most=max_points)
        return metric_page(connection, run, series, cut, after=after, limit=limit or _LIMIT)

    shown = await ask_of_run(edge, project_reference, run, read, cut)
    points = shown.answer
    following = None if points.after is None else _cursor(points.after)
    path = quote(request.scope["path"])
    headers = next_page(path, following, name=name, from_step=from_step, limit=limit, as_of=as_of)
    view = RunMetrics(run_id=run, total=points.total, points=points.points)
    return show_as(msgspec.json.encode(view), shown, cut, **headers)


@get(
    "/projects/{project_reference:str}/runs/{run_id:str}/explain",
    operation_id="explainRun",
    summary="Why a run came as it did: who asked, what was decided, what was observed, oldest first",
    tags=_TAGS,
    response_headers=[EVENT_POSITION],
    responses=problems(*OF_READS, "project_not_found", "run_not_found", "log_unavailable"),
)
async def explain_run(
    request: AnyRequest,
    project_reference: ProjectReference,
    run_id: RunId,
    as_of: AsOf = None,
    min_event_position: MinEventPosition = None,
) -> Response[RunExplanation]:
    edge, language = edge_of(request), asked_of(request).language
    cut = await edge.past.cut(as_of, min_event_position)
    run = run_id_of(run_id)
    shown = await ask_of_run(edge, project_reference, run, lambda _: None, cut)
    last = shown.position if cut.position is None else cut.position
    facts = [entry for entry in await edge.log.read(RunFact.context, run) if entry.meta.position <= last]
    view = explain(run, facts, edge.people.name_of, language)
    if view is None:
        raise Refused("run_not_found", run_id=run)
    headers = {"Content-Language": language, "Vary": "Accept-Language"}
    return show_as(msgspec.json.encode(view), shown, cut, **headers)


ROUTES: list[Any] = [get_run_metrics, explain_run]


def _cursor(after: After) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(after)).decode().rstrip("=")


def _from_cursor(cursor: str | None) -> After | None:
    if cursor is None:
        return None
    try:
        content = base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True)
        after = msgspec.json.decode(content, type=After)
        if 0 <= after.attempt < 2**31 and 0 <= after.byte_offset < 2**63 and "\0" not in after.name:
            return after
    except (binascii.Error, ValueError):
        pass
    raise InvalidParameter("cursor", "不是本服务给出的游标", "it is not one that a Link header gave")
