"""Telemetry as it comes from its stream."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncGenerator
from typing import NamedTuple

import msgspec
from nats.aio.client import Client

from contracts.telemetry import TelemetryBatch
from events.log.follow import follow
from events.log.messages import Stored
from events.log.streams import TELEMETRY
from events.log.wire import Wire
from projections.telemetry import StoredTelemetry

_log = logging.getLogger(__name__)

_AT_ONCE = 8  # messages; each may hold thousands of lines

_decode = msgspec.json.Decoder(TelemetryBatch).decode


class Extent(NamedTuple):
    """Positions of the oldest and the newest message a stream holds; `first` is `last` + 1 where it is empty."""

    first: int
    last: int


class TelemetryStream:
    """The stream TELEMETRY. `nc` stays the caller's. `answer_timeout`: seconds for one answer of the server."""

    def __init__(self, nc: Client, *, answer_timeout: float = 3.0) -> None:
        self._wire = Wire(nc, answer_timeout)
        self._jetstream = nc.jetstream(timeout=answer_timeout)

    async def follow(self, after: int) -> AsyncGenerator[list[StoredTelemetry], None]:
        """Batches of everything above position `after` that is still held, in order, for ever. LogReplaced."""
        async with contextlib.aclosing(follow(self._wire, TELEMETRY, after, (), most=_AT_ONCE)) as batches:
            async for batch in batches:
                yield [_read(stored) for stored in batch]

    async def extent(self) -> Extent:
        """Raises what nats-py raises where the server does not answer or has no such stream."""
        state = (await self._jetstream.stream_info(TELEMETRY)).state
        return Extent(state.first_seq, state.last_seq)


def _read(stored: Stored) -> StoredTelemetry:
    try:
        batch = _decode(stored.body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        # Nothing is lost that the raw file does not hold, and what follows must not wait for it.
        _log.exception("telemetry at position %d (%s) cannot be read and is left out", stored.position, stored.subject)
        batch = None
    return StoredTelemetry(stored.position, stored.stored_at, batch)
