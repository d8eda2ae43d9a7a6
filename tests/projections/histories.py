"""Histories of facts, recorded as a log would, for folding without a log."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from events.event import Event, Meta, Origin, Recorded
from events.projects import ProjectArchived, ProjectCreated, ProjectRevised, ProjectUnarchived
from events.runs import (
    RunArtifactRecorded,
    RunAssigned,
    RunCanceled,
    RunCancelRequested,
    RunCompleted,
    RunFailed,
    RunLaunchFailed,
    RunRequested,
    RunStarted,
)

START = datetime(2024, 4, 12, 8, 45, 9, 192384, tzinfo=UTC)
_IDS = UUID("7d1cf1c1-4c39-4f04-8a65-9f3a2a2d3c55")
ORIGIN = Origin(actor="8a0f6a3e-6c3f-4c36-9d4a-0f4e5b8f0e11", command_id=UUID(int=7))
OWNER = UUID("3b7e6f0a-1d53-4c1b-8a0e-2f6f3a9c7d10")


def identify(*names: object) -> UUID:
    return uuid5(_IDS, " ".join(map(str, names)))


def time_of(position: int) -> datetime:
    """When the fact at `position` was decided; it is stored 0.1 s later."""
    return START + timedelta(seconds=position)


def stored_at(position: int) -> datetime:
    return time_of(position) + timedelta(milliseconds=100)


class History:
    """Facts with consecutive positions from 1."""

    def __init__(self) -> None:
        self.facts: list[Recorded] = []
        self._versions: dict[UUID, int] = {}

    def add(self, aggregate_id: UUID, *facts: Event) -> History:
        for fact in facts:
            self._versions[aggregate_id] = version = self._versions.get(aggregate_id, 0) + 1
            position = len(self.facts) + 1
            meta = Meta(
                id=identify("event", position),
                context=fact.context,
                aggregate_id=aggregate_id,
                version=version,
                position=position,
                time=time_of(position),
                origin=ORIGIN,
                stored_at=stored_at(position),
            )
            self.facts.append(Recorded(fact, meta))
        return self


def project_created(number: int = 1, **changes: Any) -> ProjectCreated:
    fields: dict[str, Any] = {
        "name": f"qwen-finetune-{number}",
        "owner": OWNER,
        "dataset_name": "datasets/qwen_demo.jsonl",
        "training_yaml_name": "configs/qwen_demo.yaml",
        "description": "微调 Qwen 以适配客服场景",
        "tags": ("demo", "customer-service"),
    }
    return ProjectCreated(**fields | changes)


def run_requested(project_id: UUID) -> RunRequested:
    return RunRequested(
        project_id=project_id,
        node="gpu-1",
        dataset="datasets/qwen_demo.jsonl",
        training_yaml="configs/qwen_demo.yaml",
        argv=("bash", "run_train_full_sft.sh", "configs/qwen_demo.yaml"),
    )


def artifact(run_id: UUID, number: int) -> RunArtifactRecorded:
    path = f"/data1/qwen2.5-14b/output/{run_id}/checkpoint-{number}"
    return RunArtifactRecorded(
        artifact_id=uuid5(run_id, path),
        name=f"checkpoint-{number}",
        type="checkpoint",
        path=path,
        size=123_456,
        files=9,
    )


def life_of_a_run(run_id: UUID, project_id: UUID, random_: random.Random, telemetry: int = 0) -> Iterator[Event]:
    """The facts of one run from its request to its end."""
    yield run_requested(project_id)
    yield RunAssigned(attempt=1, node="gpu-1", executor="local")
    chance = random_.random()
    if chance < 0.05:
        yield RunLaunchFailed(attempt=1, reason="找不到 run_train_full_sft.sh")
        return
    yield RunStarted(attempt=1)
    for number in range(random_.randrange(4)):
        yield artifact(run_id, 500 * (number + 1))
    if chance < 0.15:
        yield RunFailed(attempt=1, cause="exit", exit_code=1, reason="CUDA out of memory 😀", telemetry=telemetry)
    elif chance < 0.25:
        yield RunCancelRequested()
        yield RunCanceled(attempt=1, exit_code=143, telemetry=telemetry)
    else:
        yield RunCompleted(attempt=1, output_bytes=1_000, output_sha256="0" * 64, telemetry=telemetry)


def realistic(count: int, *, projects: int = 200, at_once: int = 50, seed: int = 1) -> list[Recorded]:
    """`count` facts of projects that are created, revised and archived, with `at_once` runs under way."""
    random_ = random.Random(seed)
    history = History()
    created: list[UUID] = []
    under_way: list[tuple[UUID, Iterator[Event]]] = []
    runs = 0
    while len(history.facts) < count:
        chance = random_.random()
        if not created or (len(created) < projects and chance < 0.02):
            created.append(identify("project", len(created)))
            history.add(created[-1], project_created(len(created)))
        elif chance < 0.05:
            history.add(random_.choice(created), ProjectRevised(tags=("demo", f"round-{len(history.facts)}")))
        elif chance < 0.052:
            history.add(random_.choice(created), ProjectArchived(), ProjectUnarchived())
        elif len(under_way) < at_once:
            runs += 1
            run_id = identify("run", runs)
            under_way.append((run_id, life_of_a_run(run_id, random_.choice(created), random_)))
        else:
            chosen = random_.randrange(at_once)
            run_id, life = under_way[chosen]
            fact = next(life, None)
            if fact is None:
                del under_way[chosen]
            else:
                history.add(run_id, fact)
    return history.facts[:count]
