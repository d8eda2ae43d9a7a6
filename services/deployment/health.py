"""Asks a server whether it is healthy, over HTTP."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import aiohttp

_MOST_HEADERS = 16 * 1024


class Health:
    """One session for all servers of this node, made when the first one is asked."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def probe(self, host: str, port: int, path: str, timeout: float) -> bool:
        """Whether the answer's status is 2xx and comes within `timeout` seconds; no redirect is followed."""
        import aiohttp  # 12 MB, not needed where nothing is served
        from yarl import URL

        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(force_close=True, limit=0),
                cookie_jar=aiohttp.DummyCookieJar(),
                max_line_size=_MOST_HEADERS,
                max_field_size=_MOST_HEADERS,
            )
        url = URL(f"http://{host}:{port}{path}", encoded=True)
        try:
            async with asyncio.timeout(timeout), self._session.get(url, allow_redirects=False) as answer:
                return 200 <= answer.status < 300
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError):
            return False

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None
