"""De-identification of texts over HTTP, and the way back."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Response, post
from litestar.openapi.spec import Example
from litestar.params import Body

from contracts.deid_texts import DeidRequest, DeidResponse, ReverseRequest, ReverseResponse
from services.edge.answers import Json
from services.edge.bodies import StrictBody
from services.edge.context import AnyRequest, asked_of, edge_of
from services.edge.described import OF_BODIES, problems

_TAGS = ["deid"]
_EXAMPLE = Example(
    value={
        "policy_id": "default",
        "text": ["客户手机号 13812345678"],
        "options": {"locale": "zh-CN", "format": "text", "return_mapping": True, "seed": 42},
    }
)
_OF_TEXTS = (
    *OF_BODIES,
    "forbidden",
    "reveal_forbidden",
    "locale_unknown",
    "format_unknown",
    "policy_unknown",
    "policy_outdated",
    "too_many_texts",
    "text_too_large",
    "deid_unavailable",
    "log_unavailable",
)


@post(
    "/v1/deidentify:test",
    operation_id="deidentifyTexts",
    summary="De-identify texts; that it was done is recorded, nothing of the texts is",
    tags=_TAGS,
    status_code=200,
    dto=StrictBody[DeidRequest],
    return_dto=None,
    responses=problems(*_OF_TEXTS),
)
async def deidentify_texts(
    request: AnyRequest, data: Annotated[DeidRequest, Body(examples=[_EXAMPLE])]
) -> Response[DeidResponse]:
    edge, asked = edge_of(request), asked_of(request)
    answer = await edge.deid_texts.deidentify(data, await edge.caller(asked.identity), asked.request_id)
    return Json(msgspec.json.encode(answer), headers=_KEPT_NOWHERE)


_REVERSED = (
    "Pseudonyms are found by their form and by the words around them. Where those do not tell, as of numbers that look "
    "like another type's pseudonyms by chance, or of cards with output `invalid`, what comes back can be no original. "
    "The mapping that `/v1/deidentify:test` returns is exact."
)


@post(
    "/v1/deidentify:reverse",
    operation_id="reverseTexts",
    summary="Bring back the originals of pseudonyms; needs a token that may reveal, and is recorded",
    description=_REVERSED,
    tags=_TAGS,
    status_code=200,
    dto=StrictBody[ReverseRequest],
    return_dto=None,
    responses=problems(*_OF_TEXTS, "policy_version_unknown", "not_reversible"),
)
async def reverse_texts(request: AnyRequest, data: Annotated[ReverseRequest, Body()]) -> Response[ReverseResponse]:
    edge, asked = edge_of(request), asked_of(request)
    answer = await edge.deid_texts.reverse(data, await edge.caller(asked.identity), asked.request_id)
    return Json(msgspec.json.encode(answer), headers=_KEPT_NOWHERE)


ROUTES: list[Any] = [deidentify_texts, reverse_texts]

_KEPT_NOWHERE = {"Cache-Control": "no-store"}
