"""Appends that wait together go as one atomic batch; a lost acknowledgement is settled by reading back.

Every write carries the position of its subject's last message (`Nats-Expected-Last-Subject-Sequence`), so of any number
of copies of a write at most one is ever stored, whichever arrives first and however late. Sending again is therefore
always safe, and one read tells what became of a write: the first message of the subject above the expected position is
ours (same event id), somebody else's, or not there yet. `Nats-Msg-Id` would add nothing to that but a table in the
server's memory and, on a retry, an answer that is called success although nothing was appended; it is not sent.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from uuid import uuid4

import msgspec

from events.log import Conflict, LogUnavailable, Undecided
from events.log.connection import Publication
from events.log.messages import Write
from events.log.wire import Ack, NoAnswer, Refusal, Wire, decode_ack

MOST_IN_BATCH = 1_000  # the server's own limit
_MOST_IN_GROUP = 500
_MOST_BYTES_IN_GROUP = 1 << 20
# An atomic batch costs the server several syncs whatever its size: below this, as many single appends are faster.
_FEWEST_IN_BATCH = 12
_GROUPS_IN_FLIGHT = 1

_WRONG_LAST_SEQUENCE = 10071
_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 0.5


class _Append(msgspec.Struct, eq=False):
    """One caller's writes. `uncertain`: it was sent and not answered, so a copy of it may still arrive.

    `deadline`, by the clock of the loop: nobody waits longer for it.
    """

    writes: tuple[Write, ...]
    landed: asyncio.Future[int]
    size: int
    length: int
    deadline: float
    uncertain: bool = False
    decided: bool = False


class GroupCommit:
    """`patience`: seconds until an append that cannot be sent or settled is given up."""

    def __init__(self, wire: Wire, stream: str, patience: float) -> None:
        self._wire = wire
        self._stream = stream
        self._patience = patience
        self._ready: deque[_Append] = deque()
        # Subjects that somebody ahead is writing to, and who waits behind: two writes of one never share a group.
        self._held: dict[str, list[_Append]] = {}
        self._sending: set[asyncio.Task[None]] = set()
        self._scheduled = False

    async def append(self, writes: tuple[Write, ...]) -> int:
        """Stores all messages or none, and returns the position of the first; the others follow without a gap.

        At most MOST_IN_BATCH messages, one write a subject. Conflict; LogUnavailable: nothing was stored, nor will be;
        Undecided. A caller that stops waiting leaves its append undecided for itself, and everybody else's as it was.
        """
        size = sum(len(message.body) for write in writes for message in write.messages)
        length = sum(len(write.messages) for write in writes)
        loop = asyncio.get_running_loop()
        landed: asyncio.Future[int] = loop.create_future()
        self._enqueue(_Append(writes, landed, size, length, loop.time() + self._patience))
        return await landed

    def _enqueue(self, append: _Append) -> None:
        for write in append.writes:
            if (behind := self._held.get(write.subject)) is not None:
                behind.append(append)
                return
        for write in append.writes:
            self._held[write.subject] = []
        self._ready.append(append)
        if not self._scheduled and len(self._sending) < _GROUPS_IN_FLIGHT:
            # at the end of this turn of the loop, so that everything which is ready in it goes together
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._dispatch)

    def _dispatch(self) -> None:
        self._scheduled = False
        while self._ready and len(self._sending) < _GROUPS_IN_FLIGHT:
            if group := self._next_group():
                task = asyncio.create_task(self._commit(group))
                self._sending.add(task)
                task.add_done_callback(self._sent)

    def _next_group(self) -> list[_Append]:
        group: list[_Append] = []
        length = size = 0
        now = asyncio.get_running_loop().time()
        while self._ready:
            append = self._ready[0]
            if group and (length + append.length > _MOST_IN_GROUP or size + append.size > _MOST_BYTES_IN_GROUP):
                break
            self._ready.popleft()
            if append.landed.cancelled():
                self._release(append, {})
                continue
            if append.deadline < now:
                self._refuse(append, LogUnavailable("the log did not take the append in time"), {})
                continue
            group.append(append)
            length += append.length
            size += append.size
        return group

    def _sent(self, task: asyncio.Task[None]) -> None:
        self._sending.discard(task)
        self._dispatch()

    def _release(self, append: _Append, last: dict[str, int]) -> None:
        """Lets those behind go on, or tells them at once that they lost: `last` are positions known of subjects."""
        append.decided = True
        for write in append.writes:
            for behind in self._held.pop(write.subject):
                if any(last.get(its.subject, 0) > its.expected for its in behind.writes):
                    _fail(behind, Conflict(f"{write.subject} has moved on"))
                elif not behind.landed.done():
                    self._enqueue(behind)

    def _succeed(self, append: _Append, first: int) -> None:
        if not append.landed.done():
            append.landed.set_result(first)
        last, position = {}, first - 1
        for write in append.writes:
            position += len(write.messages)
            last[write.subject] = position
        self._release(append, last)

    def _refuse(self, append: _Append, error: Exception, last: dict[str, int]) -> None:
        _fail(append, error)
        self._release(append, last)

    async def _commit(self, group: list[_Append]) -> None:
        """Sends, and settles what was not acknowledged, until every member of the group is decided."""
        try:
            await self._try_until_decided(group)
        except Exception as error:
            for append in group:
                if not append.decided:
                    self._refuse(append, error, {})
            raise

    async def _try_until_decided(self, group: list[_Append]) -> None:
        loop = asyncio.get_running_loop()
        deadline = max(append.deadline for append in group)
        undecided, together, pause = group, True, _FIRST_PAUSE
        while undecided and loop.time() < deadline and not self._wire.nc.is_closed:
            tried = len(undecided)
            if self._wire.nc.is_connected:
                alone = not together or tried == 1
                undecided = await self._settle(undecided, await self._send(undecided, alone), alone)
                # What a group was refused for, and reading back did not show, shows when its members go one by one.
                together = any(append.uncertain for append in undecided)
            if len(undecided) == tried:
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
        for append in undecided:
            error = Undecided if append.uncertain else LogUnavailable
            self._refuse(append, error("the log did not say in time what became of the append"), {})

    async def _send(self, appends: Sequence[_Append], alone: bool) -> Sequence[Ack | None]:
        """The answer to each, none where none came."""
        if alone or sum(append.length for append in appends) < _FEWEST_IN_BATCH:
            return await self._publish([(append,) for append in appends])
        [answer] = await self._publish([appends])
        if answer is None or answer.error is not None or answer.duplicate:
            return [answer] * len(appends)
        answers, last = [], answer.seq - sum(append.length for append in appends)
        for append in appends:
            last += append.length
            answers.append(Ack(seq=last))
        return answers

    async def _publish(self, batches: Sequence[Sequence[_Append]]) -> list[Ack | None]:
        """Sends all in one piece, each batch to be stored whole or not at all; the answer to each."""
        try:
            await self._wire.open()
            answers = await self._wire.ask_all([_publications(batch) for batch in batches])
        except NoAnswer:
            return [None] * len(batches)
        return [None if answer is None else decode_ack(answer) for answer in answers]

    async def _settle(self, appends: Sequence[_Append], answers: Sequence[Ack | None], alone: bool) -> list[_Append]:
        """Decides what can be decided and returns the rest."""
        doubtful: list[tuple[_Append, Ack | None]] = []
        for append, answer in zip(appends, answers, strict=True):
            if answer is not None and answer.error is None and not answer.duplicate:
                self._succeed(append, answer.seq - append.length + 1)
            else:
                doubtful.append((append, answer))
        if not doubtful:
            return []
        undecided = []
        looks = await asyncio.gather(*(self._look(append) for append, _ in doubtful))
        for (append, answer), look in zip(doubtful, looks, strict=True):
            append.uncertain |= answer is None
            error = None if answer is None else answer.error
            if look is None:
                undecided.append(append)
            elif look.landed:
                self._succeed(append, look.landed)
            elif look.overtaken:
                self._refuse(append, Conflict("somebody else appended since it was read"), look.overtaken)
            elif error is None or append.uncertain or not alone:
                undecided.append(append)
            elif error.err_code == _WRONG_LAST_SEQUENCE:
                self._refuse(append, Conflict("the log has less than was read"), {})
            elif error.code < 500:
                self._refuse(append, LogUnavailable(f"the append was refused: {error.description}"), {})
            else:
                undecided.append(append)
        return undecided

    async def _look(self, append: _Append) -> _Look | None:
        """What the log has instead of, or of, an append; none where it does not answer."""
        overtaken: dict[str, int] = {}
        for write in append.writes:
            try:
                found = await self._wire.next_of_subject(self._stream, write.subject, write.expected + 1)
            except (NoAnswer, Refusal):
                return None
            if found is None:
                continue
            # All or none: the first message tells of them all, and positions of one append follow each other.
            if write is append.writes[0] and found.headers.get("ce-id") == write.messages[0].id:
                return _Look(landed=found.position)
            overtaken[write.subject] = found.position
        return _Look(overtaken=overtaken)


class _Look(msgspec.Struct, frozen=True, kw_only=True):
    """`landed`: the position of its first message, 0 if it is not there; `overtaken`: who stands in its place."""

    landed: int = 0
    overtaken: dict[str, int] = {}


def _publications(appends: Sequence[_Append]) -> list[Publication]:
    """One message, or an atomic batch of several, whose last one is answered."""
    total = sum(append.length for append in appends)
    batch = uuid4().hex if total > 1 else ""
    messages: list[Publication] = []
    for append in appends:
        for write in append.writes:
            expected: int | None = write.expected
            for message in write.messages:
                headers = message.headers.copy()
                if expected is not None:  # inside a batch it is asked of a subject's first message only
                    headers["Nats-Expected-Last-Subject-Sequence"] = str(expected)
                    expected = None
                if total > 1:
                    headers["Nats-Batch-Id"] = batch
                    headers["Nats-Batch-Sequence"] = str(len(messages) + 1)
                    if len(messages) + 1 == total:
                        headers["Nats-Batch-Commit"] = "1"
                messages.append(Publication(message.subject, "", headers, message.body))
    return messages


def _fail(append: _Append, error: Exception) -> None:
    if not append.landed.done():
        append.landed.set_exception(error)
        append.landed.exception()  # told; whoever stopped waiting at this moment leaves no warning behind
