"""HTTP as the server speaks it, and where this service has it otherwise."""

from __future__ import annotations

import asyncio
import logging
from http import HTTPStatus
from typing import Any, cast

from httptools import HttpParserError, HttpParserUpgrade
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from contracts.problems import Refused
from services.edge.front import request_id_of
from services.edge.problems import MEDIA_TYPE, answer, language_of

_log = logging.getLogger("trainledger.edge")

_LONGEST_HEAD = 65_536
"""Bytes of a request before its body, beyond which no more of them is read."""


class Http(HttpToolsProtocol):
    """The server's protocol, with an answer's head and body in one piece, and a problem for what is no HTTP.

    By itself it answers in plain text what its parser cannot read, and closes. It warns of both that and of each
    upgrade that a client offers, and keeps whatever comes before a body.
    """

    _head_goes_on = False
    _head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as the server's is
        super().connection_made(cast("asyncio.Transport", InOnePiece(transport)))

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        received = len(data)
        try:
            while data:
                try:
                    self.parser.feed_data(data)
                    data = b""
                except HttpParserUpgrade as offered:
                    data = (self._head_without_upgrade() if self._is_upgrade() else b"") + data[offered.args[0] :]
        except HttpParserError as error:
            _log.debug("what %s sends is no HTTP: %s", self.client, error)
            self.send_400_response("")
            return
        if self._head_goes_on:
            self._head_bytes += received
            if self._head_bytes > _LONGEST_HEAD:
                self._refuse(Refused("head_too_large", limit=_LONGEST_HEAD))

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head_goes_on, self._head_bytes = True, 0

    def on_headers_complete(self) -> None:
        self._head_goes_on = False
        if not self._is_upgrade():
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        if not self._is_upgrade():
            super().on_message_complete()

    def _is_upgrade(self) -> bool:
        """Whether the parser takes what follows the head for another protocol, as it does after CONNECT too."""
        return self.parser.should_upgrade() and any(name == b"upgrade" for name, _ in self.headers)

    def _head_without_upgrade(self) -> bytes:
        """Read in place of the one that came: an upgrade may be ignored (RFC 9110, 7.8), and a body follows then."""
        request = b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())
        kept = [b"%b: %b" % header for header in self.headers if header[0] != b"upgrade"]
        return b"\r\n".join((request, *kept, b"", b""))

    def send_400_response(self, msg: str) -> None:
        del msg
        self._refuse(Refused("invalid_http"))

    def _refuse(self, refused: Refused) -> None:
        """Answers what cannot be read to its end, and closes."""
        read = dict(self.headers or [])  # as far as it came
        request_id = request_id_of(read.get(b"x-request-id"))
        language = language_of(read.get(b"accept-language", b"").decode("latin-1"))
        told = answer(refused, language=language, request_id=request_id, body_limit=0)
        headers = {
            **told.headers,
            "content-type": MEDIA_TYPE,
            "content-length": str(len(told.body)),
            "x-request-id": request_id,
            "connection": "close",
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        reason = HTTPStatus(told.status).phrase
        self.transport.write(f"HTTP/1.1 {told.status} {reason}\r\n{head}\r\n".encode("latin-1") + told.body)
        self.transport.close()


class InOnePiece:
    """A transport that holds a write until the next one, which goes out with it, or to the end of the loop's turn.

    The server writes the head of an answer and its body one by one, and each write costs a call of the kernel and wakes
    the client.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._held = b""

    def write(self, data: bytes) -> None:
        if self._held:
            held, self._held = self._held, b""
            self._transport.writelines((held, data))
        else:
            self._held = data
            asyncio.get_running_loop().call_soon(self._let_go)

    def close(self) -> None:
        self._let_go()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def _let_go(self) -> None:
        if self._held:
            held, self._held = self._held, b""
            self._transport.write(held)
