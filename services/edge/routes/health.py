"""Whether the service lives, and whether it can do its work."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, Literal

import msgspec
import nats.errors
from litestar import Response, get

from contracts.problems import Refused, Wrong
from events.log import LogUnavailable
from projections.database import lacks_tables
from services.edge.answers import Json
from services.edge.context import AnyRequest, Edge, edge_of
from services.edge.described import problems
from services.runtime.storage.store import storage_refusals

_PATIENCE = 2.0


class Alive(msgspec.Struct, frozen=True):
    status: Literal["ok"] = "ok"


class Ready(msgspec.Struct, frozen=True, kw_only=True):
    """`position` is that of the newest fact; `projected` that up to which the read models are."""

    status: Literal["ready"] = "ready"
    position: int
    projected: int
    projection_lag: int


_ALIVE = msgspec.json.encode(Alive())


@get("/healthz", operation_id="healthz", summary="Whether this process lives", tags=["health"], responses=problems())
async def healthz() -> Response[Alive]:
    return Json(_ALIVE)


@get(
    "/readyz",
    operation_id="readyz",
    summary="Whether the log and the database answer, the projector keeps up and uploads can be stored",
    tags=["health"],
    responses=problems("not_ready"),
)
async def readyz(request: AnyRequest) -> Response[Ready]:
    edge = edge_of(request)
    position, projected, stored = await asyncio.gather(_log_position(edge), _projected(edge), _storage(edge))
    if isinstance(position, int) and isinstance(projected, int) and position > projected:
        with suppress(Refused):
            await edge.reads.passed(position, _PATIENCE)
        projected = await _projected(edge)  # asked again, as what was heard of may be older than a rebuild
    wrongs = [found for found in (position, projected, stored) if isinstance(found, Wrong)]
    if isinstance(position, int) and isinstance(projected, int):
        if (lag := position - projected) > 0:
            wrongs.append(Wrong("/projector", f"落后 {lag} 个事件", f"is {lag} facts behind"))
        if not wrongs:
            ready = Ready(position=position, projected=projected, projection_lag=0)
            return Json(msgspec.json.encode(ready))
    raise NotReady(wrongs)


class NotReady(Refused):
    def __init__(self, wrongs: list[Wrong]) -> None:
        super().__init__("not_ready", parts=", ".join(wrong.pointer.removeprefix("/") for wrong in wrongs))
        self.wrongs = tuple(wrongs)


async def _log_position(edge: Edge) -> int | Wrong:
    try:
        return await asyncio.wait_for(edge.log.last_position(), _PATIENCE)
    except (LogUnavailable, nats.errors.Error, TimeoutError):
        return Wrong("/bus", "事件日志（NATS）没有应答", "the event log (NATS) does not answer")


async def _projected(edge: Edge) -> int | Wrong:
    try:
        return await asyncio.wait_for(edge.reads.projected(), _PATIENCE)
    except (Refused, TimeoutError) as error:
        if lacks_tables(error.__cause__):
            told = "`trainledger projector`"
            zh, en = (
                f"查询数据库中还没有表，请启动 {told}",
                f"the database has no tables of the read models yet: start {told}",
            )
            return Wrong("/database", zh, en)
        return Wrong("/database", "查询数据库没有应答", "the database of the read models does not answer")


async def _storage(edge: Edge) -> Wrong | None:
    """Whether an upload could be stored now, which only trying tells."""

    def probe() -> None:
        with storage_refusals():
            edge.uploads.storage.probe()

    try:
        await asyncio.wait_for(asyncio.to_thread(probe), _PATIENCE)
    except TimeoutError:
        return Wrong("/storage", "存储目录没有应答", "the storage does not answer")
    except Refused as refused:
        if refused.code == "storage_full":
            return Wrong("/storage", "存储空间不足", "the storage is full")
        return Wrong("/storage", "存储目录不可写", "the storage cannot be written to")
    return None


ROUTES: list[Any] = [healthz, readyz]
