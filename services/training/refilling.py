"""Reads the kept raw output of an ended run again and publishes it, so that rows which were lost come back."""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import msgspec
import nats.errors
from nats.aio.client import Client

from contracts import subjects
from contracts.files import LONGEST_PIECE
from contracts.problems import Refused
from contracts.telemetry import Ends, Refill, TelemetryBatch
from events.event import Recorded
from events.log import EventLog, LogUnavailable
from events.runs import RunArtifactRecorded, RunCanceled, RunCompleted, RunFact, RunFailed
from services.runtime.nodes.files import NodeFiles
from services.training.merging import Files, Merger

_CHUNK = 16 * 1024  # bytes parsed at once: even the shortest lines of so many make no batch that NATS would refuse
_ANSWER = 5.0

_encode = msgspec.json.Encoder().encode


class CannotRefill(Exception):
    """There is nothing to fill the rows from; the text is one sentence for the user."""


class Refilled(msgspec.Struct, frozen=True):
    """How many lines were read again, and the position in TELEMETRY of the last batch, 0 without output."""

    lines: int
    position: int


class _File(msgspec.Struct, frozen=True):
    """A raw file as the ledger has it on record."""

    artifact_id: UUID
    size: int
    sha256: str


class _Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What the ledger has on record of what an attempt said."""

    node: str
    attempt: int
    stdout: _File | None
    stderr: _File | None
    order: _File | None
    trainer_log: _File | None
    ended_at: datetime
    position: int

    @property
    def total(self) -> int:
        return sum(file.size for file in (self.stdout, self.stderr) if file)


async def refill(nc: Client, log: EventLog, files: NodeFiles, run_id: UUID) -> Refilled:
    """Asks the run's node for its raw files, compares their hashes with those on record, and publishes what they say.

    The projector adds the rows that are missing and leaves the others, so that this may be repeated. Raises
    CannotRefill, Refused (run_not_found, node_unreachable) and LogUnavailable.
    """
    kept = _kept(run_id, await log.read(RunFact.context, run_id))
    if kept is None:
        return Refilled(0, 0)
    stored_at = (await log.stored_at(kept.position) or kept.ended_at).timestamp()
    js = nc.jetstream(timeout=_ANSWER)
    with tempfile.TemporaryDirectory() as directory:
        stdout, stderr, order, trainer_log = (
            Path(directory) / name for name in ("stdout", "stderr", "order", "trainer_log")
        )
        for file, copy in (
            (kept.stdout, stdout),
            (kept.stderr, stderr),
            (kept.order, order),
            (kept.trainer_log, trainer_log),
        ):
            if file is not None:
                await _fetch(files, run_id, kept.node, file, copy)
        batches = _batches(Files(stdout, stderr, order, (trainer_log,)), run_id, kept, stored_at)
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
    fact = end.fact
    assert isinstance(fact, RunCompleted | RunFailed | RunCanceled)
    if fact.output_bytes == 0 and fact.stderr_bytes == 0:
        return None
    if (fact.output_bytes and fact.output_sha256 is None) or (fact.stderr_bytes and fact.stderr_sha256 is None):
        raise CannotRefill("The run ended without its output having been kept.")
    node = ""
    found: dict[str, _File] = {}
    for entry in recorded:
        node = getattr(entry.fact, "node", node)
        match entry.fact:
            case RunArtifactRecorded(artifact_id=artifact_id, size=size, sha256=str(sha256)):
                file = _File(artifact_id, size, sha256)
                if entry.fact.type == "log" and sha256 == fact.output_sha256 and "stdout" not in found:
                    found["stdout"] = file
                elif entry.fact.type == "log" and sha256 == fact.stderr_sha256:
                    found["stderr"] = file
                elif entry.fact.type in ("log_order", "metrics"):
                    found[entry.fact.type] = file
    if (fact.output_bytes and "stdout" not in found) or (fact.stderr_bytes and "stderr" not in found):
        raise CannotRefill("The run's output was not recorded as an artifact.")
    return _Kept(
        node=node,
        attempt=fact.attempt,
        stdout=found.get("stdout"),
        stderr=found.get("stderr"),
        order=found.get("log_order"),
        trainer_log=found.get("metrics"),
        ended_at=end.meta.time.astimezone(UTC),
        position=end.meta.position,
    )


async def _fetch(files: NodeFiles, run_id: UUID, node: str, file: _File, copy: Path) -> None:
    digest = hashlib.sha256()
    position = 0
    with copy.open("wb") as target:
        while position < file.size:
            length = min(LONGEST_PIECE, file.size - position)
            piece = await files.piece(node, run_id, file.artifact_id, position, length)
            if piece.answer.status != "ok" or not piece.data:
                raise CannotRefill(f"The node {node} cannot give the output: it is {_said(piece.answer.status)}.")
            await asyncio.to_thread(target.write, piece.data)
            await asyncio.to_thread(digest.update, piece.data)
            position += len(piece.data)
    if digest.hexdigest() != file.sha256:
        raise CannotRefill("The output that the node has kept does not have the SHA-256 on record.")


def _said(status: str) -> str:
    return {"ok": "shorter than recorded", "outside": "outside of the node's directories"}.get(status, status)


def _batches(copies: Files, run_id: UUID, kept: _Kept, stored_at: float) -> Iterator[TelemetryBatch]:
    time = kept.ended_at.timestamp()  # the output does not say when a line was printed
    mark = Refill(total=kept.total, stored_at=stored_at)
    merger = Merger(copies, Ends())
    ending = False
    while True:
        merged = merger.finish(time) if ending else merger.read(_CHUNK, time)
        if merged.end.output > merged.start.output or merged.points:
            yield TelemetryBatch(
                run_id=run_id,
                attempt=kept.attempt,
                start=merged.start.output,
                end=merged.end.output,
                lines=merged.lines,
                points=merged.points,
                progress=merged.progress,
                step=merged.step,
                total_steps=merged.total_steps,
                refill=mark,
                ends=merged.end,
            )
        if ending:
            return
        if not merged.size:
            ending = not merger.unnoted()
            if not ending:
                merger.note()
