"""Reads the kept raw output of an ended run again and publishes it, so that rows which were lost come back."""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import IO
from uuid import UUID

import msgspec
import nats.errors
from nats.aio.client import Client

from contracts import subjects
from contracts.files import LONGEST_PIECE
from contracts.problems import Refused
from contracts.telemetry import Refill, TelemetryBatch
from events.event import Recorded
from events.log import EventLog, LogUnavailable
from events.runs import RunArtifactRecorded, RunCanceled, RunCompleted, RunFact, RunFailed
from services.runtime.node_files import NodeFiles
from services.training.parsers import OutputParser

_CHUNK = 16 * 1024  # bytes parsed at once: even the shortest lines of so many make no batch that NATS would refuse
_ANSWER = 5.0

_encode = msgspec.json.Encoder().encode


class CannotRefill(Exception):
    """There is nothing to fill the rows from; the text is one sentence for the user."""


class Refilled(msgspec.Struct, frozen=True):
    """How many lines were read again, and the position in TELEMETRY of the last batch, 0 without output."""

    lines: int
    position: int


class _Kept(msgspec.Struct, frozen=True):
    """What the ledger has on record of the raw output."""

    node: str
    artifact_id: UUID
    attempt: int
    size: int
    sha256: str
    ended_at: datetime
    position: int


async def refill(nc: Client, log: EventLog, files: NodeFiles, run_id: UUID) -> Refilled:
    """Asks the run's node for its output, compares the hash with that on record, and publishes what it says.

    The projector adds the rows that are missing and leaves the others, so that this may be repeated. Raises
    CannotRefill, Refused (run_not_found, node_unreachable) and LogUnavailable.
    """
    kept = _kept(run_id, await log.read(RunFact.context, run_id))
    if kept is None:
        return Refilled(0, 0)
    stored_at = await log.stored_at(kept.position) or kept.ended_at
    mark = Refill(total=kept.size, stored_at=stored_at.timestamp())
    js = nc.jetstream(timeout=_ANSWER)
    with tempfile.TemporaryFile() as copy:
        await _fetch(files, run_id, kept, copy)
        batches = _batches(copy, run_id, kept, mark)
        lines = position = 0
        while (batch := await asyncio.to_thread(next, batches, None)) is not None:
            try:
                ack = await js.publish(subjects.refill(run_id, kept.attempt), _encode(batch))
            except nats.errors.Error as error:
                raise LogUnavailable(f"the stream of telemetry does not answer: {error!r}") from error
            lines, position = lines + len(batch.lines), ack.seq
    return Refilled(lines, position)


def _kept(run_id: UUID, recorded: list[Recorded]) -> _Kept | None:
    if not recorded:
        raise Refused("run_not_found", run_id=run_id)
    end = next((entry for entry in recorded if isinstance(entry.fact, RunCompleted | RunFailed | RunCanceled)), None)
    if end is None:
        raise CannotRefill("The run has not ended; its rows are being filled as it prints.")
    assert isinstance(end.fact, RunCompleted | RunFailed | RunCanceled)
    if end.fact.output_bytes == 0:
        return None
    if end.fact.output_sha256 is None:
        raise CannotRefill("The run ended without its output having been kept.")
    node = ""
    for entry in recorded:
        node = getattr(entry.fact, "node", node)
        match entry.fact:
            case RunArtifactRecorded(type="log", sha256=sha256, artifact_id=artifact_id) if (
                sha256 == end.fact.output_sha256
            ):
                return _Kept(
                    node=node,
                    artifact_id=artifact_id,
                    attempt=end.fact.attempt,
                    size=end.fact.output_bytes,
                    sha256=end.fact.output_sha256,
                    ended_at=end.meta.time.astimezone(UTC),
                    position=end.meta.position,
                )
    raise CannotRefill("The run's output was not recorded as an artifact.")


async def _fetch(files: NodeFiles, run_id: UUID, kept: _Kept, copy: IO[bytes]) -> None:
    digest = hashlib.sha256()
    position = 0
    while position < kept.size:
        length = min(LONGEST_PIECE, kept.size - position)
        piece = await files.piece(kept.node, run_id, kept.artifact_id, position, length)
        if piece.answer.status != "ok" or not piece.data:
            raise CannotRefill(f"The node {kept.node} cannot give the output: it is {_said(piece.answer.status)}.")
        await asyncio.to_thread(copy.write, piece.data)
        await asyncio.to_thread(digest.update, piece.data)
        position += len(piece.data)
    if digest.hexdigest() != kept.sha256:
        raise CannotRefill("The output that the node has kept does not have the SHA-256 on record.")


def _said(status: str) -> str:
    return {"ok": "shorter than recorded", "outside": "outside of the node's directories"}.get(status, status)


def _batches(copy: IO[bytes], run_id: UUID, kept: _Kept, mark: Refill) -> Iterator[TelemetryBatch]:
    copy.seek(0)
    time = kept.ended_at.timestamp()  # the output does not say when a line was printed
    parser = OutputParser()
    while True:
        data = copy.read(_CHUNK)
        parsed = parser.feed(data, time) if data else parser.finish(time)
        if parsed.end > parsed.start:
            yield TelemetryBatch(
                run_id=run_id,
                attempt=kept.attempt,
                start=parsed.start,
                end=parsed.end,
                lines=parsed.lines,
                points=parsed.points,
                progress=parsed.progress,
                step=parsed.step,
                total_steps=parsed.total_steps,
                refill=mark,
            )
        if not data:
            return
