"""What the OpenAPI document says of answers."""

from __future__ import annotations

from litestar.datastructures import ResponseHeader
from litestar.openapi.datastructures import ResponseSpec

from contracts.problem_kinds import PROBLEMS
from contracts.problems import Problem
from services.edge.problems import MEDIA_TYPE

EVENT_POSITION = ResponseHeader(
    name="Event-Position",
    documentation_only=True,
    required=True,
    description="Position of the last fact that the answer shows; sent back as `Min-Event-Position`, any edge shows it",
)
COMMAND_ID = ResponseHeader(
    name="Command-Id",
    documentation_only=True,
    required=True,
    description="Id of this command, which its facts carry; its outcome is kept where an `Idempotency-Key` was sent",
)
LOCATION = ResponseHeader(
    name="Location", documentation_only=True, description="Where what was made, or is being made, is to be read"
)
LINK = ResponseHeader(
    name="Link",
    documentation_only=True,
    description='The next page (`rel="next"`), where there is one and `limit` was given',
)
# Any request may be answered so: a bad parameter or no HTTP, no token, a foreign host, a fault, a part that is away.
_ANYWHERE = (
    "invalid_parameter",
    "invalid_http",
    "head_too_large",
    "unauthenticated",
    "foreign_host",
    "internal_error",
    "unavailable",
)


def problems(*codes: str) -> dict[int, ResponseSpec]:
    """The answers other than success: those of any route, and these."""
    by_status: dict[int, list[str]] = {}
    for code in dict.fromkeys((*_ANYWHERE, *codes)):
        by_status.setdefault(PROBLEMS[code].status, []).append(code)
    return {
        status: ResponseSpec(
            data_container=Problem,
            generate_examples=False,
            media_type=MEDIA_TYPE,
            description="One of: " + ", ".join(f"`{code}`" for code in found),
        )
        for status, found in sorted(by_status.items())
    }


OF_COMMANDS = (
    "forbidden",
    "invalid_body",  # also where none is read: see `bodies`
    "invalid_command_id",
    "command_id_reused",
    "command_in_progress",
    "too_much_contention",
    "log_unavailable",
    "outcome_unknown",
)
OF_BODIES = ("invalid_body", "body_too_large", "unsupported_media_type")
OF_READS = ("position_not_reached", "database_unavailable")
