"""Connections to NATS as a log wants them: they never give up, and read messages fast."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

_STATUS_LINE = b"NATS/1.0 "
_PLAIN_LINE = len(b"NATS/1.0\r\n")


class Delivery(msgspec.Struct, frozen=True, gc=False):
    """A message as it arrived; `headers` hold the server's `Status` and `Description` too."""

    subject: str
    reply: str
    headers: dict[str, str]
    body: bytes


Receiver = Callable[[Delivery], None]


class Connection(Client):
    """A nats-py client that reads a fact in half the time.

    nats-py 2.16 tests every character of every header name in Python, most of the cost of reading a log (30 of 45 µs a
    fact), and passes each message through a queue and a task. What is overridden here are methods of its inside: should
    a release rename them, reading is slower again and nothing else.
    """

    def __init__(self) -> None:
        super().__init__()
        self._receivers: dict[int, Receiver] = {}

    async def request(self, *arguments: Any, **options: Any) -> Msg:
        with cancellation_kept():
            return await super().request(*arguments, **options)

    async def receive(self, subject: str, receiver: Receiver) -> Subscription:
        """Subscribes; `receiver` is called as messages are read, and must neither block nor raise."""
        subscription = await receive(self, subject, receiver)
        self._receivers[subscription._id] = receiver
        return subscription

    def _remove_sub(self, sid: int, max_msgs: int = 0) -> None:
        self._receivers.pop(sid, None)
        super()._remove_sub(sid, max_msgs)

    async def _process_msg(self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes) -> None:
        receiver = self._receivers.get(sid)
        if receiver is None:
            await super()._process_msg(sid, subject, reply, data, headers)
            return
        if not headers:
            parsed: dict[str, str] = {}
        elif headers.startswith(_STATUS_LINE):
            parsed = await self._process_headers(headers) or {}
        else:
            parsed = self._parse_header_lines(headers[_PLAIN_LINE:])
        receiver(Delivery(subject.decode(), reply.decode(), parsed, data))

    @staticmethod
    def _parse_header_lines(raw: bytes) -> dict[str, str]:
        # Only headers as facts have them, one blank after the colon and no other around; nats-py judges the rest.
        if not raw.isascii() or b"\t" in raw or b" \r\n" in raw or b":  " in raw:
            return Client._parse_header_lines(raw)
        headers: dict[str, str] = {}
        for line in raw.decode("ascii").split("\r\n"):
            name, separator, value = line.partition(": ")
            if separator and " " not in name:
                headers[name] = value
            elif line:
                return Client._parse_header_lines(raw)
        return headers

    async def close(self) -> None:
        if not self.is_connected:
            # nats-py would write it to a socket that is gone, fail, and leave its tasks running
            self._pending, self._pending_data_size = [], 0
        await super().close()


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
        receiver(Delivery(msg.subject, msg.reply, msg.headers or {}, msg.data))

    return await nc.subscribe(subject, cb=on_message, pending_msgs_limit=0, pending_bytes_limit=0)


async def connect(url: str, **options: Any) -> Connection:
    """A connection that reconnects for ever, quickly; `options` are those of `nats.connect`."""
    connection = Connection()
    await connection.connect(url, **{"max_reconnect_attempts": -1, "reconnect_time_wait": 0.2} | options)
    return connection
