"""A deployment's log as it flows out of its node: a piece, the whole as text, and live as server-sent events."""

from __future__ import annotations

import asyncio
import codecs
from collections.abc import AsyncGenerator
from uuid import UUID

import msgspec

from contracts.deployments import DeploymentInfo, LogAnswer, LogPiece, LogQuestion
from contracts.files import LONGEST_PIECE
from contracts.problems import Refused
from services.edge.context import Edge

_LOOK = 0.5  # seconds between two looks for more
_HEARTBEAT = 15.0  # seconds of silence, then a comment: proxies cut what is silent
END = "end"

_encode = msgspec.json.Encoder().encode


async def piece(edge: Edge, view: DeploymentInfo, offset: int, length: int) -> LogPiece:
    """Raises Refused where the node does not answer or there is no log."""
    answer, data = await edge.deployments.log(
        view, LogQuestion(deployment_id=view.deployment_id, offset=offset, length=length)
    )
    return _piece(view.deployment_id, answer, data)


async def start_of_tail(edge: Edge, view: DeploymentInfo, lines: int) -> int:
    """The byte where the last `lines` lines begin. Raises Refused as `piece`."""
    answer, _ = await edge.deployments.log(view, LogQuestion(deployment_id=view.deployment_id, lines=lines))
    return answer.offset


async def as_text(edge: Edge, view: DeploymentInfo, offset: int, until: int) -> AsyncGenerator[bytes, None]:
    """The bytes from `offset` up to, not including, `until`."""
    while offset < until:
        question = LogQuestion(
            deployment_id=view.deployment_id, offset=offset, length=min(until - offset, LONGEST_PIECE)
        )
        answer, data = await edge.deployments.log(view, question)
        if not data or answer.offset >= until:  # what was there is kept no longer
            return
        yield data[: until - answer.offset]
        offset = answer.offset + len(data)


async def as_events(edge: Edge, view: DeploymentInfo, offset: int) -> AsyncGenerator[bytes, None]:
    """What was printed from byte `offset` on, and what comes, until the deployment has ended."""
    clock = asyncio.get_running_loop().time
    yield b"retry: 1000\n\n"
    spoken = clock()
    while not edge.live.closing:
        ended = await _ended(edge, view.deployment_id)
        try:
            found = await piece(edge, view, offset, LONGEST_PIECE)
        except Refused as refused:
            if refused.status != 503 and ended is not None:
                yield _end(ended)
                return
            found = None
        if found is not None and found.content:
            offset = found.next_offset
            yield f"id: {offset}\ndata: ".encode() + _encode(found) + b"\n\n"
            spoken = clock()
            continue
        if ended is not None and found is not None:
            yield _end(ended)
            return
        if clock() - spoken >= _HEARTBEAT:
            yield b": alive\n\n"
            spoken = clock()
        await asyncio.sleep(_LOOK)


async def _ended(edge: Edge, deployment_id: UUID) -> str | None:
    """Its status where nothing more will be printed; looked at before the log is read."""
    try:
        view = (await edge.deployments.on_record(deployment_id)).answer
    except Refused:  # the database is away
        return None
    return view.status if view is not None and view.status in ("stopped", "failed") else None


def _end(status: str) -> bytes:
    return f"id: {END}\nevent: {END}\ndata: ".encode() + _encode({"status": status}) + b"\n\n"


def _piece(deployment_id: UUID, answer: LogAnswer, data: bytes) -> LogPiece:
    """A character that is cut off at the end is left for the next piece."""
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    content = decoder.decode(data)
    left = len(decoder.getstate()[0])
    if not content and left:
        content, left = data.decode(errors="replace"), 0
    return LogPiece(
        deployment_id=deployment_id,
        offset=answer.offset,
        next_offset=answer.offset + len(data) - left,
        size=max(answer.size, answer.offset + len(data)),
        content=content,
    )
