"""Decisions on runs."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from msgspec.structs import replace

from contracts.projects import project_id
from contracts.runs import (
    AssetReport,
    AssignRun,
    CancelRun,
    RecordArtifact,
    ReportLaunchFailed,
    ReportRunEnded,
    ReportRunStarted,
    StartRun,
)
from events.projects import Project
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
    StoredDataset,
)
from services.handlers.run_reports import artifact_id
from services.handlers.runs import StartGathered, Stored, fill_command
from tests.given import given

RUN = UUID("22222222-2222-4222-8222-222222222222")
PROJECT = Project(
    name="qwen-finetune",
    owner=RUN,
    dataset_name="datasets/qwen_demo.jsonl",
    training_yaml_name="configs/qwen_demo.yaml",
)
ARGV = ("bash", "run_train_full_sft.sh", "configs/qwen_demo.yaml")
REQUESTED = RunRequested(
    project_id=project_id("qwen-finetune"),
    node="box",
    dataset="datasets/qwen_demo.jsonl",
    training_yaml="configs/qwen_demo.yaml",
    argv=ARGV,
)
DEIDENTIFIED = StoredDataset(
    dataset_id=RUN,
    version=2,
    name=f"dataset:{RUN}@2/train.jsonl",
    stored_name=f"{RUN}_train.jsonl",
    size=7,
    sha256="ab" * 32,
    path=f"datasets/.trainledger/{'ab' * 32}.jsonl",
    deidentified=True,
)
ASSIGNED = RunAssigned(attempt=1, node="box", executor="local")
STARTED = RunStarted(attempt=1)
COMPLETED = RunCompleted(attempt=1, output_bytes=0, output_sha256=None)
ALL_THERE = AssetReport(node="box")
START = StartRun(project="qwen-finetune")
CANCEL = CancelRun(project="qwen-finetune", run_id=RUN)
OUTPUT: dict[str, Any] = {"output_bytes": 7, "output_sha256": "ab" * 32, "telemetry": 5}


def gathered(
    project: Project = PROJECT,
    assets: AssetReport | None = ALL_THERE,
    template: str = "bash run_train_full_sft.sh {training_yaml_name}",
    setting: str | None = "ALLOW_START_COMMAND",
) -> StartGathered:
    return StartGathered(project=project, assets=assets, command_template=template, own_command_setting=setting)


def ended(exit_code: int | None, **fields: Any) -> ReportRunEnded:
    return ReportRunEnded(run_id=RUN, attempt=1, exit_code=exit_code, **OUTPUT, **fields)


def test_a_run_is_requested_with_the_documented_command() -> None:
    given().when(START, gathered()).then(REQUESTED)


def test_what_fills_the_template_stays_one_argument() -> None:
    odd = Project(name="p", dataset_name="d", training_yaml_name="a b'; id")
    decided = given().when(StartRun(project="p"), gathered(odd))
    decided.then(
        RunRequested(
            project_id=project_id("p"),
            node="box",
            dataset="d",
            training_yaml="a b'; id",
            argv=("bash", "run_train_full_sft.sh", "a b'; id"),
        )
    )


@pytest.mark.parametrize(
    ("refusal", "facts"),
    [
        ("project_not_found", gathered(project=Project())),
        ("project_archived", gathered(project=Project(name="p", archived=True))),
        ("no_training_node", gathered(assets=None)),
        ("assets_missing", gathered(assets=AssetReport(node="box", missing=("datasets/a", "configs/b")))),
        ("asset_not_a_file", gathered(assets=AssetReport(node="box", missing=("data",), not_files=("data",)))),
        ("asset_unreadable", gathered(assets=AssetReport(node="box", missing=("data",), unreadable=("data",)))),
        (
            "assets_missing",
            gathered(assets=AssetReport(node="box", missing=("data", "none"), not_files=("data",))),
        ),
        ("asset_outside", gathered(assets=AssetReport(node="box", outside=("link",)))),
    ],
)
def test_runs_that_cannot_be(refusal: str, facts: StartGathered) -> None:
    refused = given().when(START, facts).then_refused(refusal)
    there = set(facts.assets.not_files + facts.assets.unreadable) if facts.assets else set()
    for name in facts.assets.missing if facts.assets else ():
        assert (name in refused.text("zh")) is (refusal != "assets_missing" or name not in there)


def test_what_was_filled_in_is_not_filled_again_and_a_brace_can_be_written() -> None:
    template = "run.sh ${{HOME}} {training_yaml_name} {dataset_name}"
    assert fill_command(template, "{dataset_name}", "d") == ("run.sh", "${HOME}", "{dataset_name}", "d")


def test_a_callers_own_command_needs_the_setting() -> None:
    own = StartRun(project="qwen-finetune", start_command="python 'my script.py'")
    refused = given().when(own, gathered()).then_refused("start_command_not_allowed")
    assert "ALLOW_START_COMMAND" in refused.text("zh")
    allowed = given().when(own, gathered(setting=None))
    allowed.then(replace(REQUESTED, argv=("python", "my script.py"), own_command=True))


@pytest.mark.parametrize("command", ["echo 'unbalanced", "   ", "''"])
def test_a_callers_own_command_must_be_one(command: str) -> None:
    own = StartRun(project="qwen-finetune", start_command=command)
    given().when(own, gathered(setting=None)).then_refused("invalid_body")


def test_an_attempt_is_assigned_once() -> None:
    assign = AssignRun(run_id=RUN, attempt=1, node="box", executor="local")
    given(REQUESTED).when(assign).then(ASSIGNED)
    given(REQUESTED, ASSIGNED).when(assign).then()
    given(REQUESTED, RunCanceled(attempt=0)).when(assign).then()


def test_a_report_that_comes_again_changes_nothing() -> None:
    report = ReportRunStarted(run_id=RUN, attempt=1)
    given(REQUESTED, ASSIGNED).when(report).then(STARTED)
    given(REQUESTED, ASSIGNED, STARTED).when(report).then()
    given(REQUESTED).when(report).then()


def test_a_failed_launch_is_final() -> None:
    report = ReportLaunchFailed(run_id=RUN, attempt=1, reason="no bash")
    failed = RunLaunchFailed(attempt=1, reason="no bash")
    given(REQUESTED, ASSIGNED).when(report).then(failed)
    given(REQUESTED, ASSIGNED, failed).when(ReportRunStarted(run_id=RUN, attempt=1)).then()
    given(REQUESTED, ASSIGNED, STARTED).when(report).then()


def test_how_a_run_ends() -> None:
    history = (REQUESTED, ASSIGNED, STARTED)
    given(*history).when(ended(0)).then(RunCompleted(attempt=1, **OUTPUT))
    given(*history).when(ended(3)).then(RunFailed(attempt=1, cause="exit", exit_code=3, reason="exit code 3", **OUTPUT))
    given(*history).when(ended(None, cause="lost", reason="gone")).then(
        RunFailed(attempt=1, cause="lost", exit_code=None, reason="gone", **OUTPUT)
    )


def test_a_terminal_fact_is_final() -> None:
    for end in (COMPLETED, RunCanceled(attempt=1)):
        given(REQUESTED, ASSIGNED, STARTED, end).when(ended(1)).then()
        given(REQUESTED, ASSIGNED, STARTED, end).when(CANCEL).then_refused("run_ended")


def test_a_report_of_an_older_attempt_changes_nothing() -> None:
    second = RunAssigned(attempt=2, node="box", executor="local")
    given(REQUESTED, ASSIGNED, second).when(ended(1)).then()


def test_cancel_before_any_node_took_it_is_immediate() -> None:
    given(REQUESTED).when(CANCEL).then(RunCanceled(attempt=0))


def test_cancel_of_a_running_run_waits_for_the_node() -> None:
    history = (REQUESTED, ASSIGNED, STARTED, RunCancelRequested())
    given(*history[:3]).when(CANCEL).then(RunCancelRequested())
    given(*history).when(CANCEL).then()
    for exit_code in (143, 0, None):
        given(*history).when(ended(exit_code)).then(RunCanceled(attempt=1, exit_code=exit_code, **OUTPUT))


def test_a_run_is_found_only_in_its_project() -> None:
    given().when(CANCEL).then_refused("run_not_found")
    given(REQUESTED).when(CancelRun(project="other", run_id=RUN)).then_refused("run_not_found")


def test_an_artifact_is_recorded_once_a_path() -> None:
    record = RecordArtifact(run_id=RUN, name="checkpoint-5", type="checkpoint", path="/d/checkpoint-5", size=9, files=2)
    fact = RunArtifactRecorded(
        artifact_id=artifact_id(RUN, "/d/checkpoint-5"),
        name="checkpoint-5",
        type="checkpoint",
        path="/d/checkpoint-5",
        size=9,
        files=2,
    )
    given(REQUESTED, ASSIGNED, STARTED).when(record).then(fact)
    given(REQUESTED, ASSIGNED, STARTED, fact).when(record).then()


def test_a_project_that_requires_deidentified_data_trains_on_nothing_else() -> None:
    strict = gathered(replace(PROJECT, require_deidentified=True))
    refused = given().when(START, strict).then_refused("raw_data_refused")
    assert (refused.status, "qwen-finetune" in refused.text("zh")) == (409, True)
    requested = replace(REQUESTED, dataset=DEIDENTIFIED.name, stored_dataset=DEIDENTIFIED)
    given().when(START, replace(strict, stored=Stored(dataset=DEIDENTIFIED))).then(requested)
    raw = replace(DEIDENTIFIED, deidentified=False)
    given().when(START, replace(strict, stored=Stored(dataset=raw))).then_refused("raw_data_refused")
