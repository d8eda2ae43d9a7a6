"""Connections to NATS as a log wants them: they never give up, and read messages fast."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import ConnectionClosedError, MaxPayloadError, ProtocolError
from nats.protocol.parser import Parser

from events.log.headers import HEADER_LINE, HeaderBlock

_STATUS_LINE = b"NATS/1.0 "
_LINE_END = b"\r\n"
_CANCELLED_AGAIN = 0.03  # seconds; of another length than the pauses of those tasks, not to meet them at the same step
_WITH_HEADERS = b"HMSG"
_MESSAGES = (b"MSG", _WITH_HEADERS)


class Delivery(msgspec.Struct, frozen=True, gc=False):
    """A message as it arrived; `status` is the server's own, such as "404", and None for what others published."""

    subject: str
    reply: str
    headers: Mapping[str, str]
    body: bytes
    status: str | None = None


Receiver = Callable[[Delivery], None]


class Publication(msgspec.Struct, frozen=True, gc=False):
    """A message to publish; names and values of headers are printable ASCII."""

    subject: str
    reply: str
    headers: Mapping[str, str]
    body: bytes


def _frame(message: Publication) -> tuple[bytes, bytes, bytes]:
    """HPUB <subject> [reply] <bytes of the headers> <bytes in all>, the headers, and the body."""
    lines = "".join([f"{name}: {value}\r\n" for name, value in message.headers.items()])
    if lines.count("\n") != len(message.headers):
        raise ValueError("a header of more than one line")
    block = HEADER_LINE + lines.encode("ascii") + _LINE_END
    sizes = f"{len(block)} {len(block) + len(message.body)}"
    return f"HPUB {message.subject} {message.reply} {sizes}\r\n".encode() + block, message.body, _LINE_END


class _Frames(Parser):
    """Cuts what arrives into frames; gives those of a receiver to it, and all others to nats-py."""

    def __init__(self, nc: Connection) -> None:
        super().__init__(nc)
        self._connection = nc

    def reset(self) -> None:
        super().reset()
        self._pieces: list[bytes] = []
        self._missing = 0  # bytes until the frame that has begun may be complete

    async def parse(self, data: bytes = b"") -> None:
        pieces = self._pieces
        pieces.append(data)
        self._missing -= len(data)
        if self._missing > 0:
            return
        unread = b"".join(pieces)
        begin = end = 0
        while (line_end := unread.find(_LINE_END, begin)) >= 0:
            body = end = line_end + len(_LINE_END)
            receiver = None
            # [H]MSG <subject> <subscription> [reply] [bytes of the headers] <bytes in all>
            tokens = unread[begin:line_end].split()
            if tokens and tokens[0] in _MESSAGES:
                try:
                    receiver = self._connection.receivers.get(int(tokens[2]))
                    end += int(tokens[-1]) + len(_LINE_END)
                    body += int(tokens.pop(-2)) if tokens[0] == _WITH_HEADERS else 0
                except (ValueError, IndexError) as error:
                    raise ProtocolError("nats: malformed MSG") from error
                if len(unread) < end:
                    break
            if receiver is None:
                await super().parse(unread[begin:end])
                if self._pieces is not pieces:  # it was reset
                    return
            else:
                block = unread[line_end + len(_LINE_END) : body]
                reply = tokens[3].decode(errors="replace") if len(tokens) == 5 else ""
                subject, content = tokens[1].decode(errors="replace"), unread[body : end - len(_LINE_END)]
                if block.startswith(_STATUS_LINE):
                    status = await self._connection.status_headers(block)
                    receiver(Delivery(subject, reply, status, content, status.get("Status")))
                else:
                    receiver(Delivery(subject, reply, HeaderBlock(block[len(HEADER_LINE) :]), content))
            begin = end
        self._pieces = [unread[begin:]]
        self._missing = end - len(unread)


