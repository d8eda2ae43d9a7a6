"""Following a stream by pull: every message above a position once and in order, over any number of lost connections."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Sequence
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import nats.errors
from nats.aio.subscription import Subscription

from events.log import LogReplaced, LogUnavailable
from events.log.connection import Delivery
from events.log.messages import Stored
from events.log.wire import STREAM_NOT_FOUND, NoAnswer, Refusal, Wire

_BATCH = 1_000
_HEARTBEAT = 1.0  # seconds between signs of life while there is nothing new
_SILENCE = 2.5 * _HEARTBEAT
_GLANCE = 0.5  # seconds between looks at whether the connection is still the same
_INACTIVE = 60.0  # seconds after which the server forgets a consumer that nobody asks
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


async def follow(
    wire: Wire, stream: str, after: int, subjects: Sequence[str], *, most: int = _BATCH
) -> AsyncGenerator[list[Stored], None]:
    """Batches of all messages of these subjects above position `after`, for ever; `most` are asked for at once.

    LogReplaced: the stream is gone or is not the one that was followed. LogUnavailable: the connection was closed.
    """
    created: str | None = None
    pause = _FIRST_PAUSE
    while True:
        consumer = _Consumer(wire, stream, subjects, most)
        try:
            info = await wire.stream_info(stream)
            if (created is not None and info.created != created) or info.state.last_seq < after:
                raise LogReplaced(f"stream {stream} is not the one that was followed up to position {after}")
            created = info.created
            await consumer.create(after)
            async with contextlib.aclosing(consumer.batches()) as batches:
                async for batch in batches:
                    after = batch[-1].position
                    pause = _FIRST_PAUSE
                    yield batch
        except (NoAnswer, Refusal) as error:
            if wire.nc.is_closed:
                raise LogUnavailable("the connection is closed") from error
        finally:
            await consumer.delete()
        await asyncio.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)


class _Consumer:
    """One ephemeral pull consumer; it lives until anything is unclear, then another continues where this one ended."""

    def __init__(self, wire: Wire, stream: str, subjects: Sequence[str], most: int) -> None:
        self._wire = wire
        self._stream = stream
        self._subjects = subjects
        self._most = most
        self._name = uuid4().hex
        self._arrived: list[Delivery] = []
        self._wake = asyncio.Event()
        self._asked = False
        self._trouble: str | None = None
        self._delivered = self._left = 0
        self._inbox = wire.nc.new_inbox()
        self._subscription: Subscription | None = None

    async def create(self, after: int) -> None:
        # Deliveries keep the subject of the message, so only a subscription of its own tells them apart.
        self._subscription = await self._wire.receive(self._inbox, self._on_message)
        config: dict[str, object] = {
            "name": self._name,
            "deliver_policy": "by_start_sequence",
            "opt_start_seq": after + 1,
            "ack_policy": "none",
            "replay_policy": "instant",
            "inactive_threshold": int(_INACTIVE * 1e9),
            "mem_storage": True,
            "num_replicas": 1,
        }
        if self._subjects:
            config["filter_subjects"] = list(self._subjects)
        question = {"stream_name": self._stream, "config": config, "action": "create"}
        try:
            await self._wire.api(f"CONSUMER.CREATE.{self._stream}.{self._name}", question)
        except Refusal as refusal:
            if refusal.error.err_code == STREAM_NOT_FOUND:
                raise LogReplaced(f"there is no stream {self._stream}") from refusal
            raise

    async def delete(self) -> None:
        """Tells the server, without waiting: it would forget the consumer by itself, only later."""
        if self._subscription is None:
            return
        with contextlib.suppress(NoAnswer, nats.errors.Error):
            await self._subscription.unsubscribe()
            await self._wire.publish(f"$JS.API.CONSUMER.DELETE.{self._stream}.{self._name}", b"")

    async def batches(self) -> AsyncGenerator[list[Stored], None]:
        """Ends by NoAnswer as soon as it is unclear whether the next message would be the next."""
        reconnects = self._wire.nc.stats["reconnects"]
        heard = asyncio.get_running_loop().time()
        await self._ask()
        while True:
            if not self._arrived:
                if self._trouble is not None:
                    raise NoAnswer(self._trouble)
                if self._wire.nc.stats["reconnects"] != reconnects:
                    raise NoAnswer("the connection was lost")
                if not self._asked:
                    await self._ask()
                self._wake.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_GLANCE):
                        await self._wake.wait()
                        heard = asyncio.get_running_loop().time()
                if asyncio.get_running_loop().time() - heard > _SILENCE:
                    raise NoAnswer("the consumer is silent")
                continue
            arrived, self._arrived = self._arrived, []
            batch = self._checked(arrived)
            if not self._asked and self._trouble is None:
                await self._ask()  # the next ones travel while these are worked on
            if batch:
                yield batch
                heard = asyncio.get_running_loop().time()

    async def _ask(self) -> None:
        self._asked, self._left = True, self._most
        request = f'{{"batch":{self._most},"expires":30000000000,"idle_heartbeat":{int(_HEARTBEAT * 1e9)}}}'
        await self._wire.publish(
            f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{self._name}", request.encode(), self._inbox
        )

    def _on_message(self, delivery: Delivery) -> None:
        status = delivery.status
        if status is None:
            self._arrived.append(delivery)
            self._left -= 1
            if self._left == 0:
                self._asked = False
        elif status == "408":  # what was asked for has expired
            self._asked = False
        elif status != "100":
            self._trouble = f"the consumer ended: {status} {delivery.headers.get('Description', '')}"
        self._wake.set()

    def _checked(self, arrived: list[Delivery]) -> list[Stored]:
        """What follows without a gap; the consumer numbers its deliveries, so one that was lost shows."""
        batch: list[Stored] = []
        for delivery in arrived:
            # $JS.ACK.[<domain>.<account>.]<stream>.<consumer>.<tries>.<position>.<number>.<nanoseconds>.<pending>
            tokens = delivery.reply.split(".")
            if len(tokens) > 9:
                tokens = tokens[2:]
            position, number, nanoseconds = int(tokens[5]), int(tokens[6]), int(tokens[7])
            if number != self._delivered + 1:
                self._trouble = "a delivery was lost"
                break
            self._delivered = number
            stored_at = _EPOCH + timedelta(microseconds=nanoseconds // 1_000)
            batch.append(Stored(position, delivery.subject, delivery.headers, delivery.body, stored_at))
        return batch
