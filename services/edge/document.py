"""The OpenAPI document: what the framework reads off the routes, and what is alike for all of them."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec
from litestar import Litestar
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityScheme

from services import VERSION

_DESCRIPTION = """\
The ledger of LLM training: projects, datasets and runs, every decision an event.

- A project reference is the id or the name of a project.
- Errors are `application/problem+json`; `detail` is Chinese, or English by `Accept-Language: en`, `code` is stable.
- A GET after a 2xx sees it. `Event-Position` says where an answer stands, `Min-Event-Position` asks for it.
- `?as_of=<position or ISO 8601 time>` shows the past.
"""
_EVERYWHERE: list[dict[str, Any]] = [
    {
        "name": "X-Request-Id",
        "in": "header",
        "required": False,
        "description": "The caller's own id of this request; answered in the same header and in problems",
        "schema": {"type": "string", "minLength": 1, "maxLength": 128, "pattern": r"^[\x20-\x7e]{1,128}$"},
    },
    {
        "name": "Accept-Language",
        "in": "header",
        "required": False,
        "description": "Language of problems: `zh` (default) or `en`",
        "schema": {"type": "string"},
    },
]


def openapi_config() -> OpenAPIConfig:
    return OpenAPIConfig(
        title="TrainLedger",
        version=VERSION,
        description=_DESCRIPTION,
        components=Components(
            security_schemes={
                "token": SecurityScheme(type="http", scheme="bearer", description="Not needed on a loopback address")
            }
        ),
        security=[{}, {"token": []}],
        use_handler_docstrings=False,
        create_examples=False,
        render_plugins=(),
    )


@lru_cache(maxsize=1)
def document(app: Litestar) -> bytes:
    """OpenAPI 3.1 as JSON."""
    described = app.openapi_schema.to_schema()
    for path in described["paths"].values():
        for operation in path.values():
            operation["parameters"] = [*operation.get("parameters", []), *_EVERYWHERE]
            for response in operation["responses"].values():
                response.setdefault("headers", {})["X-Request-Id"] = {
                    "description": "Id of this request",
                    "schema": {"type": "string"},
                }
    return msgspec.json.encode(described)
