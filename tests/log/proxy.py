"""A TCP proxy that holds back, drops or cuts what passes between a client and a server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Direction:
    """Bytes one way: they pass, are held back until released, or are dropped."""

    def __init__(self) -> None:
        self._open = asyncio.Event()
        self._open.set()
        self._dropping = False
        self.stopped = asyncio.Event()  # something was held back or dropped

    def hold(self) -> None:
        self._open.clear()
        self.stopped.clear()

    def drop(self) -> None:
        self._dropping = True
        self.stopped.clear()

    def release(self) -> None:
        self._dropping = False
        self._open.set()

    async def pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            if not self._open.is_set() or self._dropping:
                self.stopped.set()
            await self._open.wait()
            if not self._dropping:
                writer.write(data)
                await writer.drain()


class Proxy:
    def __init__(self, port: int) -> None:
        self._server_port = port
        self.to_server = Direction()
        self.to_client = Direction()
        self.url = ""
        self._connections: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Proxy]:
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.url = f"nats://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()
            await self.cut()

    async def cut(self) -> None:
        """Ends every connection; what was held back is lost. New connections pass."""
        connections = list(self._connections)
        for connection in connections:
            connection.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
        self.to_server.release()
        self.to_client.release()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._server_port)
            try:
                pumps = [
                    asyncio.create_task(self.to_server.pump(reader, server_writer)),
                    asyncio.create_task(self.to_client.pump(server_reader, writer)),
                ]
                try:
                    await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for pump in pumps:
                        pump.cancel()
                    await asyncio.gather(*pumps, return_exceptions=True)
            finally:
                server_writer.close()
        except (asyncio.CancelledError, OSError):
            return  # cut, or nobody there
        finally:
            writer.close()
            self._connections.discard(task)
