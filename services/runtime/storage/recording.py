"""From a file that has arrived to the fact that names it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar
from uuid import UUID

from contracts.datasets import AddDatasetFile
from contracts.problems import Refused
from services.runtime.outcome_records import is_transient
from services.runtime.storage.arriving import Arrived
from services.runtime.storage.names import stored_name
from services.runtime.storage.store import storage_refusals

T = TypeVar("T")


async def record(
    arrived: Arrived,
    dataset_id: UUID,
    upload_id: UUID,
    name: str,
    hand_in: Callable[[AddDatasetFile], Awaitable[T]],
    named: Callable[[str], Awaitable[bool]] | None = None,
) -> T:
    """As `hand_over`, of a file of a dataset."""
    stored = stored_name(upload_id, name)
    command = AddDatasetFile(
        dataset_id=dataset_id,
        upload_id=upload_id,
        name=name,
        stored_name=stored,
        bytes=arrived.size,
        sha256=arrived.sha256,
    )
    return await hand_over(arrived, dataset_id, stored, lambda: hand_in(command), named)


async def hand_over(
    arrived: Arrived,
    owner: UUID,
    stored: str,
    hand_in: Callable[[], Awaitable[T]],
    named: Callable[[str], Awaitable[bool]] | None = None,
) -> T:
    """Places the file, hands in what names it, and ends the file by what became of it; raises what `hand_in` raises.

    `owner` is the aggregate whose facts name it, for a later sweep. Only a refusal that is final removes the file:
    after anything else it may yet be on record. `named` is given where the answer may be an earlier request's, and says
    of the stored name whether the file still counts: it may have been removed since.
    """
    try:
        with storage_refusals():
            await arrived.place(owner, stored)
    except BaseException:
        await arrived.doubt()
        raise
    try:
        answer = await hand_in()
        counts = named is None or await named(stored)
    except Refused as refused:
        await (arrived.doubt() if is_transient(refused) else arrived.discard())
        raise
    except BaseException:
        await arrived.doubt()
        raise
    await (arrived.settle() if counts else arrived.discard())
    return answer
