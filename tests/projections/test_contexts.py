"""Every fact that the tables show, of every context, with all of its fields: the same rows on every database."""

from __future__ import annotations

import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import func, select

from events.catalogue import FACTS
from events.event import Event, Recorded
from events.policies import PolicyUploaded
from events.train_config import TRAIN_CONFIG
from projections.catalogue import HANDLERS
from projections.database import Database
from projections.ownership import rebuild
from projections.queries.deid import job_detail, live_jobs_of
from projections.tables import fact_tables
from tests.projections.conftest import LEDGER
from tests.projections.histories import History, identify
from tests.projections.tables import ask, checksum_at, cut_at, fold_all

FROZEN = Path(__file__).parent.parent / "frozen"
JOB = identify("job", 0)

# The same on every database, by position: computed by all of them, compared with the first.
SUMS: dict[int, str] = {}


def fact(kind: str, **changes: Any) -> Event:
    """As it was released, every field given."""
    body = msgspec.json.decode((FROZEN / f"{kind}.json").read_bytes())["body"]
    return msgspec.convert(body | msgspec.to_builtins(changes), FACTS[kind])


def file_of(number: int, name: str) -> dict[str, Any]:
    upload_id = identify("upload", number, name)
    return {
        "upload_id": upload_id,
        "name": name,
        "stored_name": f"{upload_id}_{name}",
        "bytes": 2**40 + number,
        "sha256": f"{number:064x}",
        "uploaded_at": "2024-04-12T08:55:02.441000Z",
    }


def a_dataset(number: int) -> list[Event]:
    one, two, derived = (file_of(number, name) for name in ("训练.jsonl", "b.csv", "c.jsonl"))
    return [
        fact("DatasetCreated", name=f"对话-{number}"),
        fact("DatasetFileAdded", file=one, version=1),
        fact("DatasetFileChecked", upload_id=one["upload_id"]),
        fact("DatasetFileAdded", file=two, version=2),
        fact("DatasetFileChecked", upload_id=two["upload_id"], verdict="invalid"),
        fact("DatasetVersionDerived", files=[derived], version=3, job_id=JOB),
        fact("DatasetTrainConfigSet"),
        fact("DatasetRetentionSet"),
        fact("DatasetFileRemoved", upload_id=two["upload_id"], stored_name=two["stored_name"], version=4),
        fact("DatasetTrainConfigSet", file=None),
        fact("DatasetFilesExpired", upload_ids=[one["upload_id"]], stored_names=[one["stored_name"]], version=5),
        fact("DatasetDeleted"),
    ]


def lives(number: int) -> list[tuple[object, list[Event]]]:
    """What happens to some aggregates, by their ids."""
    asked = [fact("DeidentificationRequested"), fact("DeidentificationAssigned", node="gpu-1")]
    wanted = fact("DeploymentRequested")
    first = [fact("DeploymentPlaced"), fact("DeploymentLaunched"), fact("DeploymentStarted")]
    tried = [fact("DeploymentAttemptEnded"), fact("DeploymentPlaced", attempt=2), fact("DeploymentLaunched", attempt=2)]
    stopped = [fact("DeploymentStopRequested"), fact("DeploymentStopUnconfirmed"), fact("DeploymentStopped")]
    policy = fact("PolicyUploaded", policy_id=f"corpus-{number}")
    other = fact("PolicyUploaded", policy_id=f"corpus-{number}", version="2", content="id: 语料\n")
    config = fact("TrainConfigUploaded", version=number + 1)
    project = identify("project", number)
    asked_run, taken = fact("RunRequested", project_id=project), [fact("RunAssigned"), fact("RunStarted")]
    artifact = fact("RunArtifactRecorded", artifact_id=identify("artifact", number))
    tags = [
        fact(kind, artifact_id=identify("artifact", number)) for kind in ("RunArtifactTagged", "RunArtifactUntagged")
    ]
    return [
        (identify("dataset", number), a_dataset(number)),
        (identify("download", number), [fact("DatasetFileDownloaded")]),
        (identify("job", number), [*asked, fact("DeidentificationCompleted")]),
        (identify("failed job", number), [*asked, fact("DeidentificationFailed")]),
        (
            identify("canceled job", number),
            [*asked, fact("DeidentificationCancelRequested"), fact("DeidentificationCanceled")],
        ),
        (identify("policy", number), [policy, other, policy, fact("PolicyDeleted"), other]),
        (identify("deployment", number), [wanted, *first, fact("DeploymentRestartRequested"), *tried, *stopped]),
        (identify("failed deployment", number), [wanted, *first, fact("DeploymentFailed"), fact("DeploymentRemoved")]),
        (identify("node", number), [fact("NodeRegistered"), fact("NodeLost"), fact("NodeForgotten")]),
        (TRAIN_CONFIG, [config, fact("TrainConfigDeleted", version=number + 1)]),
        (
            project,
            [
                fact("ProjectCreated", name=f"项目-{number}"),
                fact("ProjectRevised"),
                fact("ProjectArchived"),
                fact("ProjectUnarchived"),
            ],
        ),
        (identify("run", number), [asked_run, fact("RunQueued"), *taken, artifact, *tags, fact("RunCompleted")]),
        (
            identify("failed run", number),
            [
                asked_run,
                fact("RunAssigned"),
                fact("RunAttemptFailed"),
                fact("RunAssigned", attempt=2),
                fact("RunStarted", attempt=2),
                fact("RunStopUnconfirmed", attempt=2),
                fact("RunFailed", attempt=2),
            ],
        ),
        (identify("unlaunched run", number), [asked_run, fact("RunAssigned"), fact("RunLaunchFailed")]),
        (identify("canceled run", number), [asked_run, *taken, fact("RunCancelRequested"), fact("RunCanceled")]),
    ]


