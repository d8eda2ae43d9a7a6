"""Requests to JetStream over one reply inbox of our own: acknowledgements, stored messages, streams and consumers."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Any

import msgspec
import nats.errors
from nats.aio.client import Client
from nats.aio.subscription import Subscription

from events.log import LogReplaced
from events.log.connection import Connection, Delivery, Publication, Receiver, receive
from events.log.headers import HEADER_LINE, HeaderBlock
from events.log.messages import Stored

NO_MESSAGE_FOUND = 10037
STREAM_NOT_FOUND = 10059
NOBODY = "503"  # is subscribed to the subject

_encode = msgspec.json.Encoder().encode


class ApiError(msgspec.Struct, frozen=True):
    """`code` is an HTTP-like class, `err_code` says what it was."""

    code: int = 0
    err_code: int = 0
    description: str = ""


class Ack(msgspec.Struct, frozen=True):
    """The answer to a publish: `seq` of the last message stored, or an error and nothing stored."""

    seq: int = 0
    duplicate: bool = False
    error: ApiError | None = None


class StreamState(msgspec.Struct, frozen=True):
    last_seq: int = 0


class StreamSettings(msgspec.Struct, frozen=True):
    num_replicas: int = 1
    metadata: dict[str, str] | None = None


class StreamInfo(msgspec.Struct, frozen=True):
    created: str
    state: StreamState
    config: StreamSettings


class _Answer(msgspec.Struct, frozen=True):
    error: ApiError | None = None


class _StoredMessage(msgspec.Struct, frozen=True):
    subject: str
    seq: int
    time: str
    hdrs: bytes = b""
    data: bytes = b""


class _StoredAnswer(msgspec.Struct, frozen=True):
    message: _StoredMessage


_decode_ack = msgspec.json.Decoder(Ack).decode
_decode_answer = msgspec.json.Decoder(_Answer).decode
_decode_stored = msgspec.json.Decoder(_StoredAnswer).decode
_decode_info = msgspec.json.Decoder(StreamInfo).decode


class NoAnswer(Exception):
    """Nothing came back in time, or there was no connection: whether the request was carried out is not known."""


class Refusal(Exception):
    """JetStream answered with an error: nothing was done."""

    def __init__(self, error: ApiError) -> None:
        self.error = error
        super().__init__(f"{error.description} ({error.err_code})")


class Wire:
    """`timeout` is how long, in seconds, one answer is waited for."""

    def __init__(self, nc: Client, timeout: float) -> None:
        self.nc = nc
        self.timeout = timeout
        self._receivers: dict[str, Receiver] = {}
        self._inbox = nc.new_inbox()
        self._count = 0
        self._opening: asyncio.Task[Any] | None = None

    def expect(self, receiver: Receiver) -> str:
        """A reply subject whose messages go to `receiver`, until `forget`."""
        self._count += 1
        reply = f"{self._inbox}.{self._count}"
        self._receivers[reply] = receiver
        return reply

    def forget(self, reply: str) -> None:
        self._receivers.pop(reply, None)

    async def open(self) -> None:
        """Subscribes, once; every request needs it."""
        if self._opening is None:
            self._opening = asyncio.create_task(self.receive(f"{self._inbox}.*", self._on_reply))
        try:
            await asyncio.shield(self._opening)
        except NoAnswer:
            self._opening = None
            raise

    async def receive(self, subject: str, receiver: Receiver) -> Subscription:
        """NoAnswer: the connection is closed."""
        try:
            if isinstance(self.nc, Connection):
                return await self.nc.receive(subject, receiver)
            return await receive(self.nc, subject, receiver)
        except nats.errors.Error as error:
            raise NoAnswer(str(error)) from error

    def _on_reply(self, delivery: Delivery) -> None:
        if (receiver := self._receivers.get(delivery.subject)) is not None:
            receiver(delivery)

    async def publish(self, subject: str, body: bytes, reply: str = "", headers: dict[str, str] | None = None) -> None:
        """NoAnswer: there is no connection, and nothing was buffered that could be sent later."""
        if not self.nc.is_connected:
            raise NoAnswer("not connected")
        try:
            await self.nc.publish(subject, body, reply, headers)
        except (nats.errors.Error, OSError) as error:
            raise NoAnswer(str(error)) from error

    async def publish_all(self, messages: Sequence[Publication]) -> None:
        """One after the other, as `publish` does."""
        if not self.nc.is_connected:
            raise NoAnswer("not connected")
        if not isinstance(self.nc, Connection):
            for message in messages:
                await self.publish(message.subject, message.body, message.reply, dict(message.headers))
            return
        try:
            await self.nc.publish_all(messages)
        except (nats.errors.Error, OSError) as error:
            raise NoAnswer(str(error)) from error

    async def request(self, subject: str, body: bytes = b"", headers: dict[str, str] | None = None) -> bytes:
        """The body of the answer. NoAnswer, Refusal."""
        await self.open()
        answer: asyncio.Future[Delivery] = asyncio.get_running_loop().create_future()
        reply = self.expect(lambda delivery: None if answer.done() else answer.set_result(delivery))
        try:
            await self.publish(subject, body, reply, headers)
            return (await self.answered(answer)).body
        finally:
            self.forget(reply)

    async def ask_all(self, batches: Sequence[Sequence[Publication]]) -> list[bytes | None]:
        """Publishes everything in one piece; what the last message of each batch was answered, none where nobody did.

        NoAnswer: nothing was sent.
        """
        answers: list[bytes | None] = [None] * len(batches)
        missing = len(batches)
        complete: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def on_answer(index: int, delivery: Delivery) -> None:
            nonlocal missing
            missing -= 1
            self.forget(delivery.subject)
            if delivery.status != NOBODY:
                answers[index] = delivery.body
            if not missing and not complete.done():
                complete.set_result(None)

        replies = [self.expect(partial(on_answer, index)) for index in range(len(batches))]
        messages: list[Publication] = []
        for batch, reply in zip(batches, replies, strict=True):
            messages += batch[:-1]
            messages.append(msgspec.structs.replace(batch[-1], reply=reply))
        try:
            await self.publish_all(messages)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.timeout):
                    await complete
        finally:
            for reply in replies:
                self.forget(reply)
        return answers

    async def answered(self, answer: asyncio.Future[Delivery]) -> Delivery:
        try:
            async with asyncio.timeout(self.timeout):
                delivery = await answer
        except TimeoutError as error:
            raise NoAnswer(f"no answer in {self.timeout} s") from error
        if delivery.status == NOBODY:
            raise NoAnswer("nobody answers for this stream")
        return delivery

    async def api(self, name: str, question: object = None) -> bytes:
        """An answer of JetStream's API, errors raised as Refusal."""
        body = await self.request(f"$JS.API.{name}", b"" if question is None else _encode(question))
        if (error := _decode_answer(body).error) is not None:
            raise Refusal(error)
        return body

    async def stream_info(self, stream: str) -> StreamInfo:
        """LogReplaced: there is no such stream. NoAnswer, Refusal."""
        try:
            return _decode_info(await self.api(f"STREAM.INFO.{stream}"))
        except Refusal as refusal:
            if refusal.error.err_code == STREAM_NOT_FOUND:
                raise LogReplaced(f"there is no stream {stream}") from refusal
            raise

    async def next_of_subject(self, stream: str, subject: str, position: int) -> Stored | None:
        """The first message of a subject at or after a position, as the stream's leader has it."""
        return await self._stored(stream, {"seq": position, "next_by_subj": subject})

    async def last_of_subject(self, stream: str, subject: str) -> Stored | None:
        """The last message of a subject, as the stream's leader has it."""
        return await self._stored(stream, {"last_by_subj": subject})

    async def _stored(self, stream: str, question: dict[str, object]) -> Stored | None:
        try:
            body = await self.api(f"STREAM.MSG.GET.{stream}", question)
        except Refusal as refusal:
            if refusal.error.err_code == NO_MESSAGE_FOUND:
                return None
            raise
        found = _decode_stored(body).message
        headers = HeaderBlock(found.hdrs[len(HEADER_LINE) :])
        return Stored(found.seq, found.subject, headers, found.data, _moment(found.time))

    async def direct_get(self, stream: str, question: dict[str, object]) -> tuple[list[Stored], int]:
        """A batch of stored messages and how many more there are. NoAnswer, also when the batch broke off.

        `question` needs a `batch`; any replica may answer.
        """
        await self.open()
        found: list[Stored] = []
        ended: asyncio.Future[Delivery] = asyncio.get_running_loop().create_future()

        def on_message(delivery: Delivery) -> None:
            if delivery.status is None:
                headers = delivery.headers
                found.append(
                    Stored(
                        int(headers["Nats-Sequence"]),
                        headers["Nats-Subject"],
                        headers,
                        delivery.body,
                        _moment(headers["Nats-Time-Stamp"]),
                    )
                )
            elif not ended.done():
                ended.set_result(delivery)

        reply = self.expect(on_message)
        try:
            await self.publish(f"$JS.API.DIRECT.GET.{stream}", _encode(question), reply)
            end = await self.answered(ended)
        finally:
            self.forget(reply)
        headers = end.headers
        match end.status:
            case "204":
                if found and int(headers["Nats-Last-Sequence"]) != found[-1].position:
                    raise NoAnswer("a part of the batch was lost")
                return found, int(headers["Nats-Num-Pending"])
            case "404":
                return [], 0
            case status:
                raise Refusal(ApiError(int(status or 0), 0, headers.get("Description", "")))


def decode_ack(body: bytes) -> Ack:
    return _decode_ack(body)


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
