"""A KV bucket kept in memory: all its entries at start, and every change from then on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import aclosing

import nats.errors
import nats.js.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import api

from events.log import LogUnavailable
from services.runtime.ending import answered, end
from services.runtime.pulling import EXPIRES, pull

_BATCH = 256
_PAUSE = 0.5

_logger = logging.getLogger(__name__)

Changed = Callable[[str, bytes | None], None]


class Bucket:
    """Entries by key. Survives reconnects and restarts of the server: it then reads the bucket anew.

    `changed(key, value)` is called for each entry that appeared or changed, with none for one that went.
    """

    def __init__(self, nc: Client, name: str, changed: Changed, *, timeout: float = 5.0) -> None:
        self._nc = nc
        self._js = nc.jetstream(timeout=timeout)
        self.stream = f"KV_{name}"
        self._prefix = f"$KV.{name}."
        self._changed = changed
        self._timeout = timeout
        self._known: dict[str, int] = {}  # key -> revision
        self._position = 0
        self._moved = asyncio.Event()
        self._ready = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Returns once everything that is in the bucket now is in memory. LogUnavailable: it could not be read."""
        self._task = asyncio.create_task(self._watch(), name=f"bucket {self.stream}")
        try:
            async with asyncio.timeout(self._timeout):
                await self._ready.wait()
        except TimeoutError:
            await self.stop()
            raise LogUnavailable(f"the bucket {self.stream} could not be read within {self._timeout} s") from None

    async def stop(self) -> None:
        await end(self._task)
        self._task = None

    async def get(self, key: str) -> tuple[bytes, int] | None:
        """Value and revision as the stream's leader holds them now."""
        try:
            message = await answered(self._js.get_last_msg(self.stream, self._prefix + key))
        except nats.js.errors.NotFoundError:
            return None
        except (nats.errors.Error, nats.js.errors.Error) as error:
            raise LogUnavailable(str(error)) from error
        assert message.seq is not None
        return message.data or b"", message.seq

    async def put(self, key: str, value: bytes, expected: int | None = None) -> int | None:
        """The new revision, and the memory holds the value; none where the key is not at revision `expected`.

        `expected` 0 creates, none overwrites whatever is there.
        """
        headers = {} if expected is None else {"Nats-Expected-Last-Subject-Sequence": str(expected)}
        try:
            ack = await answered(self._js.publish(self._prefix + key, value, headers=headers))
        except nats.js.errors.APIError as error:
            if error.err_code == 10071:
                return None
            raise LogUnavailable(str(error)) from error
        except (nats.errors.Error, nats.js.errors.Error) as error:
            raise LogUnavailable(str(error)) from error
        self._apply(key, value, ack.seq)
        return ack.seq

    async def delete(self, key: str) -> None:
        """Leaves a marker that watchers see."""
        headers = {"KV-Operation": "PURGE", "Nats-Rollup": "sub"}
        try:
            ack = await answered(self._js.publish(self._prefix + key, b"", headers=headers))
        except (nats.errors.Error, nats.js.errors.Error) as error:
            raise LogUnavailable(str(error)) from error
        self._apply(key, None, ack.seq)

    def forget(self, key: str) -> None:
        """Drops an entry from memory, its message having been deleted."""
        if self._known.pop(key, None) is not None:
            self._changed(key, None)

    async def catch_up(self) -> None:
        """Waits (bounded) until the memory holds what the bucket held when this was called."""
        try:
            last = await answered(self._js.get_last_msg(self.stream, self._prefix + ">"))
        except nats.js.errors.NotFoundError:
            return
        except (nats.errors.Error, nats.js.errors.Error) as error:
            raise LogUnavailable(str(error)) from error
        assert last.seq is not None
        try:
            async with asyncio.timeout(self._timeout):
                while self._position < last.seq:
                    await self._moved.wait()
        except TimeoutError:
            raise LogUnavailable(f"{self.stream} was not read up to {last.seq} within {self._timeout} s") from None

    # The watch: an ephemeral pull consumer, made anew with the whole bucket whenever it is in doubt.

    async def _watch(self) -> None:
        while True:
            try:
                await self._watch_once()
            except (nats.errors.Error, nats.js.errors.Error, TimeoutError) as error:
                _logger.warning("watching %s again: %s", self.stream, str(error) or repr(error))
            await asyncio.sleep(_PAUSE)

    async def _watch_once(self) -> None:
        config = api.ConsumerConfig(
            filter_subject=self._prefix + ">",  # this policy asks for one
            deliver_policy=api.DeliverPolicy.LAST_PER_SUBJECT,
            ack_policy=api.AckPolicy.NONE,
            mem_storage=True,
            inactive_threshold=EXPIRES,
            num_replicas=1,
        )
        info = await self._js.add_consumer(self.stream, config)
        loaded: set[str] | None = set()
        if not info.num_pending:
            self._loaded(set())
            loaded = None
        async with aclosing(pull(self._nc, self.stream, info.name, batch=_BATCH)) as messages:
            async for message in messages:
                key = message.subject.removeprefix(self._prefix)
                left = self._on_message(key, message)
                if loaded is not None:
                    loaded.add(key)
                    if left == 0:
                        self._loaded(loaded)
                        loaded = None

    def _on_message(self, key: str, message: Msg) -> int:
        metadata = message.metadata
        gone = (message.headers or {}).get("KV-Operation") in ("DEL", "PURGE")
        self._apply(key, None if gone else message.data, metadata.sequence.stream)
        # The watch alone moves the position: what was put from here may stand behind what others put.
        self._position = metadata.sequence.stream
        self._moved.set()
        self._moved = asyncio.Event()
        return metadata.num_pending

    def _apply(self, key: str, value: bytes | None, revision: int) -> None:
        if self._known.get(key, 0) >= revision:
            return
        self._known[key] = revision  # of a marker too, so that an older value read late does not bring the key back
        self._changed(key, value)

    def _loaded(self, keys: set[str]) -> None:
        """What is in memory and no longer in the bucket was deleted while the watch was away."""
        for key in [key for key, revision in self._known.items() if key not in keys and revision <= self._position]:
            self.forget(key)
        self._ready.set()
