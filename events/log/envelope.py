"""Facts as CloudEvents 1.0 in NATS binary mode: attributes in `ce-` headers, the fact as JSON in the body."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec

from events.catalogue import FACTS
from events.event import Event, Meta, Origin, Recorded
from events.log import UnreadableFact, subjects
from events.log.headers import HeaderBlock
from events.log.messages import Outgoing, Stored
from events.upcasting import UPCASTS, Body, Upcast, upcast

CONTENT_TYPE = "application/json"
SOURCE = "/trainledger"

_text = msgspec.to_builtins  # of an id or a moment (RFC 3339): many times as fast as their own methods
_encode_json = msgspec.json.Encoder().encode
_decode_body = msgspec.json.Decoder(dict[str, Any]).decode
_FACT_DECODERS = {kind: msgspec.json.Decoder(kind).decode for kind in FACTS.values()}

# Values of attributes as the HTTP binding encodes them: all but printable ASCII, and blank, quote and percent sign.
_UNSAFE = re.compile(r"[^!#$&-~]+")
_ENCODED = re.compile(r"(?:%[0-9A-Fa-f]{2})+")


class _Headers(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    id: UUID = msgspec.field(name="ce-id")
    type: str = msgspec.field(name="ce-type")
    time: Annotated[datetime, msgspec.Meta(tz=True)] = msgspec.field(name="ce-time")
    version: int = msgspec.field(name="ce-aggregateversion")
    revision: int = msgspec.field(name="ce-revision", default=1)
    actor: str = msgspec.field(name="ce-actor")
    command_id: UUID = msgspec.field(name="ce-commandid")
    correlation_id: str | None = msgspec.field(name="ce-correlationid", default=None)
    causation_id: str | None = msgspec.field(name="ce-causationid", default=None)
    traceparent: str | None = msgspec.field(name="ce-traceparent", default=None)


class _Written(_Headers, frozen=True, array_like=True, gc=False):
    """The same, from values in this order."""


# Headers as `encode` writes them, and what JetStream's own are after them: several times as fast as to read any.
_WRITTEN = re.compile(
    r"ce-specversion: 1\.0\r\nce-id: (V)\r\nce-type: (V)\r\nce-source: V\r\nce-subject: V\r\nce-time: (V)\r\n"
    r"ce-datacontenttype: V\r\ncontent-type: V\r\nce-aggregateversion: (V)\r\nce-revision: (V)\r\nce-actor: (V)\r\n"
    r"ce-commandid: (V)\r\n(?:ce-correlationid: (V)\r\n)?(?:ce-causationid: (V)\r\n)?(?:ce-traceparent: (V)\r\n)?"
    r"(?:Nats-[^\r]+\r\n)*\r\n".replace("V", "[!-~]+")
)


def percent_encode(value: str) -> str:
    """A header value that holds any text, by the rule of the CloudEvents HTTP binding. ValueError: a lone surrogate."""
    if _UNSAFE.search(value) is None:
        return value
    return _UNSAFE.sub(lambda unsafe: "".join(f"%{byte:02X}" for byte in unsafe[0].encode()), value)


def percent_decode(value: str) -> str:
    """ValueError: the encoded bytes are not UTF-8."""
    if "%" not in value:
        return value
    return _ENCODED.sub(lambda encoded: bytes.fromhex(encoded[0].replace("%", "")).decode(), value)


def encode(
    fact: Event, *, event_id: UUID, context: str, aggregate_id: UUID, version: int, time: datetime, origin: Origin
) -> Outgoing:
    """ValueError: a time without zone, or a text that is no Unicode."""
    if time.tzinfo is None:
        raise ValueError("the time of a fact needs a zone")
    aggregate, event, command = map(_text, (aggregate_id, event_id, origin.command_id))
    headers = {
        "ce-specversion": "1.0",
        "ce-id": event,
        "ce-type": type(fact).__name__,
        "ce-source": f"{SOURCE}/{context}",
        "ce-subject": aggregate,
        "ce-time": _text(time.astimezone(UTC)),
        # Drafts of the NATS binding say `ce-datacontenttype`, HTTP's says `content-type`; readers look for either.
        "ce-datacontenttype": CONTENT_TYPE,
        "content-type": CONTENT_TYPE,
        "ce-aggregateversion": str(version),
        "ce-revision": str(type(fact).revision),
        "ce-actor": percent_encode(origin.actor),
        "ce-commandid": command,
    }
    if origin.correlation_id is not None:
        headers["ce-correlationid"] = percent_encode(origin.correlation_id)
    if origin.causation_id is not None:
        headers["ce-causationid"] = percent_encode(origin.causation_id)
    if origin.traceparent is not None:
        headers["ce-traceparent"] = percent_encode(origin.traceparent)
    return Outgoing(f"events.{context}.{aggregate}", event, headers, _encode_json(fact))


def decode(
    stored: Stored,
    facts: dict[str, type[Event]] = FACTS,
    upcasts: dict[tuple[str, int], Upcast] = UPCASTS,
) -> Recorded:
    """Today's fact, whatever release wrote it. UnreadableFact: this release cannot read it."""
    try:
        context, aggregate_id = subjects.parse(stored.subject)
        headers = _read(stored.headers)
        kind = facts.get(headers.type)
        if kind is None:
            raise UnreadableFact(headers.type, stored.position, "no fact of this name is known")
        fact = _decode_fact(kind, headers.revision, stored.body, upcasts)
        origin = Origin(
            actor=percent_decode(headers.actor),
            command_id=headers.command_id,
            correlation_id=None if headers.correlation_id is None else percent_decode(headers.correlation_id),
            causation_id=None if headers.causation_id is None else percent_decode(headers.causation_id),
            traceparent=None if headers.traceparent is None else percent_decode(headers.traceparent),
        )
    except ValueError as error:  # msgspec's errors are ValueErrors too
        raise UnreadableFact(stored.headers.get("ce-type", "?"), stored.position, str(error)) from error
    meta = Meta(
        id=headers.id,
        context=context,
        aggregate_id=aggregate_id,
        version=headers.version,
        position=stored.position,
        time=headers.time,
        origin=origin,
        stored_at=stored.stored_at,
    )
    return Recorded(fact, meta)


def _read(headers: Mapping[str, str]) -> _Headers:
    if type(headers) is HeaderBlock and (written := _WRITTEN.fullmatch(headers.raw.decode("latin-1"))) is not None:
        try:
            return msgspec.convert(written.groups(), _Written, strict=False)
        except msgspec.ValidationError:
            pass  # the next line says which of them is wrong
    return msgspec.convert(dict(headers), _Headers, strict=False)


def _decode_fact(kind: type[Event], revision: int, body: bytes, upcasts: dict[tuple[str, int], Upcast]) -> Event:
    if revision == kind.revision:
        decoder = _FACT_DECODERS.get(kind)
        return msgspec.json.decode(body, type=kind) if decoder is None else decoder(body)
    if revision > kind.revision:
        raise ValueError(f"it has revision {revision}, this release knows up to {kind.revision}")
    old: Body = _decode_body(body)
    try:
        return msgspec.convert(upcast(kind, revision, old, upcasts), kind)
    except LookupError as error:
        raise ValueError(f"there is no upcast {error} on the way from revision {revision}") from error
