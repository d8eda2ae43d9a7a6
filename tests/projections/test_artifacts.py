"""Tags of artifacts in the tables: versions of an artifact's row, whichever batches the facts come in."""

from __future__ import annotations

from uuid import UUID

import pytest

from events.runs import RunArtifactTagged, RunArtifactUntagged
from projections.database import Database
from projections.ownership import empty_facts
from projections.queries.cut import NOW, Cut
from projections.queries.runs import run_artifacts
from tests.projections.histories import History, artifact, identify, project_created, run_requested
from tests.projections.tables import ask, checksum_at, cut_at, fold_all

PROJECT, RUN = identify("project"), identify("run")
ONE, TWO = artifact(RUN, 1), artifact(RUN, 2)
HISTORY = (
    History()
    .add(PROJECT, project_created())
    .add(RUN, run_requested(PROJECT), ONE, TWO)
    .add(RUN, RunArtifactTagged(artifact_id=ONE.artifact_id, tag="最佳"))
    .add(RUN, RunArtifactTagged(artifact_id=ONE.artifact_id, tag="release"))
    .add(RUN, RunArtifactTagged(artifact_id=TWO.artifact_id, tag="release"))
    .add(RUN, RunArtifactUntagged(artifact_id=ONE.artifact_id, tag="最佳"))
    .facts
)


def tags(database: Database, cut: Cut = NOW) -> dict[UUID, tuple[str, ...]]:
    return {found.id: found.tags for found in ask(database, lambda connection: run_artifacts(connection, RUN, cut))}


@pytest.mark.parametrize("batch", [1, 3, 100])
def test_tags_come_and_go(database: Database, batch: int) -> None:
    fold_all(database, HISTORY, batch)
    assert tags(database) == {ONE.artifact_id: ("release",), TWO.artifact_id: ("release",)}
    assert tags(database, cut_at(6)) == {ONE.artifact_id: ("最佳", "release"), TWO.artifact_id: ()}
    assert tags(database, cut_at(4)) == {ONE.artifact_id: (), TWO.artifact_id: ()}
    found = ask(database, lambda connection: run_artifacts(connection, RUN))[0]
    assert (found.size, found.files, found.sha256) == (ONE.size, ONE.files, ONE.sha256)


def test_it_is_the_same_folded_in_one_go_and_bit_by_bit(database: Database) -> None:
    fold_all(database, HISTORY)
    whole = checksum_at(database, len(HISTORY))
    with database.writing() as connection:
        empty_facts(connection)
    fold_all(database, HISTORY, 1)
    assert checksum_at(database, len(HISTORY)) == whole
