"""Facts as CloudEvents, and back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import get_args
from uuid import UUID, uuid4

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from nats.aio.client import Client
from nats.protocol.parser import Parser

from events.event import Event, Origin
from events.log import UnreadableFact, subjects
from events.log.connection import Connection
from events.log.envelope import decode, encode, percent_decode, percent_encode
from events.log.headers import HeaderBlock
from events.log.messages import Outgoing, Stored
from events.projects import AnyProjectFact, ProjectArchived, ProjectRevised
from events.runs import AnyRunFact
from events.tokens import AnyTokenFact

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
# Python's and msgspec's moments both end with year 9999, whatever the zone.
MOMENTS = st.datetimes(
    min_value=datetime(1, 1, 2),  # noqa: DTZ001
    max_value=datetime(9999, 12, 30),  # noqa: DTZ001
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=8))]),
)
ORIGINS = st.builds(
    Origin,
    actor=TEXT,
    command_id=st.uuids(),
    correlation_id=st.none() | TEXT,
    causation_id=st.none() | TEXT,
    traceparent=st.none() | TEXT,
)


def _fields(kind: type[Event]) -> st.SearchStrategy[Event]:
    return st.builds(kind, **{field.name: _values(field.type) for field in msgspec.structs.fields(kind)})


def _values(annotation: object) -> st.SearchStrategy[object]:
    match annotation:
        case type() if annotation is str:
            return TEXT
        case type() if annotation is int:
            return st.integers(-(2**63), 2**63 - 1)
        case type() if annotation is float:
            return st.floats(allow_nan=False, allow_infinity=False)  # as JSON has them
        case type() if annotation is msgspec.UnsetType:
            return st.just(msgspec.UNSET)
    options = get_args(annotation)
    if getattr(annotation, "__origin__", None) is tuple:
        return st.lists(_values(options[0])).map(tuple)
    if options and not isinstance(options[0], str):
        return st.one_of([_values(option) for option in options])
    return st.from_type(annotation)  # type: ignore[arg-type]


FACTS = st.one_of([_fields(kind) for union in (AnyProjectFact, AnyRunFact, AnyTokenFact) for kind in get_args(union)])


@given(fact=FACTS, origin=ORIGINS, time=MOMENTS, event_id=st.uuids(), aggregate_id=st.uuids(), version=st.integers(1))
def test_a_fact_comes_back_as_it_went(
    fact: Event, origin: Origin, time: datetime, event_id: UUID, aggregate_id: UUID, version: int
) -> None:
    message = encode(
        fact,
        event_id=event_id,
        context=fact.context,
        aggregate_id=aggregate_id,
        version=version % 2**60 + 1,
        time=time,
        origin=origin,
    )
    over_the_wire = {name: value.encode().decode().strip() for name, value in message.headers.items()}
    assert over_the_wire == message.headers
    assert all(value.isascii() and value.isprintable() for value in message.headers.values())
    stored = Stored(17, message.subject, over_the_wire, message.body, datetime.now(UTC))
    recorded = decode(stored)
    assert recorded.fact == fact
    assert recorded.meta.origin == origin
    assert (recorded.meta.id, recorded.meta.aggregate_id) == (event_id, aggregate_id)
    assert (recorded.meta.time, recorded.meta.position) == (time, 17)
    assert (recorded.meta.context, recorded.meta.version) == (fact.context, version % 2**60 + 1)


@given(TEXT)
def test_header_values_hold_any_text(text: str) -> None:
    encoded = percent_encode(text)
    assert all(0x21 <= ord(character) <= 0x7E and character != '"' for character in encoded)
    assert percent_decode(encoded) == text


def test_header_values_as_the_http_binding_has_them() -> None:
    assert percent_encode("Euro € 😀") == "Euro%20%E2%82%AC%20%F0%9F%98%80"
    assert percent_encode('100% "x"\r\n') == "100%25%20%22x%22%0D%0A"


def test_a_lone_surrogate_is_refused() -> None:
    with pytest.raises(ValueError, match="surrogates not allowed"):
        percent_encode("a\ud800")


def test_a_time_without_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a zone"):
        encode(
            ProjectArchived(),
            event_id=uuid4(),
            context="projects",
            aggregate_id=uuid4(),
            version=1,
            time=datetime(2024, 4, 12),  # noqa: DTZ001
            origin=Origin(actor="a", command_id=uuid4()),
        )


def test_what_a_reader_without_this_code_sees() -> None:
    project, event, person, command = uuid4(), uuid4(), uuid4(), uuid4()
    message = encode(
        ProjectRevised(description="客服"),
        event_id=event,
        context="projects",
        aggregate_id=project,
        version=2,
        time=datetime(2024, 4, 12, 8, 45, 9, 192384, tzinfo=UTC),
        origin=Origin(actor=str(person), command_id=command, correlation_id="request 7"),
    )
    assert message.subject == f"events.projects.{project}"
    assert message.body.decode() == '{"description":"客服"}'
    assert message.headers == {
        "ce-specversion": "1.0",
        "ce-id": str(event),
        "ce-type": "ProjectRevised",
        "ce-source": "/trainledger/projects",
        "ce-subject": str(project),
        "ce-time": "2024-04-12T08:45:09.192384Z",
        "ce-datacontenttype": "application/json",
        "content-type": "application/json",
        "ce-aggregateversion": "2",
        "ce-revision": "1",
        "ce-actor": str(person),
        "ce-commandid": str(command),
        "ce-correlationid": "request%207",
    }


def test_fields_that_a_newer_release_added_are_no_obstacle() -> None:
    message = _archived(Origin(actor="a", command_id=uuid4()))
    stored = Stored(1, message.subject, message.headers, b'{"why":"old"}', datetime.now(UTC))
    assert decode(stored).fact == ProjectArchived()


@pytest.mark.parametrize("subject", ["events.projects", "events.projects.x", "commands.a.b", "events.a.b.c"])
def test_only_subjects_of_facts_are_parsed(subject: str) -> None:
    with pytest.raises(ValueError, match=r"events\.<context>|Invalid UUID"):
        subjects.parse(subject)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\r\n",
        b"a: 1\r\nNats-Sequence: 7\r\n\r\n",
        b"a:1\r\nb:\t2 \r\nc:   3\r\n\r\n",
        b"a: 1: 2\r\nempty: \r\nempty2:\r\nno colon\r\n\r\n",
        b"with blank: 1\r\n w: 2\r\nt\tab: 3\r\na: x\r\na: y\r\n\r\n",
        "中: 1\r\nb: 中 %20\r\n\r\n".encode(),
        b"a: \xff\r\n\r\n",
        b'a: "1"\r\nb"c: d\r\n\r\n',
        b"a: \\u0041\r\n\r\n",
        b"a: 1\x00\r\nb: \x7f\x0b1\r\n\r\n",
        b"a:b\r\nc: d: e\r\n\r\n",
        b"a: 1\r\nb: 2",
        b"a: 1\r\nb: 2\r\n",
        b"a: 1\r\nb: 2\n\r\n",
        b"a: 1\r\r\nb: 2\r\n\r\n",
        b": 1\r\na: 1\r\n\r\n",
    ],
)
def test_headers_are_read_as_nats_py_reads_them(raw: bytes) -> None:
    assert Connection._parse_header_lines(raw) == Client._parse_header_lines(raw)


def _as_it_arrives(headers: dict[str, str], more: str = "") -> HeaderBlock:
    return HeaderBlock(
        "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode() + f"{more}\r\n".encode()
    )


@pytest.mark.parametrize(
    "more",
    [
        "",
        "Nats-Batch-Id: 1 2\r\nNats-Batch-Sequence: 1\r\n",
        "ce-actor: another\r\n",
        "Nats-Batch-Id: 1\r\nce-traceparent: another\r\n",
        "x: 1\r\n",
        "no colon\r\n",
    ],
)
@settings(deadline=None, max_examples=20)
@given(origin=ORIGINS)
@example(origin=Origin(actor='服务 "1" \\', command_id=UUID(int=1), correlation_id="null", traceparent="00-1-2-01"))
@example(origin=Origin(actor="a", command_id=UUID(int=1), causation_id="7"))
def test_a_fact_is_the_same_whoever_parsed_its_headers(origin: Origin, more: str) -> None:
    message = _archived(origin)
    block, now = _as_it_arrives(message.headers, more), datetime.now(UTC)
    parsed = Client._parse_header_lines(block.raw)
    assert dict(_as_it_arrives(message.headers, more)) == parsed
    assert decode(Stored(1, message.subject, block, message.body, now)) == decode(
        Stored(1, message.subject, parsed, message.body, now)
    )


def test_headers_of_facts_are_read_without_a_text_for_each() -> None:
    origin = Origin(actor="a", command_id=uuid4(), correlation_id="b%20c", causation_id="d", traceparent="00-1-2-01")
    for some in (origin, msgspec.structs.replace(origin, causation_id=None)):
        message = _archived(some)
        block = _as_it_arrives(message.headers, "Nats-Expected-Last-Subject-Sequence: 7\r\n")
        decode(Stored(1, message.subject, block, message.body, datetime.now(UTC)))
        assert block._parsed is None


@pytest.mark.parametrize(
    ("name", "value"),
    [("ce-id", "1"), ("ce-time", "2024-04-12T08:45:09"), ("ce-aggregateversion", "x"), ("ce-revision", "null")],
)
def test_a_header_that_is_wrong_is_named(name: str, value: str) -> None:
    message = _archived(Origin(actor="a", command_id=uuid4()))
    block = _as_it_arrives(message.headers | {name: value})
    with pytest.raises(UnreadableFact, match=name):
        decode(Stored(1, message.subject, block, message.body, datetime.now(UTC)))


def _archived(origin: Origin) -> Outgoing:
    return encode(
        ProjectArchived(),
        event_id=uuid4(),
        context="projects",
        aggregate_id=uuid4(),
        version=7,
        time=datetime.now(UTC),
        origin=origin,
    )


def test_the_fast_header_reader_is_the_one_in_use() -> None:
    assert Connection._process_headers is Client._process_headers
    assert "_parse_header_lines" in vars(Client), "nats-py renamed the method that Connection makes fast"
    assert isinstance(Client()._ps, Parser), "nats-py renamed the parser that Connection replaces"
