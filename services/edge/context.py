"""What every request is answered with, and what is known of one request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, cast
from uuid import UUID

import msgspec
from litestar import Request
from litestar.connection import ASGIConnection

from contracts.problems import Language
from events.log import EventLog
from services.edge.auth import Identity
from services.edge.deid import DeidTexts
from services.edge.deid_progress import DeidProgress
from services.edge.parameters import Past
from services.runtime.gathering.sources import People
from services.runtime.intake import Caller, Intake
from services.runtime.live_runs import LiveRuns
from services.runtime.nodes.deployments import Deployments
from services.runtime.nodes.files import NodeFiles
from services.runtime.nodes.states import NodeStates
from services.runtime.reads import Reads
from services.runtime.storage import Storage
from services.runtime.storage.resumable import Resumable

AnyRequest = Request[Any, Any, Any]

_NOBODY = UUID(int=0)


class Directory(People, Protocol):
    """The directory of people, in both directions."""

    def name_of(self, person: UUID) -> str | None: ...

    async def find(self, name: str) -> UUID | None: ...


class Uploads(msgspec.Struct, frozen=True, kw_only=True):
    """Where files go, and how large each may be (bytes)."""

    storage: Storage
    resumable: Resumable
    limit: int
    config_limit: int
    resumable_limit: int


class Edge(msgspec.Struct, frozen=True, kw_only=True):
    """The parts that routes use."""

    log: EventLog
    people: Directory
    reads: Reads
    past: Past
    intake: Intake
    live: LiveRuns
    files: NodeFiles
    nodes: NodeStates
    deployments: Deployments
    deid_texts: DeidTexts
    deid_progress: DeidProgress
    uploads: Uploads

    async def caller(self, identity: Identity) -> Caller:
        """Somebody who commands is entered in the directory of people. Raises LogUnavailable."""
        person = identity.person or await self.people.ensure(identity.name)
        return Caller(identity.name, person, identity.role, identity.may_reveal)

    async def onlooker(self, identity: Identity) -> Caller:
        """Somebody who only looks, and who is nobody where that name is not in the directory. Raises LogUnavailable."""
        person = identity.person or await self.people.find(identity.name) or _NOBODY
        return Caller(identity.name, person, identity.role, identity.may_reveal)


class Asked(msgspec.Struct, frozen=True):
    """What the front found out of a request before it was routed.

    `headers` by their names in lower case, of a repeated one the last; `head`: the answer's body will not be sent.
    """

    request_id: str
    language: Language
    identity: Identity
    headers: Mapping[bytes, bytes]
    head: bool = False


def edge_of(request: AnyRequest) -> Edge:
    return cast("Edge", request.scope["state"]["edge"])


def asked_of(request: ASGIConnection[Any, Any, Any, Any]) -> Asked:
    return cast("Asked", request.scope["state"]["asked"])
