"""Decisions on resuming a run."""

from __future__ import annotations

from uuid import UUID

import pytest
from msgspec.structs import replace

from contracts.runs import AssetReport, ResumeRun
from events.projects import Project
from events.runs import Run, RunArtifactRecorded, RunCompleted, RunFailed, RunRequested
from services.handlers.run_reports import artifact_id
from services.handlers.runs import ResumeGathered
from services.runtime.commands import RUNS
from tests.given import fold, given
from tests.runs.test_decide import ALL_THERE, ASSIGNED, DEIDENTIFIED, PROJECT, REQUESTED, RUN, STARTED

FAILED = RunFailed(attempt=1, cause="exit", exit_code=1, reason="exit code 1")
RESUME = ResumeRun(project="qwen-finetune", run_id=RUN)


def left(name: str, type_: str = "checkpoint") -> RunArtifactRecorded:
    path = f"/data/output/{name}"
    return RunArtifactRecorded(artifact_id=artifact_id(RUN, path), name=name, type=type_, path=path, size=9)


EARLIER, NEWEST, OUTPUT = left("checkpoint-40"), left("checkpoint-80"), left("out.log", "log")


def gathered(
    *artifacts: RunArtifactRecorded,
    source: Run | None = None,
    project: Project = PROJECT,
    assets: AssetReport | None = ALL_THERE,
    setting: str | None = "ALLOW_START_COMMAND",
) -> ResumeGathered:
    return ResumeGathered(
        project=project,
        source=source or fold(RUNS, (REQUESTED, ASSIGNED, STARTED, FAILED)),
        artifacts=artifacts,
        assets=assets,
        command_template="bash run_train_full_sft.sh {training_yaml_name}",
        own_command_setting=setting,
    )


def resumed(checkpoint: RunArtifactRecorded, **changes: object) -> RunRequested:
    fields = {"resume_source_artifact_id": checkpoint.artifact_id, "resumes": RUN, "resume_from": checkpoint.path}
    return replace(REQUESTED, **fields | changes)


def test_the_newest_complete_checkpoint_is_taken() -> None:
    given().when(RESUME, gathered(EARLIER, NEWEST, OUTPUT)).then(resumed(NEWEST))
    broken = AssetReport(node="box", incomplete=(NEWEST.path,))
    given().when(RESUME, gathered(EARLIER, NEWEST, OUTPUT, assets=broken)).then(resumed(EARLIER))


def test_a_checkpoint_may_be_named() -> None:
    named = replace(RESUME, source_artifact_id=EARLIER.artifact_id)
    given().when(named, gathered(EARLIER, NEWEST, OUTPUT)).then(resumed(EARLIER))


def test_it_trains_what_its_source_trained_on_its_sources_node() -> None:
    """However the project was revised meanwhile."""
    revised = replace(PROJECT, training_yaml_name="configs/other.yaml")
    given().when(RESUME, gathered(NEWEST, project=revised)).then(resumed(NEWEST))


@pytest.mark.parametrize(
    ("code", "artifact", "facts"),
    [
        ("project_not_found", None, gathered(NEWEST, project=Project())),
        ("project_archived", None, gathered(NEWEST, project=replace(PROJECT, archived=True))),
        ("run_not_found", None, gathered(source=Run())),
        ("run_not_found", None, gathered(NEWEST, source=Run(status="failed", project_id=RUN))),
        ("run_not_ended", None, gathered(NEWEST, source=fold(RUNS, (REQUESTED, ASSIGNED, STARTED)))),
        ("no_checkpoint", None, gathered(OUTPUT)),
        ("artifact_not_found", UUID(int=5), gathered(NEWEST)),
        ("not_a_checkpoint", OUTPUT.artifact_id, gathered(NEWEST, OUTPUT)),
        ("node_unreachable", None, gathered(NEWEST, assets=None)),
        ("checkpoint_incomplete", None, gathered(NEWEST, assets=AssetReport(node="box", incomplete=(NEWEST.path,)))),
        ("assets_missing", None, gathered(NEWEST, assets=AssetReport(node="box", missing=("configs/qwen_demo.yaml",)))),
        ("asset_outside", None, gathered(NEWEST, assets=AssetReport(node="box", outside=("configs/qwen_demo.yaml",)))),
    ],
)
def test_what_cannot_be_resumed(code: str, artifact: UUID | None, facts: ResumeGathered) -> None:
    given().when(replace(RESUME, source_artifact_id=artifact), facts).then_refused(code)


def test_every_ended_run_can_be_resumed() -> None:
    for end in (FAILED, RunCompleted(attempt=1, output_bytes=0, output_sha256=None)):
        source = fold(RUNS, (REQUESTED, ASSIGNED, STARTED, end))
        given().when(RESUME, gathered(NEWEST, source=source)).then(resumed(NEWEST))


def test_a_command_of_ones_own_needs_the_setting_also_when_it_is_the_sources() -> None:
    own = replace(RESUME, start_command="python 'my script.py'")
    given().when(own, gathered(NEWEST)).then_refused("start_command_not_allowed")
    argv = ("python", "my script.py")
    given().when(own, gathered(NEWEST, setting=None)).then(resumed(NEWEST, argv=argv, own_command=True))
    source = fold(RUNS, (replace(REQUESTED, argv=argv, own_command=True), ASSIGNED, STARTED, FAILED))
    given().when(RESUME, gathered(NEWEST, source=source)).then_refused("start_command_not_allowed")
    given().when(RESUME, gathered(NEWEST, source=source, setting=None)).then(
        resumed(NEWEST, argv=argv, own_command=True)
    )


def test_a_project_that_came_to_require_deidentified_data_resumes_nothing_else() -> None:
    strict = gathered(NEWEST, project=replace(PROJECT, require_deidentified=True))
    given().when(RESUME, strict).then_refused("raw_data_refused")
    source = replace(strict.source, dataset=DEIDENTIFIED.name, stored_dataset=DEIDENTIFIED)
    given().when(RESUME, replace(strict, source=source)).then(
        resumed(NEWEST, dataset=DEIDENTIFIED.name, stored_dataset=DEIDENTIFIED)
    )
