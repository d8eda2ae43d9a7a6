"""Files of runs, read from the nodes that own them, piece by piece."""

from __future__ import annotations

from uuid import UUID

import msgspec
import nats.errors
from nats.aio.client import Client

from contracts import subjects
from contracts.files import ANSWER, LONGEST_PIECE, FileAnswer, FileQuestion
from contracts.problems import Refused

_decode = msgspec.json.Decoder(FileAnswer).decode


class Piece(msgspec.Struct, frozen=True):
    """What the node said of the file, and bytes of it; fewer than asked for at its end, or as the node likes."""

    answer: FileAnswer
    data: bytes


class NodeFiles:
    """`timeout` bounds the wait for one piece (seconds)."""

    def __init__(self, nc: Client, *, timeout: float = 5.0) -> None:
        self._nc = nc
        self._timeout = timeout

    async def piece(self, node: str, run_id: UUID, artifact_id: UUID, offset: int, length: int) -> Piece:
        """Raises Refused (node_unreachable)."""
        question = FileQuestion(
            run_id=run_id, artifact_id=artifact_id, offset=offset, length=min(length, LONGEST_PIECE)
        )
        try:
            reply = await self._nc.request(
                subjects.node_files(node), msgspec.json.encode(question), timeout=self._timeout
            )
        except nats.errors.Error as error:  # nobody listens, no answer in time, no connection
            raise Refused("node_unreachable", node=node) from error
        return Piece(_decode((reply.headers or {})[ANSWER]), reply.data)
