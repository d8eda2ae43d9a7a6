"""Who waits for more to read of a run is woken as soon as the projector has it in the tables."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from uuid import UUID

import msgspec
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from contracts import subjects

_decode = msgspec.json.Decoder(list[UUID]).decode


class LiveRuns:
    """One subscription for all who wait. A signal may be lost with the connection: waits are to be bounded."""

    def __init__(self, nc: Client) -> None:
        self._nc = nc
        self._subscription: Subscription | None = None
        self._waiting: dict[UUID, set[asyncio.Event]] = {}
        self._closing = False

    async def start(self) -> None:
        self._subscription = await self._nc.subscribe(subjects.RUNS_PROJECTED, cb=self._on_projected)

    async def stop(self) -> None:
        self.close()
        if self._subscription is not None and not self._nc.is_closed:
            await self._subscription.unsubscribe()
        self._subscription = None

    @property
    def closing(self) -> bool:
        """Whoever follows a run is to come to an end now."""
        return self._closing

    @property
    def followed(self) -> int:
        """How many wait."""
        return sum(map(len, self._waiting.values()))

    def close(self) -> None:
        """Wakes all for the last time."""
        self._closing = True
        self._wake(self._waiting)

    @contextmanager
    def following(self, run_id: UUID) -> Iterator[asyncio.Event]:
        """An event that is set when there is more to read of the run; its user clears it before it looks."""
        woken = asyncio.Event()
        self._waiting.setdefault(run_id, set()).add(woken)
        try:
            yield woken
        finally:
            waiting = self._waiting[run_id]
            waiting.discard(woken)
            if not waiting:
                del self._waiting[run_id]

    async def _on_projected(self, message: Msg) -> None:
        self._wake(_decode(message.data) or self._waiting)

    def _wake(self, ids: Iterable[UUID]) -> None:
        for run_id in ids:
            for woken in self._waiting.get(run_id, ()):
                woken.set()