class Connection(Client):
    """A nats-py client that reads a fact in a third of the time, and writes it in a fifth.

    nats-py 2.16 tests every character of every header name in Python, most of the cost of reading a log (30 of 45 µs a
    fact), tries two regular expressions on every message, and passes each through a queue and a task. What is
    overridden here is of its inside: should a release rename it, reading is slower again and nothing else.
    """

    def __init__(self) -> None:
        super().__init__()
        self.receivers: dict[int, Receiver] = {}
        self._ps = _Frames(self)

    async def request(self, *arguments: Any, **options: Any) -> Msg:
        with cancellation_kept():
            return await super().request(*arguments, **options)

    async def flush(self, *arguments: Any, **options: Any) -> None:
        """nats-py's ping overtakes what is pending, a subscription for instance: only a second one comes after it."""
        await super().flush(*arguments, **options)
        await super().flush(*arguments, **options)

    async def receive(self, subject: str, receiver: Receiver) -> Subscription:
        """Subscribes; `receiver` is called as messages are read, and must neither block nor raise."""
        subscription = await receive(self, subject, receiver)
        self.receivers[subscription._id] = receiver
        return subscription

    async def publish_all(self, messages: Sequence[Publication]) -> None:
        """As `publish` of each, in one piece; nats-py tries an expression on every header, and writes each alone."""
        if self.is_closed:
            raise ConnectionClosedError
        frames: list[bytes] = []
        size = 0
        for message in messages:
            if len(message.body) > self._max_payload:
                raise MaxPayloadError
            frames += _frame(message)
            size += len(message.body)
        self.stats["out_msgs"] += len(messages)
        self.stats["out_bytes"] += size
        await self._send_command(b"".join(frames))
        if self._flush_queue is not None and self._flush_queue.empty():
            await self._flush_pending()

    def _remove_sub(self, sid: int, max_msgs: int = 0) -> None:
        self.receivers.pop(sid, None)
        super()._remove_sub(sid, max_msgs)

    @staticmethod
    def _parse_header_lines(raw: bytes) -> dict[str, str]:
        return dict(HeaderBlock(raw))

    async def status_headers(self, raw: bytes) -> dict[str, str]:
        """Of a block that begins with a status, which becomes the headers `Status` and `Description`."""
        return await self._process_headers(raw) or {}

    async def close(self) -> None:
        await self._stop_reconnecting()
        if not self.is_connected:
            # nats-py would write it to a socket that is gone, fail, and leave its tasks running
            self._pending, self._pending_data_size = [], 0
        await super().close()

    async def _stop_reconnecting(self) -> None:
        """Else, where it loses its cancellation, it would try for ever, on a connection that is closed."""
        task = self._reconnection_task
        if task is not None and task is not asyncio.current_task():
            await cancel_until_over(task)


async def cancel_until_over(*tasks: asyncio.Task[Any]) -> None:
    """Cancels tasks that wait by nats-py until they are over: one cancellation may be lost, see `cancellation_kept`."""
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=_CANCELLED_AGAIN)


@contextmanager
def cancellation_kept() -> Iterator[None]:
    """Around a wait of nats-py: cancels the task after all where that wait has lost its cancellation.

    nats-py waits by `asyncio.wait_for`, which in Python 3.11 returns the result where it comes together with a
    cancellation. A task group cancels once, and would then wait for ever.
    """
    task = asyncio.current_task()
    assert task is not None, "only a task can wait"
    before = task.cancelling()
    try:
        yield
    except Exception as error:
        if task.cancelling() > before:
            raise asyncio.CancelledError from error
        raise
    if task.cancelling() > before:
        raise asyncio.CancelledError


async def receive(nc: Client, subject: str, receiver: Receiver) -> Subscription:
    """Subscribes any client. No limit is set: what arrives was asked for, and dropping it means asking again."""

    async def on_message(msg: Msg) -> None:
        headers = msg.headers or {}
        receiver(Delivery(msg.subject, msg.reply, headers, msg.data, headers.get("Status")))

    return await nc.subscribe(subject, cb=on_message, pending_msgs_limit=0, pending_bytes_limit=0)


async def connect(url: str, **options: Any) -> Connection:
    """A connection that reconnects for ever, quickly; `options` are those of `nats.connect`."""
    connection = Connection()
    await connection.connect(url, **{"max_reconnect_attempts": -1, "reconnect_time_wait": 0.2} | options)
    return connection
