"""Resumable uploads taken further: their next bytes, their end, and the wait for whoever holds them."""

from __future__ import annotations

import asyncio
from uuid import UUID

from contracts.datasets import AddDatasetFile
from contracts.problems import Refused
from events.datasets import Dataset, DatasetFact
from projections.queries.datasets import StoredFile, stored_file
from services.edge.answers import traceparent_of
from services.edge.context import AnyRequest, Edge, asked_of, edge_of
from services.edge.uploading import LEAST, pieces
from services.runtime.commands import DATASETS
from services.runtime.dispatch import load
from services.runtime.intake import Answer, Caller
from services.runtime.storage.keeping import recording_id
from services.runtime.storage.recording import record
from services.runtime.storage.resumable import Unfinished

# How long a piece waits for the one before it, whose connection was lost and which the server has not noticed yet.
_TURNS, _TURN = 50, 0.1
_PATIENCE = 5.0  # seconds for the read models to show what is on record


async def is_on_record(request: AnyRequest, dataset_id: UUID, upload_id: UUID, name: str, length: int) -> bool:
    """Whether what is being created was finished before: repeated, it must not begin anew. Raises Refused."""
    dataset: Dataset = (await load(edge_of(request).log, DATASETS, dataset_id)).state
    files = (file for version in dataset.versions for file in version.files if file.upload_id == upload_id)
    if (file := next(files, None)) is None:
        return False
    if (file.name, file.bytes) != (name, length):
        raise Refused("command_id_reused")
    return True


async def append(request: AnyRequest, upload_id: UUID, offset: int) -> Unfinished:
    """The piece before may hold the upload still: its connection was lost, and it waits for more or writes its last."""
    resumable = edge_of(request).uploads.resumable
    for _ in range(_TURNS):
        try:
            return await resumable.append(upload_id, offset, pieces(request))
        except Refused as refused:
            if refused.code != "upload_busy":
                raise
        resumable.interrupt(upload_id)
        await asyncio.sleep(_TURN)
    raise Refused("upload_busy")


async def complete(request: AnyRequest, caller: Caller, upload_id: UUID) -> dict[str, str]:
    """All of it has arrived: it becomes a file of the dataset, once, whoever else is at it. Headers of the answer."""
    edge, asked = edge_of(request), asked_of(request)

    async def hand_in(command: AddDatasetFile) -> Answer:
        return await edge.intake.handle(
            command,
            caller,
            identity=recording_id(upload_id),
            least=LEAST,
            correlation_id=asked.request_id,
            traceparent=traceparent_of(request),
        )

    for _ in range(_TURNS):
        try:
            described, part = await edge.uploads.resumable.complete(upload_id)
        except Refused as refused:
            if refused.code == "upload_not_found":
                return {}  # another one was faster
            if refused.code != "upload_busy":
                raise
            await asyncio.sleep(_TURN)
            continue
        answer = await record(part, described.dataset_id, upload_id, described.name, hand_in)
        return {"Event-Position": str(answer.position), "Command-Id": str(answer.command_id)}
    raise Refused("upload_busy")


async def aborted_unfinished(request: AnyRequest, caller: Caller, upload_id: UUID) -> bool:
    """False: it is finished, or there is none."""
    resumable = edge_of(request).uploads.resumable
    if await resumable.find(upload_id) is None:
        return False
    for _ in range(_TURNS):
        try:
            if await resumable.abort(upload_id):
                return True
            await complete(request, caller, upload_id)  # it may be on record: then that is taken back
        except Refused as refused:
            if refused.code == "upload_not_found":
                return False
            if refused.code != "upload_busy":
                raise
            resumable.interrupt(upload_id)
            await asyncio.sleep(_TURN)
        else:
            return False
    raise Refused("upload_busy")


async def finished(edge: Edge, upload_id: UUID, *, also_removed: bool = False) -> StoredFile:
    """Raises Refused (upload_not_found). Where it is not shown, whatever is on record by now is waited for."""
    file: StoredFile | None = None
    for last_try in (False, True):
        shown = await edge.reads.ask(lambda connection: stored_file(connection, upload_id))
        file = shown.answer
        if file is not None or last_try:
            break
        position = await edge.log.last_position((DatasetFact.context,))
        if shown.position >= position or not await edge.reads.passed(position, _PATIENCE):
            break
    if file is None or not (file.available or also_removed):
        raise Refused("upload_not_found", upload_id=upload_id)
    return file
