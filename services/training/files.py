"""Gives, for this node, what was recorded as an artifact of a run, to whoever asks on the bus."""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path
from uuid import UUID

import msgspec
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from contracts import subjects
from contracts.files import ANSWER, LONGEST_PIECE, FileAnswer, FileQuestion
from events.log import EventLog, LogUnavailable
from events.runs import RunArtifactRecorded, RunFact
from services.runtime.nodes.pieces import read_piece

_log = logging.getLogger(__name__)
_decode = msgspec.json.Decoder(FileQuestion).decode
_MOST_REMEMBERED = 1_000


class Files:
    """`root` is the training directory, `runs` that of the runs' own; nothing outside of them is given."""

    def __init__(self, log: EventLog, root: Path, runs: Path) -> None:
        self._log = log
        self._root = root
        self._runs = runs
        self._paths: dict[tuple[UUID, UUID], str] = {}  # facts do not change, so they are asked for once

    async def answer(self, question: FileQuestion, most: int = LONGEST_PIECE) -> tuple[FileAnswer, bytes]:
        """At most `most` bytes. Raises LogUnavailable."""
        path = await self._path(question.run_id, question.artifact_id)
        if path is None:
            return FileAnswer(status="unknown"), b""
        return await asyncio.to_thread(self._read, question, path, min(question.length, most, LONGEST_PIECE))

    async def _path(self, run_id: UUID, artifact_id: UUID) -> str | None:
        key = (run_id, artifact_id)
        if key not in self._paths:
            for recorded in await self._log.read(RunFact.context, run_id):
                if isinstance(recorded.fact, RunArtifactRecorded) and recorded.fact.artifact_id == artifact_id:
                    while len(self._paths) >= _MOST_REMEMBERED:
                        del self._paths[next(iter(self._paths))]
                    self._paths[key] = recorded.fact.path
        return self._paths.get(key)

    def _read(self, question: FileQuestion, path: str, length: int) -> tuple[FileAnswer, bytes]:
        try:
            real = Path(os.path.realpath(path))
            inside = (self._root, self._runs / str(question.run_id))
            if not any(real.is_relative_to(os.path.realpath(directory)) for directory in inside):
                return FileAnswer(status="outside"), b""
        except (OSError, ValueError):
            return FileAnswer(status="unreadable"), b""
        return read_piece(real, question.offset, length)


async def answer_file_questions(nc: Client, node: str, files: Files) -> Subscription:
    """Subscribes; unsubscribing ends it. One question after the other, so a slow disk holds up no more than itself."""

    async def on_question(message: Msg) -> None:
        try:
            answer, data = await files.answer(_decode(message.data), nc.max_payload // 2)
        except msgspec.DecodeError:
            return
        except LogUnavailable as error:
            _log.warning("a question for a file stays without an answer: %s", error)
            return
        reply = msgspec.json.encode(answer).decode()
        await nc.publish(message.reply, data, headers={ANSWER: reply})

    return await nc.subscribe(subjects.node_files(node), cb=on_question)
