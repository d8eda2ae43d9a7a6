"""How views and outcomes of commands go out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeVar
from urllib.parse import urlencode

import msgspec
from litestar import MediaType, Response
from litestar.status_codes import HTTP_200_OK, HTTP_201_CREATED, HTTP_202_ACCEPTED
from litestar.types import ASGIApp, Receive, Scope, Send

from contracts.command import Command
from contracts.problems import Refused
from projections.queries.cut import Cut
from services.edge.context import AnyRequest, asked_of, edge_of
from services.edge.parameters import wants_async
from services.runtime.intake import Answer
from services.runtime.questions import Shown

_TRACEPARENT = re.compile(rb"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?")

T = TypeVar("T")


class Json(Response[Any]):
    """A JSON text as it is: what the framework does for content of any kind takes several times as long."""

    def __init__(
        self, content: bytes, *, status_code: int | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(content, status_code=status_code, headers=headers, media_type=MediaType.JSON)

    def to_asgi_response(  # type: ignore[override]  # any ASGI application will do
        self, *_: object, status_code: int | None = None, **__: object
    ) -> ASGIApp:
        content: bytes = self.content
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(content))]
        headers += [(name.lower().encode(), value.encode("latin-1")) for name, value in self.headers.items()]
        status = self.status_code or status_code or HTTP_200_OK

        async def sent(scope: Scope, receive: Receive, send: Send) -> None:
            del scope, receive
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": content, "more_body": False})

        return sent


async def carry_out(
    request: AnyRequest,
    command: Command,
    idempotency_key: str | None,
    prefer: str | None = None,
    *,
    location: str | None = None,
) -> Response[Any]:
    """Hands a command in and answers with its view, where to read it, and whether reads show it already.

    `location` is the path below which what is made by it stands under its id.
    """
    edge, asked = edge_of(request), asked_of(request)
    respond_async = wants_async(prefer)
    answer = await edge.intake.handle(
        command,
        await edge.caller(asked.identity),
        key=idempotency_key,
        respond_async=respond_async,
        traceparent=traceparent_of(request),
        correlation_id=asked.request_id,
    )
    return answered(request, answer, respond_async=respond_async, location=location)


def answered(
    request: AnyRequest, answer: Answer, *, respond_async: bool = False, location: str | None = None
) -> Response[Any]:
    """The answer to a command, and in headers where to read what it led to."""
    headers: dict[str, str] = {"Command-Id": msgspec.to_builtins(answer.command_id)}
    if answer.position is not None:
        headers["Event-Position"] = str(answer.position)
        if answer.lagging:
            headers["Projection-Lag"] = str(max(answer.position - edge_of(request).reads.position, 1))
    if location is not None and answer.status in (HTTP_201_CREATED, HTTP_202_ACCEPTED):
        headers["Location"] = f"{location}/{answer.aggregate_id}"
    if respond_async and answer.status == HTTP_202_ACCEPTED:
        headers["Preference-Applied"] = "respond-async"
    return Json(answer.body, status_code=answer.status, headers=headers)


def traceparent_of(request: AnyRequest) -> str | None:
    """The caller's trace context, where it is one."""
    given = asked_of(request).headers.get(b"traceparent")
    return None if given is None or _TRACEPARENT.fullmatch(given) is None else given.decode("latin-1")


def next_page(path: str, cursor: str | None, **asked: object) -> dict[str, str]:
    """The header that leads to the page that begins at `cursor`, with all else as it was asked; none without one."""
    if cursor is None:
        return {}
    query = {name: value for name, value in asked.items() if value is not None} | {"cursor": cursor}
    return {"Link": f'<{path}?{urlencode(query)}>; rel="next"'}


def show(shown: Shown[T | None], cut: Cut, missing: Refused) -> Response[Any]:
    """A view with the position that it shows. Raises `missing` where there is none."""
    if shown.answer is None:
        raise missing
    return show_as(msgspec.json.encode(shown.answer), shown, cut)


def show_as(body: bytes, shown: Shown[Any], cut: Cut, **headers: str) -> Response[Any]:
    position = shown.position if cut.position is None else cut.position
    return Json(body, headers={"Event-Position": str(position), **headers})
