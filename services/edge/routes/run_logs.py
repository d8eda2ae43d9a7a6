"""The log of a run over HTTP: by pages, by slices, whole, and live."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from litestar import Response, get
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import HeaderParameter, QueryParameter
from litestar.response import Stream
from sqlalchemy import Connection

from contracts.run_views import LogPage, LogSlice, LogStream, RunLogEntry
from contracts.runs import LogEntry, LogLevel
from contracts.times import naive_iso
from projections.queries.cut import NOW, Cut
from projections.queries.run_output import BEGINNING, Line, LogOfRun, LogPart, Place, log_of_run
from projections.queries.wanted_lines import Wanted
from projections.tables import from_column
from services.edge.answers import show_as
from services.edge.context import AnyRequest, Edge, asked_of, edge_of
from services.edge.described import EVENT_POSITION, OF_READS, problems
from services.edge.log_stream import END, as_events, as_text, place_of
from services.edge.negotiated import preferred
from services.edge.of_run import ask_of_run, run_id_of
from services.edge.parameters import AsOf, InvalidParameter, MinEventPosition, ProjectReference, RunId, moment_of
from services.runtime.questions import Shown

_PAGE_SIZE, _LIMIT, _MOST = 100, 100, 1_000
_MEDIA = ("application/json", "text/plain", "text/event-stream")

_Page = Annotated[
    int | None,
    QueryParameter(name="page", description="Page from 1; with `page_size`, not with `offset`, `limit`, `tail`", ge=1),
]
_PageSize = Annotated[
    int | None, QueryParameter(name="page_size", description="Entries of a page, 100 by default", ge=1, le=500)
]
_Offset = Annotated[
    int | None,
    QueryParameter(
        name="offset",
        description="Entries to leave out from the beginning; with `limit`, not with `page`, `tail`",
        ge=0,
        le=2**53,
    ),
]
_Limit = Annotated[int | None, QueryParameter(name="limit", description="Most entries, 100 by default", ge=1, le=_MOST)]
_Tail = Annotated[
    int | None,
    QueryParameter(
        name="tail",
        description="The last so many entries; as text and live: begins with them",
        ge=1,
        le=_MOST,
    ),
]
_Level = Annotated[LogLevel | None, QueryParameter(name="level", description="Only entries of this level")]
_Stream = Annotated[
    LogStream | None,
    QueryParameter(name="stream", description="Only what was printed there, or what the ledger itself says"),
]
_Text = Annotated[
    str | None,
    QueryParameter(
        name="q", description="Only entries with this text in them, in any case", min_length=1, max_length=1_000
    ),
]
_StartTime = Annotated[
    str | None,
    QueryParameter(name="start_time", description="Only entries of this ISO 8601 time or later (UTC without a zone)"),
]
_EndTime = Annotated[
    str | None, QueryParameter(name="end_time", description="Only entries of this ISO 8601 time or earlier")
]
_LastEventId = Annotated[
    str | None,
    HeaderParameter(name="Last-Event-ID", description="Live only: continues behind the entry of that id"),
]


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """Which part of a log, in numbers as they were given."""

    page: int | None
    page_size: int | None
    offset: int | None
    limit: int | None
    tail: int | None

    def check(self, media: Literal["json", "stream"]) -> None:
        """Pages, slices and tails are three ways to ask; a stream has no pages and no slices."""
        pages = self._given("page", "page_size")
        slices = self._given("offset", "limit")
        tails = self._given("tail")
        if media == "stream" and (pages or slices):
            raise _not_with(
                (pages or slices)[0], "文本与实时日志不分页", "the log as text and live has no pages and no slices"
            )
        if sum(map(bool, (pages, slices, tails))) > 1:
            raise _not_with(
                (tails or slices)[0],
                "page/page_size、offset/limit、tail 三者只能选一",
                "page and page_size, offset and limit, tail: one of the three",
            )

    def _given(self, *names: str) -> list[str]:
        return [name for name in names if getattr(self, name) is not None]


@get(
    "/projects/{project_reference:str}/runs/{run_id:str}/logs",
    operation_id="getRunLogs",
    summary="The log of a run: by pages, by slices, as text, or live",
    description="By `page` and `page_size`, by `offset` and `limit`, or by `tail`: one of the three; `level`, "
    "`stream`, `q`, `start_time` and `end_time` choose entries in each. `Accept: text/plain` answers with the whole "
    "log as text, `Accept: text/event-stream` follows it live: an event for each entry, whose id `Last-Event-ID` goes "
    "on from, an event `notice` for what will stand behind the output, then an event `end` once the run has ended and "
    "everything was sent.",
    tags=["runs"],
    response_headers=[EVENT_POSITION],
    responses={204: ResponseSpec(None, generate_examples=False, description="Live only: everything was sent before")}
    | problems(*OF_READS, "project_not_found", "run_not_found"),
)
async def get_run_logs(
    request: AnyRequest,
    project_reference: ProjectReference,
    run_id: RunId,
    page: _Page = None,
    page_size: _PageSize = None,
    offset: _Offset = None,
    limit: _Limit = None,
    tail: _Tail = None,
    level: _Level = None,
    stream: _Stream = None,
    q: _Text = None,
    start_time: _StartTime = None,
    end_time: _EndTime = None,
    last_event_id: _LastEventId = None,
    as_of: AsOf = None,
    min_event_position: MinEventPosition = None,
) -> Response[LogPage | LogSlice]:
    edge = edge_of(request)
    asked = Asked(page=page, page_size=page_size, offset=offset, limit=limit, tail=tail)
    wanted = _wanted(level, stream, q, start_time, end_time)
    media = preferred(request.headers.get("accept", "*/*"), _MEDIA)
    asked.check("json" if media == _MEDIA[0] else "stream")
    if media == "text/event-stream" and as_of is not None:
        raise _not_with("as_of", "实时日志没有过去", "what is live is not part of the past")
    cut = await edge.past.cut(as_of, min_event_position)
    run = run_id_of(run_id)
    if media == "text/plain":
        return await _text(request, edge, project_reference, run, wanted, tail, cut)
    if media == "text/event-stream":
        return await _live(request, edge, project_reference, run, wanted, tail, last_event_id)
    shown = await ask_of_run(
        edge, project_reference, run, lambda connection: _json(connection, run, asked, wanted, cut), cut
    )
    return show_as(shown.answer, shown, cut, Vary="Accept")


ROUTES: list[Any] = [get_run_logs]


def _json(connection: Connection, run_id: UUID, asked: Asked, wanted: Wanted, cut: Cut) -> bytes:
    log = _log(connection, run_id, cut)
    if asked.tail is not None:
        part = log.tail(wanted, asked.tail)
        return msgspec.json.encode(_slice(run_id, part, asked.tail))
    if asked.offset is not None or asked.limit is not None:
        limit = asked.limit or _LIMIT
        return msgspec.json.encode(_slice(run_id, log.part(wanted, skip=asked.offset or 0, limit=limit), limit))
    page, size = asked.page or 1, asked.page_size or _PAGE_SIZE
    part = log.part(wanted, skip=(page - 1) * size, limit=size)
    view = LogPage(run_id=run_id, total=part.total, page=page, page_size=size, entries=_entries(part))
    return msgspec.json.encode(view)


def _slice(run_id: UUID, part: LogPart, limit: int) -> LogSlice:
    return LogSlice(run_id=run_id, total=part.total, offset=part.offset, limit=limit, entries=_entries(part))


def _entries(part: LogPart) -> tuple[RunLogEntry, ...]:
    found: list[LogEntry | Line] = [*part.before, *part.lines, *part.after]
    return tuple(_entry(entry, number) for number, entry in enumerate(found, part.offset))


def _entry(entry: LogEntry | Line, offset: int) -> RunLogEntry:
    if isinstance(entry, LogEntry):
        return RunLogEntry(
            timestamp=entry.timestamp, level=entry.level, message=entry.message, offset=offset, stream="ledger"
        )
    return RunLogEntry(
        timestamp=naive_iso(from_column(entry.time)),
        level=entry.level,
        message=entry.message,
        offset=offset,
        stream=entry.stream,
        attempt=entry.attempt,
        byte_offset=entry.stream_offset,
    )


async def _text(
    request: AnyRequest, edge: Edge, project: str, run: UUID, wanted: Wanted, tail: int | None, cut: Cut
) -> Response[Any]:
    shown = await _ends(edge, project, run, wanted, tail, cut)
    place, until = shown.answer
    position = shown.position if cut.position is None else cut.position
    headers = {"Event-Position": str(position), "Vary": "Accept"}
    media = "text/plain"
    if asked_of(request).head:
        return Response(b"", headers=headers, media_type=media)
    return Stream(as_text(edge, run, wanted, place, until, cut), headers=headers, media_type=media)


async def _live(
    request: AnyRequest, edge: Edge, project: str, run: UUID, wanted: Wanted, tail: int | None, last: str | None
) -> Response[Any]:
    shown = await _ends(edge, project, run, wanted, tail, NOW)
    place = shown.answer[0]
    if last == END:
        return Response(None, status_code=204)  # which tells a browser not to come again
    if last:
        place = place_of(last)
    # Proxies are asked not to hold events back.
    headers = {
        "Event-Position": str(shown.position),
        "Vary": "Accept",
        "Cache-Control": "no-cache",
        "X-Accel-Buffering": "no",
    }
    if asked_of(request).head:
        return Response(b"", headers=headers, media_type="text/event-stream")
    return Stream(as_events(edge, run, wanted, place), headers=headers, media_type="text/event-stream")


async def _ends(
    edge: Edge, project: str, run: UUID, wanted: Wanted, tail: int | None, cut: Cut
) -> Shown[tuple[Place, Place]]:
    """Behind which place to begin, and the last place there is now."""

    def find(connection: Connection) -> tuple[Place, Place]:
        log = _log(connection, run, cut)
        return BEGINNING if tail is None else log.place_before_tail(wanted, tail), log.last_place()

    return await ask_of_run(edge, project, run, find, cut)


def _log(connection: Connection, run_id: UUID, cut: Cut) -> LogOfRun:
    log = log_of_run(connection, run_id, cut)
    assert log is not None, "ask_of_run has seen it in the same transaction"
    return log


def _wanted(
    level: LogLevel | None, stream: LogStream | None, text: str | None, start_time: str | None, end_time: str | None
) -> Wanted:
    start, end = _moment("start_time", start_time), _moment("end_time", end_time)
    if start is not None and end is not None and start > end:
        raise InvalidParameter("end_time", "早于 start_time", "it is earlier than start_time")
    return Wanted(level=level, stream=stream, text=text, start=start, end=end)


def _moment(name: str, text: str | None) -> datetime | None:
    if text is None:
        return None
    if (moment := moment_of(text.strip())) is not None:
        return moment
    raise InvalidParameter(name, "须为 ISO 8601 时间", "it must be an ISO 8601 time")


def _not_with(name: str, zh: str, en: str) -> InvalidParameter:
    return InvalidParameter(name, zh, en)
