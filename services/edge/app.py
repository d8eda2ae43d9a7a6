"""The ASGI application of the edge."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from litestar import Litestar, Request, Response

from contracts.problems import Refused
from services.edge.auth import Authenticator
from services.edge.bodies import refuse_unread
from services.edge.context import Edge, asked_of
from services.edge.document import RAW_BODIES, openapi_config
from services.edge.front import Front
from services.edge.hosts import HostGuard
from services.edge.methods import options_for
from services.edge.parameters import refuse_unknown_query
from services.edge.problems import MEDIA_TYPE, TUS_VERSION, answer
from services.edge.routes import (
    artifacts,
    commands,
    dataset_configs,
    dataset_files,
    datasets,
    deid,
    deid_texts,
    deployment_history,
    deployments,
    documents,
    health,
    nodes,
    policies,
    projects,
    run_configs,
    run_logs,
    run_views,
    runs,
    train_config,
    uploads,
)

ROUTES = [
    *projects.ROUTES,
    *runs.ROUTES,
    *run_logs.ROUTES,
    *run_views.ROUTES,
    *run_configs.ROUTES,
    *artifacts.ROUTES,
    *datasets.ROUTES,
    *dataset_files.ROUTES,
    *dataset_configs.ROUTES,
    *uploads.ROUTES,
    *train_config.ROUTES,
    *nodes.ROUTES,
    *deid.ROUTES,
    *deid_texts.ROUTES,
    *policies.ROUTES,
    *deployments.ROUTES,
    *deployment_history.ROUTES,
    *commands.ROUTES,
    *health.ROUTES,
    *documents.ROUTES,
]


def create_app(
    edge: Edge, authenticator: Authenticator, *, hosts: HostGuard | None, body_limit: int = 1_048_576
) -> Front:
    """`hosts` is none where requests for any host are answered; `body_limit` in bytes, of a JSON body."""
    return Front(_routed(body_limit), edge, authenticator, hosts, body_limit)


@lru_cache(maxsize=4)
def _routed(body_limit: int) -> Litestar:
    """What is asked of which handler. It takes 0.2 s to make and knows no ledger, so one serves all of a process."""

    def on_error(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
        asked = request.scope["state"]["asked"]
        told = answer(error, language=asked.language, request_id=asked.request_id, body_limit=body_limit)
        if "tus-resumable" in request.headers:  # tus wants its version in each answer
            told.headers["tus-resumable"] = TUS_VERSION
        return Response(told.body, status_code=told.status, headers=told.headers, media_type=MEDIA_TYPE)

    async def refuse_unknown(request: Request[Any, Any, Any]) -> None:
        if asked_of(request).headers.get(b"content-encoding", b"identity").lower() != b"identity":
            raise Refused("unsupported_content_encoding")
        await refuse_unknown_query(request)
        await refuse_unread(request, RAW_BODIES)

    return Litestar(
        [*options_for(ROUTES), *ROUTES],
        openapi_config=openapi_config(),
        exception_handlers={Exception: on_error},
        before_request=refuse_unknown,
        request_max_body_size=body_limit,
        logging_config=None,
    )
