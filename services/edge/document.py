"""The OpenAPI document: what the framework reads off the routes, and what is alike for all of them."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec
from litestar import Litestar
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityScheme

from contracts.datasets import (
    CreateDataset,
    CreatedDataset,
    DatasetRecord,
    DatasetRemoved,
    DatasetSummary,
    Download,
    RetentionChange,
    RetentionOfDataset,
    UploadAborted,
    Uploaded,
    UploadState,
    VersionDetail,
    VersionSummary,
)
from contracts.deid import DatasetDeidentification, DeidJobView, DeidReport
from contracts.deid_texts import DeidRequest, DeidResponse, ReverseRequest, ReverseResponse
from contracts.deployment_history import DeploymentExplanation
from contracts.deployments import CreateDeployment, DeploymentInfo, DeploymentRemoval, LogPiece, NodeGpus
from contracts.nodes import ForgottenNode, NodeDetail
from contracts.outcomes import Outcome
from contracts.policies import LARGEST_POLICY, PolicyDetail, PolicyRemoved, PolicySummary
from contracts.problems import Problem
from contracts.projects import CreateProject, Project, ProjectChanges, ProjectDetail
from contracts.run_views import LogPage, LogSlice, RunArtifacts, RunExplanation, RunMetrics
from contracts.runs import Artifact, ArtifactTag, RunDetail, RunOptions
from contracts.train_config import (
    DatasetTrainConfigStored,
    RunConfigDifference,
    TrainConfigGone,
    TrainConfigStored,
    TrainConfigVersion,
    TrainConfigView,
    VersionDifference,
)
from services import VERSION
from services.edge.routes.health import Alive, Ready

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
_OF_COMMANDS: list[dict[str, Any]] = [
    {
        "name": "X-Actor",
        "in": "header",
        "required": False,
        "description": "Who asks, where no token says so (loopback only); `local` by default",
        "schema": {"type": "string", "maxLength": 200},
    },
    {
        "name": "traceparent",
        "in": "header",
        "required": False,
        "description": "W3C trace context, kept with the facts that the command leads to",
        "schema": {"type": "string"},
    },
]
_LOGS = "/projects/{project_reference}/runs/{run_id}/logs"
_OTHER_LOGS = {media: {"schema": {"type": "string"}} for media in ("text/plain", "text/event-stream")}
_BYTES = {"type": "string", "format": "binary"}
_FORM = {
    "type": "object",
    "properties": {"file": _BYTES},
    "required": ["file"],
    "additionalProperties": False,
}
_PART = {"application/offset+octet-stream": {"schema": _BYTES}}
# Bodies that routes read by themselves, of which the framework knows nothing, by operation.
RAW_BODIES: dict[str, dict[str, Any]] = {
    **{
        operation: {"required": True, "content": {"multipart/form-data": {"schema": _FORM}}}
        for operation in ("uploadDatasetFile", "uploadTrainConfig", "uploadDatasetTrainConfig")
    },
    "createUpload": {"required": False, "description": "The first bytes, where they are at hand", "content": _PART},
    "continueUpload": {"required": True, "content": _PART},
    "overrideUploadMethod": {"required": False, "content": _PART},
    "uploadPolicy": {
        "required": True,
        "description": "The policy, which names its own `id` and `version`",
        "content": {"application/yaml": {"schema": {"type": "string", "minLength": 1, "maxLength": LARGEST_POLICY}}},
    },
}
_SUCCESSES = {"200": "As asked", "201": "Made", "202": "Accepted, not waited for"}


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


# Everything that stands in a body. msgspec describes its structs as exactly as it decodes them, the framework does not.
_BODIES = (
    CreateProject,
    ProjectChanges,
    Project,
    ProjectDetail,
    RunOptions,
    RunDetail,
    LogPage,
    LogSlice,
    RunMetrics,
    RunArtifacts,
    Artifact,
    ArtifactTag,
    RunExplanation,
    DatasetDeidentification,
    DeidJobView,
    DeidReport,
    DeidRequest,
    DeidResponse,
    ReverseRequest,
    ReverseResponse,
    PolicySummary,
    PolicyDetail,
    PolicyRemoved,
    CreateDataset,
    CreatedDataset,
    DatasetSummary,
    DatasetRecord,
    DatasetRemoved,
    RetentionChange,
    RetentionOfDataset,
    VersionSummary,
    VersionDetail,
    Uploaded,
    UploadState,
    UploadAborted,
    Download,
    TrainConfigView,
    TrainConfigStored,
    TrainConfigGone,
    TrainConfigVersion,
    VersionDifference,
    RunConfigDifference,
    DatasetTrainConfigStored,
    NodeDetail,
    ForgottenNode,
    CreateDeployment,
    DeploymentInfo,
    DeploymentRemoval,
    DeploymentExplanation,
    LogPiece,
    NodeGpus,
    Outcome,
    Alive,
    Ready,
    Problem,
)


def _schemas(named: dict[str, Any]) -> dict[str, Any]:
    """The schemas of all bodies. LookupError: a route speaks of a struct that is not among them."""
    _, schemas = msgspec.json.schema_components(_BODIES, ref_template="#/components/schemas/{name}")
    if missing := named.keys() - schemas.keys():
        raise LookupError(f"not among the described bodies: {sorted(missing)}")
    return schemas


@lru_cache(maxsize=1)
def document(app: Litestar) -> bytes:
    """OpenAPI 3.1 as JSON."""
    described = app.openapi_schema.to_schema()
    described["components"]["schemas"] = _schemas(described["components"]["schemas"])
    for path in described["paths"].values():
        for method, operation in path.items():
            asked = [_without_null(parameter) for parameter in operation.get("parameters", [])]
            operation["parameters"] = (
                asked + _EVERYWHERE + (_OF_COMMANDS if method in ("post", "put", "patch", "delete") else [])
            )
            if (raw := RAW_BODIES.get(operation["operationId"])) is not None:
                operation["requestBody"] = raw
            elif "requestBody" in operation:
                _describe_body(operation["requestBody"])
            for status, response in operation["responses"].items():
                _describe_response(response, status)
    described["paths"][_LOGS]["get"]["responses"]["200"]["content"] |= _OTHER_LOGS
    return msgspec.json.encode(described)


def _without_null(parameter: dict[str, Any]) -> dict[str, Any]:
    """A parameter that may be left out cannot be null, which no query and no header can spell."""
    schema = dict(parameter["schema"])
    for kind in schema.pop("oneOf", ()):
        if kind != {"type": "null"}:
            schema = kind | schema
    return parameter | {"schema": schema}


def _describe_body(body: dict[str, Any]) -> None:
    media = body["content"]["application/json"]
    kinds = media["schema"].get("oneOf", ())
    if {"type": "null"} in kinds:  # it may be left out, but `null` is no body
        body["required"] = False
        media["schema"] = next(kind for kind in kinds if kind != {"type": "null"})


def _describe_response(response: dict[str, Any], status: str) -> None:
    response["description"] = _SUCCESSES.get(status, response["description"])
    headers = response.setdefault("headers", {})
    headers["X-Request-Id"] = {"description": "Id of this request", "required": True}
    for header in headers.values():
        header.setdefault("schema", {"type": "string"})
