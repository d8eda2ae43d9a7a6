"""The last heartbeat of each node that trains, de-identifies or serves, as the store has it, and the store's clock."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec
import nats.errors
import nats.js.errors
from nats.aio.client import Client

from contracts.nodes import Heartbeat, ServingHeartbeat
from events.log import LogUnavailable
from events.log.streams import NODES
from services.runtime.bucket import Bucket
from services.runtime.ending import answered

CLOCK = "clock"  # overwritten by whoever wants to know whether the store takes heartbeats, and what time it has
_NODES = "nodes."
_DEID = "deid."
_SERVING = "serving."
_NOBODY = Heartbeat(instance=UUID(int=0), data_directory=UUID(int=0), boot="")


class Stored(msgspec.Struct, frozen=True):
    """`at` is when the store took it, by the store's clock."""

    heartbeat: Heartbeat
    revision: int
    at: datetime


def key_of(node: str) -> str:
    return _NODES + node


def node_of(key: str) -> str | None:
    return key.removeprefix(_NODES) if key.startswith(_NODES) else None


def deid_node_of(key: str) -> str | None:
    """The node of the de-identification service whose heartbeat it is."""
    return key.removeprefix(_DEID) if key.startswith(_DEID) else None


def serving_of(key: str) -> UUID | None:
    """The deployment service whose heartbeat it is."""
    if not key.startswith(_SERVING):
        return None
    try:
        return UUID(key.removeprefix(_SERVING))
    except ValueError:
        return None


def _not_followed(_: str, __: bytes | None) -> None:
    return


class Heartbeats:
    """Everything raises LogUnavailable where the store does not answer within `timeout` seconds."""

    def __init__(self, nc: Client, *, timeout: float = 5.0) -> None:
        self._js = nc.jetstream(timeout=timeout)
        self._bucket = Bucket(nc, NODES, _not_followed, timeout=timeout)

    async def put(self, node: str, heartbeat: Heartbeat, expected: int) -> int | None:
        """The new revision; none where the last one of the node is not `expected` (0: there is none)."""
        return await self._bucket.put(key_of(node), msgspec.json.encode(heartbeat), expected)

    async def put_deid(self, node: str) -> None:
        """Of the de-identification service of a node: it works on its jobs."""
        await self._bucket.put(_DEID + node, b"")

    async def deid_nodes(self) -> set[str]:
        """The nodes whose de-identification service was ever heard of."""
        prefix = f"$KV.{NODES}.{_DEID}"
        try:
            info = await answered(self._js.stream_info(self._bucket.stream, subjects_filter=f"{prefix}>"))
        except (nats.errors.Error, nats.js.errors.Error) as error:
            raise LogUnavailable(str(error)) from error
        return {subject.removeprefix(prefix) for subject in info.state.subjects or ()}

    async def put_serving(self, service: UUID, heartbeat: ServingHeartbeat) -> None:
        """Of the deployment service of a data directory."""
        await self._bucket.put(f"{_SERVING}{service}", msgspec.json.encode(heartbeat))

    async def last(self, node: str) -> Stored | None:
        found = await self._last(key_of(node))
        if found is None:
            return None
        data, revision, at = found
        try:
            heartbeat = msgspec.json.decode(data, type=Heartbeat)
        except msgspec.DecodeError:  # of another release: somebody's, whoever that is
            heartbeat = _NOBODY
        return Stored(heartbeat, revision, at)

    async def now(self) -> datetime:
        """The store's time."""
        await self._bucket.put(CLOCK, b"")
        found = await self._last(CLOCK)
        if found is None:
            raise LogUnavailable(f"{self._bucket.stream} does not keep what it is given")
        return found[2]

    async def _last(self, key: str) -> tuple[bytes, int, datetime] | None:
        try:
            message = await answered(self._js.get_last_msg(self._bucket.stream, f"$KV.{NODES}.{key}"))
        except nats.js.errors.NotFoundError:
            return None
        except (nats.errors.Error, nats.js.errors.Error) as error:
            raise LogUnavailable(str(error)) from error
        assert message.seq is not None
        assert message.time is not None
        return message.data or b"", message.seq, message.time
