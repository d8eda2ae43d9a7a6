"""Publishes what a run prints, once: the last message of its subject is the committed position in its output."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path
from uuid import UUID

import msgspec
import nats.errors
import nats.js.errors
from nats.js import JetStreamContext

from contracts import subjects
from contracts.telemetry import Ends, TelemetryBatch
from events.log.streams import TELEMETRY
from services.runtime.ending import answered

_log = logging.getLogger(__name__)
_decode = msgspec.json.Decoder(TelemetryBatch).decode
_ANSWER_TIMEOUT = 5.0
_LONGEST_PAUSE = 5.0


class Committed(msgspec.Struct, frozen=True):
    """All is published up to `ends`; `sequence` is the stream position of the batch that says so, 0 for none.

    `step` and `total_steps` are what a parser has to know to go on from there.
    """

    sequence: int = 0
    ends: Ends = Ends()
    step: int | None = None
    total_steps: int | None = None

    @property
    def end(self) -> int:
        return self.ends.output


class Encoded(msgspec.Struct, frozen=True):
    """A batch as it is sent, and what will be committed by it."""

    ends: Ends
    step: int | None
    total_steps: int | None
    payload: bytes


class Moved(Exception):
    """Somebody else published for this attempt; the output has to be read again from the committed position."""


class Publisher:
    """Publishes the batches of one attempt in order. Waits while the server is away; at most one call at a time.

    `note` is a file that repeats the position: the stream forgets messages after days, a quiet run may last longer.
    """

    def __init__(self, js: JetStreamContext, run_id: UUID, attempt: int, note: Path) -> None:
        self._js = js
        self._subject = subjects.telemetry(run_id, attempt)
        self._note = note
        self._expected = 0
        self.committed = Committed()

    async def recover(self) -> Committed:
        """Finds where an earlier supervisor of the attempt stopped."""
        pause = 0.1
        last: Committed | None = None
        while last is None:
            try:
                last = await self._last()
            except nats.errors.Error as error:
                pause = await self._wait(error, pause)
        noted = await asyncio.to_thread(self._read_note)
        self._expected = last.sequence
        self.committed = last if last.end >= noted.end else noted
        return self.committed

    async def publish(self, batch: Encoded) -> None:
        """Raises Moved where another supervisor was faster; the position is then what that one left."""
        headers = {"Nats-Expected-Last-Subject-Sequence": str(self._expected)}
        pause = 0.1
        while True:
            try:
                ack = await answered(
                    self._js.publish(self._subject, batch.payload, timeout=_ANSWER_TIMEOUT, headers=headers)
                )
            except nats.errors.Error as error:
                # It may have landed all the same, or may still land: only the subject's last message knows. What is
                # sent again carries the same expectation, so one of the two is refused.
                try:
                    last = await self._last()
                except nats.errors.Error as again:
                    pause = await self._wait(again, pause)
                    continue
                if last.sequence == self._expected:
                    pause = await self._wait(error, pause)
                    continue
            else:
                self._commit(Committed(ack.seq, batch.ends, batch.step, batch.total_steps))
                return
            self._commit(last)
            if last.ends != batch.ends:
                raise Moved
            return

    async def write_note(self) -> None:
        await asyncio.to_thread(self._write_note, self.committed)

    def _commit(self, committed: Committed) -> None:
        self._expected = committed.sequence
        self.committed = committed

    async def _last(self) -> Committed:
        # Not a direct get: a replica may not have the newest message yet.
        try:
            message = await answered(self._js.get_last_msg(TELEMETRY, self._subject))
        except nats.js.errors.NotFoundError:
            return Committed()
        assert message.seq is not None
        batch = _decode(message.data or b"")
        return Committed(message.seq, batch.ends or Ends(stdout=batch.end), batch.step, batch.total_steps)

    async def _wait(self, error: Exception, pause: float) -> float:
        if isinstance(error, nats.errors.ConnectionClosedError):
            raise error
        _log.warning("telemetry of %s has to wait: %s", self._subject, error)
        await asyncio.sleep(pause)
        return min(2 * pause, _LONGEST_PAUSE)

    def _read_note(self) -> Committed:
        try:
            return msgspec.json.decode(self._note.read_bytes(), type=Committed)
        except FileNotFoundError:
            return Committed()

    def _write_note(self, committed: Committed) -> None:
        draft = self._note.with_name(f".{self._note.name}")
        draft.write_text(json.dumps(msgspec.to_builtins(committed)))
        draft.rename(self._note)
