"""Policies of de-identification over HTTP."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import msgspec
from litestar import Response, delete, get, put
from litestar.params import PathParameter, QueryParameter

from contracts.policies import LARGEST_POLICY, DeletePolicy, PolicyDetail, PolicyRemoved, PolicySummary, UploadPolicy
from contracts.problems import InvalidBody, Refused, Wrong
from projections.queries.policies import policy_detail, policy_list
from services.edge.answers import carry_out, show, show_as
from services.edge.context import AnyRequest, edge_of
from services.edge.described import COMMAND_ID, EVENT_POSITION, OF_BODIES, OF_COMMANDS, OF_READS, problems
from services.edge.parameters import AsOf, IdempotencyKey, MinEventPosition
from services.runtime.deidentifying.policies import KnownPolicy, built_in_policies

_TAGS = ["deid"]
_YAML = ("application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml", "text/plain", "application/octet-stream")

PolicyId = Annotated[str, PathParameter(description="Id of the policy, which its YAML names too", min_length=1)]
Version = Annotated[
    str | None, QueryParameter(name="version", description="A version of the policy; left out: the current one")
]


@get(
    "/v1/deid/policies",
    operation_id="listPolicies",
    summary="The policies in force: those that come with the service, and uploaded ones",
    tags=_TAGS,
    response_headers=[EVENT_POSITION],
    responses=problems(*OF_READS),
)
async def list_policies(
    request: AnyRequest, as_of: AsOf = None, min_event_position: MinEventPosition = None
) -> Response[tuple[PolicySummary, ...]]:
    edge = edge_of(request)
    cut = await edge.past.cut(as_of, min_event_position)
    built_in = await asyncio.to_thread(built_in_policies)
    shown = await edge.reads.ask(lambda connection: policy_list(connection, cut))
    views = (*map(_summary, built_in.values()), *shown.answer)
    return show_as(msgspec.json.encode(views), shown, cut)


@get(
    "/v1/deid/policies/{policy_id:str}",
    operation_id="getPolicy",
    summary="A policy with its YAML; an older version, also of a deleted policy, by `version`",
    tags=_TAGS,
    response_headers=[EVENT_POSITION],
    responses=problems(*OF_READS, "policy_not_found"),
)
async def get_policy(
    request: AnyRequest,
    policy_id: PolicyId,
    version: Version = None,
    as_of: AsOf = None,
    min_event_position: MinEventPosition = None,
) -> Response[PolicyDetail]:
    edge = edge_of(request)
    cut = await edge.past.cut(as_of, min_event_position)
    built_in = (await asyncio.to_thread(built_in_policies)).get(policy_id)
    missing = Refused("policy_not_found", policy_id=policy_id)
    if built_in is not None:
        if version not in (None, built_in.version):
            raise missing
        shown = await edge.reads.ask(lambda _: None)
        return show_as(msgspec.json.encode(_detail(built_in)), shown, cut)
    return show(await edge.reads.ask(lambda found: policy_detail(found, policy_id, version, cut)), cut, missing)


@put(
    "/v1/deid/policies/{policy_id:str}",
    operation_id="uploadPolicy",
    summary="Upload a version of a policy as YAML, from then on the current one",
    tags=_TAGS,
    response_headers=[EVENT_POSITION, COMMAND_ID],
    responses=problems(*OF_COMMANDS, *OF_BODIES, "policy_built_in", "policy_version_exists", "policy_too_large"),
)
async def upload_policy(
    request: AnyRequest, policy_id: PolicyId, idempotency_key: IdempotencyKey = None
) -> Response[PolicyDetail]:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind and kind not in _YAML:
        raise Refused("unsupported_media_type", expected="application/yaml")
    body = await request.body()
    if len(body) > LARGEST_POLICY:
        raise Refused("policy_too_large", limit=LARGEST_POLICY)
    if not body:
        raise InvalidBody(Wrong("", "缺少请求体", "a body is required"))
    try:
        content = body.decode()
    except UnicodeDecodeError:
        raise InvalidBody(Wrong("", "不是有效的 UTF-8 文本", "is not valid UTF-8")) from None
    return await carry_out(request, UploadPolicy(policy_id=policy_id, content=content), idempotency_key)


@delete(
    "/v1/deid/policies/{policy_id:str}",
    operation_id="deletePolicy",
    summary="Take a policy out of use; its versions stay on record, and jobs at work go on",
    tags=_TAGS,
    status_code=200,
    response_headers=[EVENT_POSITION, COMMAND_ID],
    responses=problems(*OF_COMMANDS, "policy_not_found", "policy_built_in"),
)
async def delete_policy(
    request: AnyRequest, policy_id: PolicyId, idempotency_key: IdempotencyKey = None
) -> Response[PolicyRemoved]:
    return await carry_out(request, DeletePolicy(policy_id=policy_id), idempotency_key)


ROUTES: list[Any] = [list_policies, get_policy, upload_policy, delete_policy]


def _summary(policy: KnownPolicy) -> PolicySummary:
    return PolicySummary(
        id=policy.id, version=policy.version, built_in=True, sha256=policy.sha256, versions=(policy.version,)
    )


def _detail(policy: KnownPolicy) -> PolicyDetail:
    return PolicyDetail(
        id=policy.id,
        version=policy.version,
        built_in=True,
        sha256=policy.sha256,
        versions=(policy.version,),
        content=policy.content,
    )
