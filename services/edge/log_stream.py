"""A run's log as it flows out: as plain text, and live as server-sent events."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Iterator
from json.encoder import encode_basestring
from uuid import UUID

import msgspec
from sqlalchemy import Connection

from contracts.problems import Refused
from contracts.run_views import StreamedEntry
from contracts.runs import LogEntry
from events.runs import RunStatus
from projections.queries.cut import NOW, Cut
from projections.queries.run_output import LogContinued, Place, log_of_run, texts, timed
from projections.queries.wanted_lines import Wanted
from services.edge.context import Edge
from services.edge.parameters import InvalidParameter

_LINES = 4_000  # in one transaction, and in memory for one client
_HEARTBEAT = 15.0  # seconds of silence, then a comment: proxies cut what is silent
_LOOK = 2.0  # seconds; a signal may be lost with the connection that it would have come by
_GATHER = 0.05  # seconds in which lines come together before they are read
_PAUSE = 1.0  # seconds until a database that is away is asked again

_ID = re.compile(r"([012])-(\d{1,9})-(\d{1,18})", re.ASCII)
END = "end"

_encode = msgspec.json.Encoder().encode
_quoted = encode_basestring  # a JSON string


class Chunk(msgspec.Struct, frozen=True):
    """What goes out, and from where it goes on; `status` where the run has ended and this is all of its log.

    `notices` are what will stand behind the output once the run has ended.
    """

    body: bytes
    place: Place
    more: bool
    status: RunStatus | None
    notices: tuple[LogEntry, ...] = ()


def event_id(place: Place) -> str:
    return f"{place.phase}-{place.attempt}-{place.at}"


def place_of(event_id: str) -> Place:
    """Raises Refused for what this service never gave as an id."""
    found = _ID.fullmatch(event_id)
    if found is None:
        raise InvalidParameter("Last-Event-ID", "不是本服务给出的编号", "it is not an id that this service gave")
    return Place(int(found[1]), int(found[2]), int(found[3]))


async def as_text(
    edge: Edge, run_id: UUID, wanted: Wanted, place: Place, until: Place, cut: Cut
) -> AsyncGenerator[bytes, None]:
    """The log behind `place`, up to `until` at least: a run that goes on does not make it endless."""

    def read(connection: Connection) -> Chunk:
        log = log_of_run(connection, run_id, cut)
        assert log is not None
        found = log.continued(place, wanted, _LINES)
        body = "".join(f"{text}\n" for text in texts(found)).encode()
        return Chunk(body, found.place, found.more, None)

    while True:
        chunk = (await edge.reads.ask(read)).answer
        if chunk.body:
            yield chunk.body
        place = chunk.place
        if not chunk.more or place >= until:
            return


async def as_events(edge: Edge, run_id: UUID, wanted: Wanted, place: Place) -> AsyncGenerator[bytes, None]:
    """Every entry behind `place` as an event, and those that come, until the run has ended.

    What will stand behind the output, such as that processes outlive their killing, is shown when it happens as an
    event `notice` without an id, and stands in its place at the end.
    Nothing is kept for a client but its place: a slow one reads what was stored meanwhile.
    """

    def read(connection: Connection) -> Chunk:
        log = log_of_run(connection, run_id, NOW)
        assert log is not None
        found = log.continued(place, wanted, _LINES)
        ended = found.status in ("completed", "failed", "canceled") and not found.more
        status = found.status if ended else None
        notices = tuple(wanted.of(log.notices()))
        return Chunk("".join(_events(found)).encode(), found.place, found.more, status, notices)

    noticed: set[LogEntry] = set()
    clock = asyncio.get_running_loop().time
    yield b"retry: 1000\n\n"
    spoken = clock()
    with edge.live.following(run_id) as woken:
        while not edge.live.closing:
            woken.clear()
            try:
                chunk = (await edge.reads.ask(read)).answer
            except Refused:  # the database is away
                await _wait(woken, _PAUSE)
                continue
            place = chunk.place
            body = chunk.body + b"".join(_notice(entry) for entry in chunk.notices if entry not in noticed)
            noticed.update(chunk.notices)
            if body:
                yield body
                spoken = clock()
            if chunk.status is not None:
                yield f"id: {END}\nevent: {END}\ndata: ".encode() + _encode({"status": chunk.status}) + b"\n\n"
                return
            if chunk.more:
                continue
            if clock() - spoken >= _HEARTBEAT:
                yield b": alive\n\n"
                spoken = clock()
            await _wait(woken, _LOOK)
            await asyncio.sleep(_GATHER)


async def _wait(woken: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await woken.wait()
    except TimeoutError:
        return


def _events(found: LogContinued) -> Iterator[str]:
    for place, entry in found.before:
        yield _event(place, _of_ledger(entry))
    # A StreamedEntry as JSON, four times as fast as by its struct: a child may print 50,000 lines a second.
    for time, (attempt, offset, _, level, message, stream, at) in timed(found.lines):
        yield (
            f'id: 1-{attempt}-{offset}\ndata: {{"timestamp":"{time}","level":"{level}",'
            f'"message":{_quoted(message)},"stream":"{stream}","attempt":{attempt},"byte_offset":{at}}}\n\n'
        )
    for place, entry in found.after:
        yield _event(place, _of_ledger(entry))


def _event(place: Place, data: StreamedEntry) -> str:
    return f"id: {event_id(place)}\ndata: {_encode(data).decode()}\n\n"


def _notice(entry: LogEntry) -> bytes:
    return b"event: notice\ndata: " + _encode(_of_ledger(entry)) + b"\n\n"


def _of_ledger(entry: LogEntry) -> StreamedEntry:
    return StreamedEntry(timestamp=entry.timestamp, level=entry.level, message=entry.message, stream="ledger")
