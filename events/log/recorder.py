"""The log as a persistence module of the library `eventsourcing`: `PERSISTENCE_MODULE=events.log.recorder`.

Without NATS_STREAM an application reads and writes TrainLedger's own facts, in stream EVENTS; with it, it has a stream
of its own for events of any kind. The notification id is the position in the stream.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine, Sequence
from itertools import pairwise
from typing import Any
from uuid import UUID

from eventsourcing.persistence import (
    AggregateRecorder,
    ApplicationRecorder,
    InfrastructureFactory,
    InfrastructureFactoryError,
    IntegrityError,
    Notification,
    OperationalError,
    ProcessRecorder,
    ProgrammingError,
    StoredEvent,
    Subscription,
    Tracking,
)
from eventsourcing.utils import Environment, EnvType, resolve_topic, strtobool

from events.event import Origin
from events.log import Conflict
from events.log.group_commit import MOST_IN_BATCH
from events.log.loop_thread import LoopThread
from events.log.messages import Write
from events.log.store import ATTEMPTS, Store
from events.log.stored_events import Layout, LedgerLayout, LibraryLayout, notification
from events.log.streams import EVENTS
from events.log.subscription import JetStreamSubscription
from events.log.tracking import JetStreamTrackingRecorder

_PAGE = 500


class JetStreamAggregateRecorder(AggregateRecorder):
    """`ordered`: an originator's versions only grow, as those of an aggregate do and those of snapshots need not."""

    def __init__(self, store: Store, layout: Layout, *, ordered: bool = True) -> None:
        self._store = store
        self._layout = layout
        self._ordered = ordered

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int] | None:
        self._store.call(self._insert(stored_events, kwargs.get("origin")))
        return None

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        events = self._store.call(self._of_originator(originator_id, last_only=desc and limit == 1 and lte is None))
        selected = [
            event
            for event in events
            if (gt is None or event.originator_version > gt) and (lte is None or event.originator_version <= lte)
        ]
        selected.sort(key=lambda event: event.originator_version, reverse=desc)
        return selected[:limit]

    async def _of_originator(self, originator_id: UUID | str, *, last_only: bool = False) -> list[StoredEvent]:
        subject = self._layout.of_originator(originator_id)
        if last_only and self._ordered:
            last = await self._store.reader.last_of_subject(subject)
            return [] if last is None else [self._layout.decode(last)]
        return [self._layout.decode(stored) for stored in await self._store.reader.of_subject(subject)]

    async def _insert(
        self,
        events: Sequence[StoredEvent],
        origin: Origin | None,
        also: Callable[[], Coroutine[Any, Any, Write]] | None = None,
    ) -> list[int]:
        """All or none, and the notification id of each. IntegrityError: a version is taken."""
        by_originator: dict[UUID | str, list[StoredEvent]] = {}
        for event in events:
            by_originator.setdefault(event.originator_id, []).append(event)
        if len(events) + (also is not None) > MOST_IN_BATCH:
            raise ProgrammingError(f"{len(events)} events at once, at most {MOST_IN_BATCH} are possible")
        for _ in range(ATTEMPTS):
            writes = [await self._write(*one, origin) for one in by_originator.items()]
            if also is not None:
                writes.append(await also())
            if not writes:
                return []
            try:
                first = await self._store.commits.append(tuple(writes))
            except Conflict:
                continue  # the next look tells whether it was about these versions
            order = [id(event) for group in by_originator.values() for event in group]
            positions = {event: first + index for index, event in enumerate(order)}
            return [positions[id(event)] for event in events]
        raise OperationalError("others were faster again and again")

    async def _write(self, originator_id: UUID | str, events: list[StoredEvent], origin: Origin | None) -> Write:
        messages = tuple(self._layout.encode(event, origin) for event in events)
        last = await self._store.reader.last_of_subject(self._layout.of_originator(originator_id))
        versions = [event.originator_version for event in events]
        if self._ordered:
            before = [] if last is None else [self._layout.decode(last).originator_version]
            free = all(lower < higher for lower, higher in pairwise(before + versions))
        else:
            taken = {event.originator_version for event in await self._of_originator(originator_id)} if last else set()
            free = len({*taken, *versions}) == len(taken) + len(versions)
        if not free:
            raise IntegrityError(f"versions {versions} of {originator_id} are not all free")
        expected = last.position if last is not None and last.subject == messages[0].subject else 0
        return Write(messages[0].subject, expected, messages)


