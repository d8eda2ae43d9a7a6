"""Positions that the library `eventsourcing` has processed its upstream applications up to."""

from __future__ import annotations

from uuid import uuid4

from eventsourcing.persistence import IntegrityError, OperationalError, Tracking, TrackingRecorder

from events.log import Conflict
from events.log.messages import Outgoing, Write
from events.log.store import ATTEMPTS, Store
from events.log.stored_events import token


class JetStreamTrackingRecorder(TrackingRecorder):
    """One subject for each upstream application; a position only grows."""

    def __init__(self, tracking_store: Store, tracking_root: str) -> None:
        self._tracking_store = tracking_store
        self._tracking_root = tracking_root

    def insert_tracking(self, tracking: Tracking) -> None:
        self._tracking_store.call(self._insert_tracking(tracking))

    def max_tracking_id(self, application_name: str) -> int | None:
        reader = self._tracking_store.reader
        last = self._tracking_store.call(reader.last_of_subject(self._tracking_subject(application_name)))
        return None if last is None else int(last.body)

    async def _insert_tracking(self, tracking: Tracking) -> None:
        for _ in range(ATTEMPTS):
            try:
                await self._tracking_store.commits.append((await self._tracking_write(tracking),))
            except Conflict:
                continue
            return
        raise OperationalError("others were faster again and again")

    async def _tracking_write(self, tracking: Tracking) -> Write:
        subject = self._tracking_subject(tracking.application_name)
        last = await self._tracking_store.reader.last_of_subject(subject)
        if last is not None and int(last.body) >= tracking.notification_id:
            raise IntegrityError(f"{tracking} is not above {int(last.body)}")
        event_id = str(uuid4())
        message = Outgoing(subject, event_id, {"ce-id": event_id}, str(tracking.notification_id).encode())
        return Write(subject, 0 if last is None else last.position, (message,))

    def _tracking_subject(self, application_name: str) -> str:
        return f"{self._tracking_root}.{token(application_name)}"
