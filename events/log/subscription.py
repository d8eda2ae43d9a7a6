"""A subscription of the library `eventsourcing`: pulled at the reader's own pace, so a slow one loses nothing."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import CancelledError, Future

from eventsourcing.persistence import ApplicationRecorder, Notification, OperationalError, Subscription

from events.log import LogUnavailable
from events.log.follow import follow
from events.log.loop_thread import LoopThread
from events.log.messages import Stored
from events.log.stored_events import Layout, notification
from events.log.wire import Wire


class JetStreamSubscription(Subscription[ApplicationRecorder]):
    """Iterates for ever, until `stop` is called, from any thread."""

    def __init__(
        self,
        recorder: ApplicationRecorder,
        thread: LoopThread,
        wire: Wire,
        stream: str,
        layout: Layout,
        gt: int | None,
        topics: Sequence[str],
    ) -> None:
        super().__init__(recorder, gt, topics)
        self._thread = thread
        self._layout = layout
        self._batches = follow(wire, stream, gt or 0, [layout.every])
        self._arrived: deque[Stored] = deque()
        self._waiting: Future[list[Stored]] | None = None
        self._lock = threading.Lock()

    def stop(self) -> None:
        with self._lock:
            if self._has_been_stopped:
                return
            super().stop()
            if self._waiting is not None:
                self._waiting.cancel()
            else:
                self._thread.submit(self._batches.aclose())

    def __next__(self) -> Notification:
        while True:
            if self._has_been_stopped:
                raise StopIteration
            if not self._arrived:
                self._arrived.extend(self._next_batch())
                continue
            stored = self._arrived.popleft()
            event = self._layout.decode(stored)
            if not self._topics or event.topic in self._topics:
                return notification(stored, event)

    async def _pull(self) -> list[Stored]:
        return await anext(self._batches)

    def _next_batch(self) -> list[Stored]:
        """Nothing if it was stopped meanwhile."""
        with self._lock:
            if self._has_been_stopped:
                return []
            self._waiting = self._thread.submit(self._pull())
        try:
            return self._waiting.result()
        except CancelledError:
            return []
        except LogUnavailable as error:
            raise OperationalError(str(error)) from error
        finally:
            with self._lock:
                self._waiting = None
