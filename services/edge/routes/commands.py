"""What became of commands, over HTTP."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import unquote

import msgspec
from litestar import Response, get
from litestar.params import PathParameter

from contracts.outcomes import Outcome
from services.edge.answers import Json
from services.edge.context import AnyRequest, asked_of, edge_of
from services.edge.described import problems

CommandId = Annotated[
    str,
    PathParameter(
        description="The `Idempotency-Key` that the caller sent, or the `Command-Id` that was answered to it"
    ),
]


_PATH = "/v1/commands/"


@get(
    _PATH + "{command_id:path}",
    operation_id="getCommand",
    summary="What became of a command that carried an Idempotency-Key",
    tags=["commands"],
    responses=problems("command_not_found", "log_unavailable"),
)
async def get_command(request: AnyRequest, command_id: CommandId) -> Response[Outcome]:
    del command_id  # of which the router has taken slashes away that belong to a key
    edge, asked = edge_of(request), asked_of(request)
    outcome = await edge.intake.outcome(
        await edge.onlooker(asked.identity),
        unquote(request.scope["raw_path"].decode("latin-1").removeprefix(_PATH)),
        language=asked.language,
        request_id=asked.request_id,
    )
    return Json(msgspec.json.encode(outcome))


ROUTES: list[Any] = [get_command]
