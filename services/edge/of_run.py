"""Questions about one run: it has to be there, and in the project that the path names."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar
from uuid import UUID

from sqlalchemy import Connection, select

from contracts.problems import Refused
from contracts.projects import project_id
from projections.queries.cut import NOW, Cut
from projections.queries.projects import project_summary
from projections.tables import runs
from services.edge.context import Edge
from services.runtime.questions import Shown

T = TypeVar("T")


def run_id_of(text: str) -> UUID:
    """Raises Refused (run_not_found)."""
    try:
        return UUID(text)
    except ValueError:
        raise Refused("run_not_found", run_id=text) from None


def artifact_id_of(text: str) -> UUID:
    """Raises Refused (artifact_not_found)."""
    try:
        return UUID(text)
    except ValueError:
        raise Refused("artifact_not_found", artifact_id=text) from None


async def ask_of_run(
    edge: Edge, project_reference: str, run_id: UUID, question: Callable[[Connection], T], cut: Cut = NOW
) -> Shown[T]:
    """Asks in one transaction. Raises Refused where there is no such run, or no such project, at the cut."""
    project = project_id(project_reference)

    def answer(connection: Connection) -> T:
        statement = select(runs.c.project_id).where(runs.c.id == str(run_id), cut.holds(runs))
        if connection.execute(statement).scalar_one_or_none() == str(project):
            return question(connection)
        if project_summary(connection, project, lambda _: None, cut) is None:
            raise Refused("project_not_found", reference=project_reference)
        raise Refused("run_not_found", run_id=run_id)

    return await edge.reads.ask(answer)
