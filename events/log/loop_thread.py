"""An event loop with a NATS connection in a thread of its own, for callers who are not asynchronous."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from events.log.connection import Connection, connect

_T = TypeVar("_T")

_CONNECTED_WITHIN = 10.0


class LoopThread:
    """Raises OSError where no server answers, or lets nobody in. `options` are those of `nats.connect`."""

    def __init__(self, url: str, **options: Any) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name=f"event loop for {url}", daemon=True)
        self._thread.start()
        self._closed = False
        try:
            self.connection = self.call(self._connect(url, options))
        except BaseException:
            self.close()
            raise

    def submit(self, coroutine: Coroutine[Any, Any, _T]) -> Future[_T]:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def call(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        """Waits in the caller's thread; whoever interrupts the wait leaves the coroutine running."""
        return self.submit(coroutine).result()

    def close(self) -> None:
        """Closes the connection and ends the thread; what still runs in it is cancelled."""
        if self._closed:
            return
        self._closed = True
        self._loop.call_soon_threadsafe(self._loop.stop)
        # A caller that is garbage-collected may be so in this very thread.
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
            self._loop.run_until_complete(self._wind_up())
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        finally:
            self._loop.close()

    async def _wind_up(self) -> None:
        connection: Connection | None = getattr(self, "connection", None)
        if connection is not None:
            await connection.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _connect(self, url: str, options: dict[str, Any]) -> Connection:
        refused: asyncio.Future[Connection] = self._loop.create_future()

        async def on_error(error: Exception) -> None:  # by itself the client tries again for ever
            if "authorization" in str(error).lower() and not refused.done():
                refused.set_exception(PermissionError(f"the NATS server at {url} does not let anybody in so: {error}"))

        connecting = self._loop.create_task(connect(url, error_cb=on_error, **options))
        try:
            ended, _ = await asyncio.wait(
                (connecting, refused), timeout=_CONNECTED_WITHIN, return_when=asyncio.FIRST_COMPLETED
            )
            if not ended:
                raise ConnectionError(f"no NATS server answers at {url}")
            return ended.pop().result()
        finally:
            refused.cancel()
            if not connecting.done():
                connecting.cancel()
                await asyncio.wait((connecting,))
