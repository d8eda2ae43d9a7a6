"""A stream as the recorders use it, from any thread."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

from eventsourcing.persistence import OperationalError
from nats.js.api import StorageType, StreamConfig
from nats.js.errors import NotFoundError

from events.log import LogUnavailable
from events.log.group_commit import GroupCommit
from events.log.loop_thread import LoopThread
from events.log.reading import Reader
from events.log.wire import Wire

_T = TypeVar("_T")

_ANSWER_TIMEOUT, _PATIENCE = 5.0, 20.0
ATTEMPTS = 20  # of a conditional append that others were faster with


class Store:
    """OperationalError: the log is unavailable."""

    def __init__(self, thread: LoopThread, stream: str) -> None:
        self.thread = thread
        self.stream = stream
        self.wire = Wire(thread.connection, _ANSWER_TIMEOUT)
        self.reader = Reader(self.wire, stream, _PATIENCE)
        self.commits = GroupCommit(self.wire, stream, _PATIENCE)

    def call(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        try:
            return self.thread.call(coroutine)
        except LogUnavailable as error:
            raise OperationalError(str(error)) from error

    async def ensure(self, subject: str, most_each: int = -1) -> None:
        """Creates the stream if it is missing, with room for `most_each` messages a subject."""
        js = self.thread.connection.jetstream()
        try:
            await js.stream_info(self.stream)
        except NotFoundError:
            keep = most_each == -1
            await js.add_stream(
                StreamConfig(
                    name=self.stream,
                    subjects=[subject],
                    storage=StorageType.FILE,
                    max_msgs_per_subject=most_each,
                    allow_direct=True,
                    allow_atomic=True,
                    deny_delete=keep,
                    deny_purge=keep,
                )
            )