def mixed(rounds: int, seed: int) -> list[Recorded]:
    """Side by side, each aggregate's facts in their order; a project before its runs."""
    random_ = random.Random(seed)
    history = History()
    for number in range(rounds):
        waiting = [(aggregate, list(facts)) for aggregate, facts in lives(number)]
        project = next(life for life in waiting if life[0] == identify("project", number))
        history.add(project[0], project[1].pop(0))  # type: ignore[arg-type]
        while waiting:
            aggregate, facts = chosen = random_.choice(waiting)
            history.add(aggregate, facts.pop(0))  # type: ignore[arg-type]
            if not facts:
                waiting.remove(chosen)
    return history.facts


HISTORY = mixed(4, seed=3)
ALL = len(HISTORY)


def test_every_fact_that_the_tables_show_is_in_it() -> None:
    assert {type(entry.fact) for entry in HISTORY} == set(HANDLERS)
    assert any(isinstance(entry.fact, PolicyUploaded) and not entry.fact.content.isascii() for entry in HISTORY)


@pytest.mark.parametrize("batch", [1, 7, ALL])
def test_rows_do_not_depend_on_the_batches_nor_on_the_database(database: Database, batch: int) -> None:
    assert fold_all(database, HISTORY, batch) == ALL
    for position in range(0, ALL + 1, 13):
        assert SUMS.setdefault(position, checksum_at(database, position)) == checksum_at(database, position)
    assert len(set(SUMS.values())) == len(SUMS)


def test_rebuilt_equals_what_grew(database: Database) -> None:
    fold_all(database, HISTORY, 3)
    grown = checksum_at(database, ALL)
    rebuild(database, LEDGER)
    fold_all(database, HISTORY)
    assert checksum_at(database, ALL) == grown


def test_no_table_is_empty_and_one_version_of_a_row_holds_now(database: Database) -> None:
    fold_all(database, HISTORY, 5)
    for table in fact_tables.sorted_tables:
        rows = select(table.c.id)
        doubled = rows.where(table.c.until.is_(None)).group_by(table.c.id).having(func.count() > 1)
        assert _asked(database, rows), table.name
        assert _asked(database, doubled) == [], table.name


def test_the_jobs_that_a_node_works_on_are_found(database: Database) -> None:
    positions = [entry.meta.position for entry in HISTORY if entry.meta.aggregate_id == JOB]
    after = 0
    for position, works in zip(positions, (False, True, False), strict=True):
        after = fold_all(database, HISTORY[after:position], after=after)
        assert (JOB in ask(database, lambda connection: live_jobs_of(connection, "gpu-1"))) is works
        assert ask(database, lambda connection: live_jobs_of(connection, "GPU-1")) == []
    for position, status in zip(positions, ("pending", "running", "completed"), strict=True):
        then = cut_at(position)
        view = ask(database, lambda connection, then=then: job_detail(connection, JOB, then))  # type: ignore[misc]
        assert view is not None
        assert view.status == status


def _asked(database: Database, statement: Any) -> Iterable[Any]:
    return ask(database, lambda connection: connection.execute(statement).all())
