"""What happens to every request before it is routed: its id and language, hosts, who asks."""

from __future__ import annotations

from os import urandom
from typing import Any

from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from contracts.problems import Refused
from services.edge.auth import Authenticator, Identity
from services.edge.context import Asked, Edge
from services.edge.hosts import HostGuard
from services.edge.lingering import Lingering
from services.edge.problems import MEDIA_TYPE, answer, language_of

# Nothing of the ledger is told here, and who looks after the service, or for its documentation, may have no token.
_OPEN = frozenset({"/", "/healthz", "/readyz", "/openapi.json", "/docs"})
_OF_KEYS = "/v1/commands/"
_NOBODY = Identity("", "reader")
_LONGEST_REQUEST_ID = 128


class Front:
    """The ASGI application: the framework's, behind what is done alike for each request.

    `hosts` is none where any host is answered. Plain ASGI, as this runs for each request.
    """

    def __init__(
        self, app: ASGIApp, edge: Edge, authenticator: Authenticator, hosts: HostGuard | None, body_limit: int
    ) -> None:
        self.app = app
        self._edge = edge
        self._authenticator = authenticator
        self._hosts = hosts
        self._body_limit = body_limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            return  # the server speaks HTTP only
        headers: dict[bytes, bytes] = {}
        hosts = 0
        for name, value in scope["headers"]:
            headers[name] = value
            hosts += name == b"host"
        request_id = request_id_of(headers.get(b"x-request-id"))
        language = language_of(headers.get(b"accept-language", b"").decode("latin-1"))
        if b"transfer-encoding" in headers or headers.get(b"content-length", b"0") != b"0":
            lingering = Lingering(receive, send)
            receive, send = lingering.receive, lingering.send

        async def answer_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode())]
            await send(message)

        try:
            if self._hosts is not None:
                self._hosts.check(headers.get(b"host") if hosts == 1 else None, headers.get(b"origin"))
            identity = self._identity(scope["path"], headers)
            _refuse_stray_slashes(scope)
        except Refused as refused:
            told = answer(refused, language=language, request_id=request_id, body_limit=self._body_limit)
            pairs = [("content-type", MEDIA_TYPE), ("content-length", str(len(told.body))), *told.headers.items()]
            await answer_with_id(
                {
                    "type": "http.response.start",
                    "status": told.status,
                    "headers": [(name.encode(), value.encode("latin-1")) for name, value in pairs],
                }
            )
            await send({"type": "http.response.body", "body": told.body, "more_body": False})
            return
        inner: Any = scope
        if scope["method"] == "HEAD":
            inner = {**scope, "method": "GET"}  # the server leaves the body out
        state = inner.setdefault("state", {})
        state["edge"] = self._edge
        state["asked"] = Asked(request_id, language, identity, headers, scope["method"] == "HEAD")
        await self.app(inner, receive, answer_with_id)

    def _identity(self, path: str, headers: dict[bytes, bytes]) -> Identity:
        if path in _OPEN or path.startswith("/docs/"):
            return _NOBODY
        return self._authenticator.identify(headers.get(b"authorization"), headers.get(b"x-actor"))


def _refuse_stray_slashes(scope: HTTPScope) -> None:
    """No name holds a slash, and the router, which sees the decoded path, would take it for one of its own.

    Nor is one empty, and the router would pass over it. A key of a command may hold any, and nothing stands below it.
    """
    path = scope.get("raw_path", b"").lower()
    if (b"%2f" in path or b"//" in path) and not scope["path"].startswith(_OF_KEYS):
        raise Refused("not_found")


def request_id_of(given: bytes | None) -> str:
    """The caller's own where it can stand in a header and a log line."""
    if given is not None and 0 < len(given) <= _LONGEST_REQUEST_ID:
        text = given.decode("latin-1")
        if text.isascii() and text.isprintable():
            return text
    return urandom(16).hex()
