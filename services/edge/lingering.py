"""Answers that come before the whole request has: what remains of it is taken in before the connection can close.

A connection that closes with bytes unread is reset, and whoever is still sending, as most HTTP clients do before they
look for an answer, then finds a broken pipe where the answer was.
"""

from __future__ import annotations

import asyncio

from litestar.types import HTTPReceiveMessage, Message, Receive, Send

WHOLE = 30.0  # seconds that the rest of a request may take; more of it is cut off
SILENCE = 5.0  # seconds without a byte after which none is expected any more


class Lingering:
    """Of one request: `receive` and `send` as its application is to use them.

    `send` hands an answer to the client at once, and ends it once the request has ended too, or has used up its time.
    """

    def __init__(self, receive: Receive, send: Send, whole: float = WHOLE, silence: float = SILENCE) -> None:
        self._receive = receive
        self._send = send
        self._whole = whole
        self._silence = silence
        self._ended = False

    async def receive(self) -> HTTPReceiveMessage:
        message = await self._receive()
        self._ended = not message.get("more_body", False)  # none either where the client has gone
        return message  # type: ignore[return-value]

    async def send(self, message: Message) -> None:
        if self._ended or message["type"] != "http.response.body" or message["more_body"]:
            await self._send(message)
            return
        await self._send({**message, "more_body": True})
        await self._discard()
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _discard(self) -> None:
        try:
            async with asyncio.timeout(self._whole):
                while not self._ended:
                    async with asyncio.timeout(self._silence):
                        await self.receive()
        except TimeoutError:
            pass
