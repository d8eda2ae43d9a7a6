"""Uploaded files, read piece by piece from whoever holds the store."""

from __future__ import annotations

import msgspec
import nats.errors
from nats.aio.client import Client

from contracts import subjects
from contracts.files import ANSWER, LONGEST_PIECE, FileAnswer, StoredFileQuestion
from contracts.problems import Refused
from services.runtime.nodes.files import Piece

_decode = msgspec.json.Decoder(FileAnswer).decode


class StoredFiles:
    """`timeout` bounds the wait for one piece (seconds)."""

    def __init__(self, nc: Client, *, timeout: float = 5.0) -> None:
        self._nc = nc
        self._timeout = timeout

    async def piece(self, stored_name: str, offset: int, length: int) -> Piece:
        """Raises Refused (storage_unreachable)."""
        question = StoredFileQuestion(stored_name=stored_name, offset=offset, length=min(length, LONGEST_PIECE))
        try:
            reply = await self._nc.request(subjects.STORED_FILES, msgspec.json.encode(question), timeout=self._timeout)
        except nats.errors.Error as error:  # nobody listens, no answer in time, no connection
            raise Refused("storage_unreachable") from error
        return Piece(_decode((reply.headers or {})[ANSWER]), reply.data)