class JetStreamApplicationRecorder(JetStreamAggregateRecorder, ApplicationRecorder):
    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int] | None:
        return self._store.call(self._insert(stored_events, kwargs.get("origin")))

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> Sequence[Notification]:
        position = 1 if start is None else max(1, start if inclusive_of_start else start + 1)
        return self._store.call(self._notifications(position, limit, stop, topics))

    def max_notification_id(self) -> int | None:
        last = self._store.call(self._store.reader.last_of_subject(self._layout.every))
        return None if last is None else last.position

    def subscribe(self, gt: int | None = None, topics: Sequence[str] = ()) -> Subscription[ApplicationRecorder]:
        return JetStreamSubscription(
            self, self._store.thread, self._store.wire, self._store.stream, self._layout, gt, topics
        )

    async def _notifications(
        self, position: int, limit: int, stop: int | None, topics: Sequence[str]
    ) -> list[Notification]:
        found: list[Notification] = []
        while len(found) < limit:
            wanted = max(_PAGE, limit) if topics else limit - len(found)
            page = await self._store.reader.of_subject(self._layout.every, position, wanted)
            for stored in page:
                if stop is not None and stored.position > stop:
                    return found
                event = self._layout.decode(stored)
                if not topics or event.topic in topics:
                    found.append(notification(stored, event))
            if len(page) < wanted:
                break
            position = page[-1].position + 1
        return found[:limit]


class JetStreamProcessRecorder(JetStreamTrackingRecorder, JetStreamApplicationRecorder, ProcessRecorder):
    """Events and the position they came from in one atomic batch, hence in one stream."""

    def __init__(self, store: Store, layout: Layout, tracking_root: str) -> None:
        JetStreamApplicationRecorder.__init__(self, store, layout)
        JetStreamTrackingRecorder.__init__(self, store, tracking_root)

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int] | None:
        tracking: Tracking | None = kwargs.get("tracking")
        also = None if tracking is None else lambda: self._tracking_write(tracking)
        return self._store.call(self._insert(stored_events, kwargs.get("origin"), also))


class JetStreamFactory(InfrastructureFactory[JetStreamTrackingRecorder]):
    """Environment: NATS_URL, NATS_STREAM (EVENTS, the ledger, by default), NATS_NKEYS_SEED (a file), CREATE_TABLE.

    Streams are created unless CREATE_TABLE says no; EVENTS never is, as the ledger's own start does that.
    """

    def __init__(self, env: Environment | EnvType | None) -> None:
        super().__init__(env)
        self._stream = self.env.get("NATS_STREAM") or EVENTS
        if re.fullmatch(r"[A-Za-z0-9_-]+", self._stream) is None:
            raise InfrastructureFactoryError(f"NATS_STREAM is no name of a stream: {self._stream!r}")
        self._thread: LoopThread | None = None
        self._stores: dict[str, Store] = {}

    def aggregate_recorder(self, purpose: str = "events") -> AggregateRecorder:
        if purpose == "events":
            return JetStreamAggregateRecorder(*self._events())
        stream = f"{self._stream}_{purpose}"
        layout = LibraryLayout(stream, purpose)
        return JetStreamAggregateRecorder(self._store(stream, layout.every), layout, ordered=False)

    def application_recorder(self) -> ApplicationRecorder:
        return JetStreamApplicationRecorder(*self._events())

    def tracking_recorder(
        self, tracking_recorder_class: type[JetStreamTrackingRecorder] | None = None
    ) -> JetStreamTrackingRecorder:
        topic = self.env.get(self.TRACKING_RECORDER_TOPIC)
        if tracking_recorder_class is None:
            tracking_recorder_class = resolve_topic(topic) if topic else JetStreamTrackingRecorder
        stream = f"{self._stream}_tracking"
        root = f"eventsourcing.{stream}"
        return tracking_recorder_class(self._store(stream, f"{root}.*", most_each=1), root)

    def process_recorder(self) -> ProcessRecorder:
        if self._stream == EVENTS:
            raise InfrastructureFactoryError(
                "tracking is no fact of the ledger; set NATS_STREAM for a process of its own"
            )
        store, layout = self._events()
        return JetStreamProcessRecorder(store, layout, f"eventsourcing.{self._stream}.tracking")

    def close(self) -> None:
        if self._thread is not None:
            self._thread.close()
            self._thread = None
            self._stores.clear()

    def _events(self) -> tuple[Store, Layout]:
        if self._stream == EVENTS:
            return self._store(EVENTS, None), LedgerLayout()
        return self._store(self._stream, f"eventsourcing.{self._stream}.>"), LibraryLayout(self._stream, "events")

    def _store(self, stream: str, subject: str | None, most_each: int = -1) -> Store:
        if self._thread is None:
            url = self.env.get("NATS_URL") or "nats://127.0.0.1:4222"
            seed = self.env.get("NATS_NKEYS_SEED")
            try:
                self._thread = LoopThread(url, **({"nkeys_seed": seed} if seed else {}))
            except OSError as error:
                raise OperationalError(str(error)) from error
        if (store := self._stores.get(stream)) is None:
            store = self._stores[stream] = Store(self._thread, stream)
            if subject is not None and strtobool(self.env.get("CREATE_TABLE") or "yes"):
                store.call(store.ensure(subject, most_each))
        return store
