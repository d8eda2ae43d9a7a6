"""Files on their way from a client into a dataset."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import UUID, uuid4, uuid5

from litestar import Response

from contracts.command import Command
from contracts.datasets import AddDatasetFile
from contracts.problems import Refused
from events.datasets import Dataset, DatasetFact
from events.log import EventLog, LogUnavailable
from events.tokens import Role
from services.edge.answers import answered, traceparent_of
from services.edge.context import AnyRequest, asked_of, edge_of
from services.runtime.commands import DATASETS
from services.runtime.dispatch import load
from services.runtime.intake import Answer, Caller, check_key, command_id
from services.runtime.storage import Arrived
from services.runtime.storage.keeping import to_go
from services.runtime.storage.recording import record
from services.runtime.storage.sweeping import names

_log = logging.getLogger(__name__)

LEAST: Role = "operator"  # the role that may add files
_QUIET = 60.0  # seconds without a byte: whoever sends is gone, and no connection was seen to end


async def may_upload(
    request: AnyRequest, dataset_id: UUID, key: str | None = None, kind: type[Command] = AddDatasetFile
) -> Caller:
    """Who uploads. Refuses before a byte is received what would be refused after the last one.

    Raises Refused: forbidden, invalid_command_id, dataset_not_found.
    """
    edge, asked = edge_of(request), asked_of(request)
    caller = await edge.caller(asked.identity)
    await edge.intake.require(kind, caller, LEAST, asked.request_id)
    if key is not None:
        check_key(key)
    dataset: Dataset = (await load(edge.log, DATASETS, dataset_id)).state
    # A request that is repeated with its key is answered as it was, although the dataset was deleted since.
    if not dataset.exists and (key is None or not dataset.name):
        raise Refused("dataset_not_found", dataset_id=dataset_id)
    return caller


async def record_upload(
    request: AnyRequest, caller: Caller, dataset_id: UUID, name: str, arrived: Arrived, key: str | None
) -> Response[Any]:
    """Its id derives from key, dataset and content: repeated, it is the same upload; any other one is refused."""
    edge = edge_of(request)
    identity = uuid4() if key is None else command_id(caller.person, key)
    upload_id = uuid5(identity, f"{dataset_id} {arrived.sha256} {name}")

    async def hand_in(command: AddDatasetFile) -> Answer:
        return await edge.intake.handle(
            command,
            caller,
            key=key,
            least=LEAST,
            correlation_id=asked_of(request).request_id,
            traceparent=traceparent_of(request),
        )

    named = None if key is None else still_named(edge.log, dataset_id)
    return answered(request, await record(arrived, dataset_id, upload_id, name, hand_in, named))


async def pieces(request: AnyRequest) -> AsyncIterator[bytes]:
    """The body as it comes. Raises Refused (upload_stalled)."""
    stream = request.stream()
    while True:
        try:
            async with asyncio.timeout(_QUIET):
                data = await anext(stream, None)
        except TimeoutError:
            raise Refused("upload_stalled", seconds=int(_QUIET)) from None
        if data is None:
            return
        if data:
            yield data


def still_named(log: EventLog, owner: UUID) -> Callable[[str], Awaitable[bool]]:
    """Tells of a stored name whether the owner's facts name it as of now. LogUnavailable."""
    return lambda stored_name: names(log, owner, stored_name)


def dataset_id_of(text: str) -> UUID:
    """Raises Refused (dataset_not_found)."""
    try:
        return UUID(text)
    except ValueError:
        raise Refused("dataset_not_found", dataset_id=text) from None


def upload_id_of(text: str) -> UUID:
    """Raises Refused (upload_not_found)."""
    try:
        return UUID(text)
    except ValueError:
        raise Refused("upload_not_found", upload_id=text) from None


async def remove_bytes(request: AnyRequest, dataset_id: UUID, upload_id: UUID | None = None) -> None:
    """What facts have just said is to go goes before the answer does; should this fail, the keeper does it later."""
    edge = edge_of(request)
    try:
        for recorded in await edge.log.read(DatasetFact.context, dataset_id):
            for name in to_go(recorded.fact):
                if upload_id is None or name.startswith(str(upload_id)):
                    await asyncio.to_thread(edge.uploads.storage.remove, name)
        if upload_id is None:
            for unfinished in await edge.uploads.resumable.all():
                if unfinished.described.dataset_id == dataset_id:
                    await edge.uploads.resumable.abort(unfinished.described.upload_id)
    except (OSError, LogUnavailable, Refused) as error:
        _log.warning("the bytes of dataset %s are removed later: %r", dataset_id, error)
