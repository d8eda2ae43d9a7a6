"""Gives pieces of stored files to whoever asks on the bus, such as the node that trains on them."""

from __future__ import annotations

import asyncio

import msgspec
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from contracts import subjects
from contracts.files import ANSWER, FileAnswer, StoredFileQuestion
from services.runtime.nodes.pieces import read_piece
from services.runtime.storage import Storage, Unsafe

_decode = msgspec.json.Decoder(StoredFileQuestion).decode


def answer(storage: Storage, question: StoredFileQuestion, most: int) -> tuple[FileAnswer, bytes]:
    """At most `most` bytes. Synchronous."""
    try:
        path = storage.path(question.stored_name)
    except Unsafe:
        return FileAnswer(status="unknown"), b""
    return read_piece(path, question.offset, min(question.length, most))


async def answer_stored_file_questions(nc: Client, storage: Storage) -> Subscription:
    """Subscribes; unsubscribing ends it. One question after the other, so a slow disk holds up no more than itself.

    Of several services on one storage one answers.
    """

    async def on_question(message: Msg) -> None:
        try:
            question = _decode(message.data)
        except msgspec.DecodeError:
            return
        if not message.reply:
            return
        told, data = await asyncio.to_thread(answer, storage, question, nc.max_payload // 2)
        await nc.publish(message.reply, data, headers={ANSWER: msgspec.json.encode(told).decode()})

    return await nc.subscribe(subjects.STORED_FILES, queue="storage", cb=on_question)
