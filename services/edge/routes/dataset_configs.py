"""The training configuration that belongs to a dataset, over HTTP."""

from __future__ import annotations

from typing import Any

from litestar import Response, delete, get, put

from contracts.datasets import DeleteDatasetTrainConfig, SetDatasetTrainConfig
from contracts.problems import Refused
from contracts.train_config import DatasetTrainConfigStored, TrainConfigGone
from projections.queries.datasets import dataset_exists, dataset_train_config
from services.edge import train_configs
from services.edge.answers import carry_out
from services.edge.context import AnyRequest, edge_of
from services.edge.described import COMMAND_ID, EVENT_POSITION, OF_COMMANDS, OF_READS, problems
from services.edge.parameters import AsOf, DatasetId, IdempotencyKey, IfNoneMatch, MinEventPosition
from services.edge.routes.train_config import ETAG, NOT_MODIFIED, OF_UPLOADS
from services.edge.uploading import dataset_id_of, may_upload

_TAGS = ["datasets"]
_PATH = "/v1/datasets/{dataset_id:str}/train-config"


@put(
    _PATH,
    operation_id="uploadDatasetTrainConfig",
    summary="Give a dataset a training configuration (multipart/form-data, field `file`), in place of the one it has",
    tags=_TAGS,
    request_max_body_size=None,
    response_headers=[EVENT_POSITION, COMMAND_ID],
    responses=problems(*OF_UPLOADS, "dataset_not_found"),
)
async def upload_dataset_config(
    request: AnyRequest, dataset_id: DatasetId, idempotency_key: IdempotencyKey = None
) -> Response[DatasetTrainConfigStored]:
    dataset = dataset_id_of(dataset_id)
    caller = await may_upload(request, dataset, idempotency_key, SetDatasetTrainConfig)
    received = await train_configs.receive(request)
    stored: Response[Any] = await train_configs.store(
        request,
        caller,
        received,
        dataset,
        lambda file: SetDatasetTrainConfig(dataset_id=dataset, file=file),
        idempotency_key,
    )
    return stored


@get(
    _PATH + "/content",
    operation_id="downloadDatasetTrainConfig",
    summary="The YAML of the training configuration that belongs to a dataset",
    tags=_TAGS,
    media_type=train_configs.MEDIA_TYPE,
    response_headers=[EVENT_POSITION, ETAG],
    responses=NOT_MODIFIED
    | problems(*OF_READS, "dataset_not_found", "dataset_train_config_missing", "train_config_unreadable"),
)
async def download_dataset_config(
    request: AnyRequest,
    dataset_id: DatasetId,
    if_none_match: IfNoneMatch = None,
    as_of: AsOf = None,
    min_event_position: MinEventPosition = None,
) -> Response[bytes]:
    edge, dataset = edge_of(request), dataset_id_of(dataset_id)
    cut = await edge.past.cut(as_of, min_event_position)
    shown = await edge.reads.ask(
        lambda connection: (dataset_exists(connection, dataset, cut), dataset_train_config(connection, dataset, cut))
    )
    exists, found = shown.answer
    if not exists:
        raise Refused("dataset_not_found", dataset_id=dataset_id)
    if found is None:
        raise Refused("dataset_train_config_missing", dataset_id=dataset_id)
    position = shown.position if cut.position is None else cut.position
    storage = edge.uploads.storage
    return await train_configs.download(
        found.filename,
        found.sha256,
        position,
        if_none_match,
        lambda: train_configs.content_of(storage, found.stored_name, found.sha256),
    )


@delete(
    _PATH,
    operation_id="deleteDatasetTrainConfig",
    summary="Take the training configuration of a dataset away; its history stays",
    tags=_TAGS,
    status_code=200,
    response_headers=[EVENT_POSITION, COMMAND_ID],
    responses=problems(*OF_COMMANDS, "dataset_not_found", "dataset_train_config_missing"),
)
async def delete_dataset_config(
    request: AnyRequest, dataset_id: DatasetId, idempotency_key: IdempotencyKey = None
) -> Response[TrainConfigGone]:
    command = DeleteDatasetTrainConfig(dataset_id=dataset_id_of(dataset_id))
    return await carry_out(request, command, idempotency_key)


ROUTES: list[Any] = [upload_dataset_config, download_dataset_config, delete_dataset_config]
