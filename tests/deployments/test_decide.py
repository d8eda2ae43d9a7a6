"""Decisions on deployments: what is asked for, and what the service reports of it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from msgspec.structs import replace

from contracts.deployments import (
    CreateDeployment,
    PlaceDeployment,
    RemoveDeployment,
    ReportDeploymentEnded,
    ReportDeploymentLaunched,
    ReportDeploymentLost,
    ReportDeploymentStarted,
    ReportDeploymentStopped,
    ReportDeploymentStopUnconfirmed,
    ReportDeploymentUnplaced,
    RestartDeployment,
    RoomReport,
)
from events.deployments import (
    DeploymentAttemptEnded,
    DeploymentFailed,
    DeploymentLaunched,
    DeploymentPlaced,
    DeploymentRemoved,
    DeploymentRequested,
    DeploymentRestartRequested,
    DeploymentStarted,
    DeploymentStopped,
    DeploymentStopRequested,
    DeploymentStopUnconfirmed,
)
from services.handlers.deployments import Checkpoint, CreateGathered, fill_command, split_extra_args
from tests.given import given

ID = UUID("16b3f6fe-7047-42bd-89f8-8da30d47eeb5")
SERVICE = UUID("7d1cf1c1-4c39-4f04-8a65-9f3a2a2d3c55")
OTHER_SERVICE = UUID("3b7e6f0a-1d53-4c1b-8a0e-2f6f3a9c7d10")
ARTIFACT = UUID("93f22d88-9d39-4f71-a3b1-0f41d396a4f7")
RUN = UUID("5fd396ac-30a4-4eaf-a6b3-81f5b5859377")
ARGV = ("vllm", "serve", "models/qwen2.5", "--port", "8000")

ROOM = CreateGathered(room=RoomReport(node="gpu-1"))
CREATE = CreateDeployment(model_path="models/qwen2.5", tags=("demo",), extra_args="--max-num-seqs 4")
REQUESTED = DeploymentRequested(
    node="gpu-1", model_path="models/qwen2.5", health_path="/health", tags=("demo",), extra_args="--max-num-seqs 4"
)
ON_FAILURE = replace(REQUESTED, restart_policy="on-failure")


def place(attempt: int = 1, service: UUID = SERVICE) -> PlaceDeployment:
    return PlaceDeployment(
        deployment_id=ID, attempt=attempt, service=service, port=8000, argv=ARGV, log_file="./deploy_logs/x.log"
    )


def placed(attempt: int = 1) -> DeploymentPlaced:
    return DeploymentPlaced(attempt=attempt, service=SERVICE, port=8000, argv=ARGV, log_file="./deploy_logs/x.log")


def launched(attempt: int = 1) -> DeploymentLaunched:
    return DeploymentLaunched(attempt=attempt, pid=4311, start=7, boot="boot")


def ended(attempt: int = 1, cause: Any = "exit", **fields: Any) -> ReportDeploymentEnded:
    given_fields: dict[str, Any] = {"exit_code": 1, "reason": "退出码 1", "restarts": 2} | fields
    return ReportDeploymentEnded(deployment_id=ID, attempt=attempt, cause=cause, **given_fields)


RUNNING = (REQUESTED, placed(), launched(), DeploymentStarted(attempt=1))
RUNNING_ON = (ON_FAILURE, placed(), launched(), DeploymentStarted(attempt=1))
REMOVE = RemoveDeployment(deployment_id=ID)


# what is asked for


def test_a_deployment_is_requested_of_the_node_that_has_room() -> None:
    given().when(CREATE, ROOM).then(REQUESTED)


def test_without_a_node_or_room_there_is_none() -> None:
    given().when(CREATE, CreateGathered(room=None)).then_refused("no_deployment_node")
    for code in ("no_free_port", "no_gpu"):
        full = CreateGathered(room=RoomReport(node="gpu-1", refused=code))
        assert given().when(CREATE, full).then_refused(code).status == 503


def test_a_checkpoint_is_served_from_where_it_lies() -> None:
    checkpoint = Checkpoint(
        run_id=RUN, node="gpu-1", name="checkpoint-40", type="checkpoint", path="/data/checkpoint-40", complete=True
    )
    command = CreateDeployment(artifact_id=ARTIFACT)
    given().when(command, replace(ROOM, checkpoint=checkpoint)).then(
        DeploymentRequested(
            node="gpu-1", model_path="/data/checkpoint-40", health_path="/health", run_id=RUN, artifact_id=ARTIFACT
        )
    )
    for changes, code in (
        ({"type": "log"}, "not_a_checkpoint"),
        ({"complete": False}, "checkpoint_incomplete"),
        ({"complete": None}, "deployment_node_unreachable"),
    ):
        given().when(command, replace(ROOM, checkpoint=replace(checkpoint, **changes))).then_refused(code)


@pytest.mark.parametrize("path", ["-m", "--help", "models/\0", "a\nb", " models", "models\t", "\ud800"])
def test_a_model_path_that_is_no_plain_argument_is_refused(path: str) -> None:
    refused = given().when(CreateDeployment(model_path=path), ROOM).then_refused("model_path_refused")
    assert refused.status == 400


@pytest.mark.parametrize("path", ["models/千问 2.5", "/data/$(rm -rf x)", "Qwen/Qwen2.5-7B", "a;b|c&d`e`"])
def test_any_other_model_path_stays_one_argument(path: str) -> None:
    given().when(CreateDeployment(model_path=path), ROOM).then(
        replace(REQUESTED, model_path=path, tags=(), extra_args="")
    )
    argv = fill_command(
        "vllm serve {model_path} {extra_args}", model_path=path, host="h", port=1, gpu_id=None, extra_args=()
    )
    assert argv == ("vllm", "serve", path)


OWN = (
    "--port 1|--port=1|--po=1|--p|--host 0.0.0.0|--ho=x|--model x|--mode=x|--uds /x|--u=x|-m x|-p=1|--model-path x|"
    "--model_path=x|--force-model x|-p8000|-m7b|--host=0|--por 1|other-model|--|--x 1 --port 2|--model-pat x|--force x|"
    "-mmodels/x|'-p 8000'|-p+1|--port.x 1|--hostname x|--server-port 1|--server-name x|--model-id x|--model-url x|"
    "-mu x|-hf a/b|-hf=a/b|--hf-repo a/b|--config f.yaml|--conf=f.yaml|--config_file f.json"
)


@pytest.mark.parametrize("text", OWN.split("|"))
def test_extra_args_that_the_service_decides_are_refused(text: str) -> None:
    refused = given().when(replace(CREATE, extra_args=text), ROOM).then_refused("extra_args_refused")
    assert refused.status == 400


def test_extra_args_are_split_as_a_shell_would_and_run_by_none() -> None:
    assert split_extra_args("--chat-template '{{ x }}' --a \"$(id)\"; --b=1 --served-model-name m n") == (
        "--chat-template",
        "{{ x }}",
        "--a",
        "$(id);",
        "--b=1",
        "--served-model-name",
        "m",
        "n",
    )
    assert given().when(replace(CREATE, extra_args="--a 'b"), ROOM).then_refused("extra_args_unbalanced").status == 400
    given().when(replace(CREATE, extra_args="--a \0"), ROOM).then_refused("extra_args_refused")
    for text in ("-pp 2 -tp 2 -pcp 2 -dp 1 -O3 -cc.mode 3", "--hf-overrides.a 1 --model-impl auto --config-format hf"):
        assert split_extra_args(text) == tuple(text.split())


def test_a_template_is_split_first_and_filled_then() -> None:
    argv = fill_command(
        "serve '{model_path}' --listen={host}:{port} --gpu={gpu_id} {extra_args} --all={extra_args}",
        model_path="a b {port}",
        host="127.0.0.1",
        port=8234,
        gpu_id=0,
        extra_args=("--x", "y z"),
    )
    assert argv == ("serve", "a b {port}", "--listen=127.0.0.1:8234", "--gpu=0", "--x", "y z", "--all=--x 'y z'")


@pytest.mark.parametrize(
    "path",
    ["health", "//evil/", "http://evil/", "/a b", "/a#b", "/a\n", "/\\evil", "/健康", "/a\r\nHost: evil", "@evil"],
)
def test_a_health_path_is_a_path(path: str) -> None:
    given().when(replace(CREATE, health_path=path), ROOM).then_refused("invalid_body")


@pytest.mark.parametrize("path", ["/", "/health", "/v1/models?x=1&y=/2", "/%E5%81%A5", "/@evil"])
def test_a_path_may_be_any(path: str) -> None:
    given().when(replace(CREATE, health_path=path), ROOM).then(replace(REQUESTED, health_path=path))


def test_a_body_names_one_model_and_prints_nothing_odd() -> None:
    given().when(CreateDeployment(), ROOM).then_refused("invalid_body")
    given().when(replace(CREATE, artifact_id=ARTIFACT), ROOM).then_refused("invalid_body")
    refused = given().when(replace(CREATE, tags=("ok", "a\nb"), model_version="\0"), ROOM).then_refused("invalid_body")
    assert [wrong.pointer for wrong in refused.wrongs] == ["/model_version", "/tags/1"]


# its life


def test_an_attempt_is_placed_once_and_by_one_service() -> None:
    given(REQUESTED).when(place()).then(placed())
    given(REQUESTED, placed()).when(place(service=OTHER_SERVICE)).then()
    given(REQUESTED, placed()).when(place(2)).then()
    again = DeploymentAttemptEnded(attempt=1, cause="exit", reason="")
    given(REQUESTED, placed(), again).when(place(2)).then(placed(2))
    given(REQUESTED, placed(), again).when(place(2, OTHER_SERVICE)).then()


def test_it_starts_with_its_first_good_probe() -> None:
    launch = ReportDeploymentLaunched(deployment_id=ID, attempt=1, pid=4311, start=7, boot="boot")
    given(REQUESTED, placed()).when(launch).then(launched())
    given(REQUESTED, placed(), launched()).when(launch).then()
    start = ReportDeploymentStarted(deployment_id=ID, attempt=1)
    given(REQUESTED, placed(), launched()).when(start).then(DeploymentStarted(attempt=1))
    given(*RUNNING).when(start).then()
    given(*RUNNING, DeploymentStopRequested()).when(start).then()


def test_a_node_without_room_fails_it() -> None:
    unplaced = ReportDeploymentUnplaced(deployment_id=ID, cause="no_port", reason="没有空闲端口")
    given(REQUESTED).when(unplaced).then(DeploymentFailed(attempt=0, cause="no_port", reason="没有空闲端口"))
    given(*RUNNING).when(unplaced).then()


def test_without_a_policy_it_ends_as_its_server_does() -> None:
    failed = DeploymentFailed(attempt=1, cause="exit", reason="退出码 1", exit_code=1)
    given(*RUNNING).when(ended()).then(failed)
    given(*RUNNING).when(ended(cause=None, exit_code=0)).then(DeploymentStopped(attempt=1, cause="exited", exit_code=0))
    given(REQUESTED, placed(), launched()).when(ended(cause=None, exit_code=0)).then(replace(failed, exit_code=0))
    given(*RUNNING, failed).when(ended()).then()
    given(*RUNNING).when(ended(attempt=2)).then()


def again(failures: int, pause: float, attempt: int = 1, cause: Any = "exit") -> DeploymentAttemptEnded:
    return DeploymentAttemptEnded(
        attempt=attempt, cause=cause, reason="退出码 1", exit_code=1, failures=failures, retry_after=pause
    )


def test_on_failure_it_is_started_again_later_and_later_and_not_for_ever() -> None:
    given(*RUNNING_ON).when(ended()).then(again(1, 1.0))
    second = (*RUNNING_ON, again(1, 1.0), placed(2), launched(2))
    given(*second).when(ended(2)).then(again(2, 2.0, 2))
    third = (*second, again(2, 2.0, 2), placed(3), launched(3))
    given(*third).when(ended(3)).then(DeploymentFailed(attempt=3, cause="exit", reason="退出码 1", exit_code=1))
    given(*third, DeploymentStarted(attempt=3)).when(ended(3, steady=True)).then(again(1, 1.0, 3))
    given(*RUNNING_ON).when(ended(restarts=0)).then(
        DeploymentFailed(attempt=1, cause="exit", reason="退出码 1", exit_code=1)
    )
    given(ON_FAILURE, *[fact for n in range(1, 9) for fact in (placed(n), again(n, 1.0, n))], placed(9)).when(
        ended(9, restarts=100)
    ).then(again(9, 60.0, 9))


def test_what_cannot_be_launched_is_not_tried_again() -> None:
    given(ON_FAILURE, placed()).when(ended(cause="launch", exit_code=127, reason="找不到命令：vllm")).then(
        DeploymentFailed(attempt=1, cause="launch", exit_code=127, reason="找不到命令：vllm")
    )


def test_a_port_taken_by_a_stranger_costs_a_port_and_no_failure() -> None:
    facts: tuple[Any, ...] = (REQUESTED, placed())
    for number in range(1, 5):
        given(*facts).when(ended(number, "port_taken")).then(again(0, 0.0, number, "port_taken"))
        facts = (*facts, again(0, 0.0, number, "port_taken"), placed(number + 1))
    given(*facts).when(ended(5, "port_taken")).then(
        DeploymentFailed(attempt=5, cause="port_taken", reason="退出码 1", exit_code=1)
    )


def test_after_a_restart_of_the_machine_only_those_that_want_it_start_again() -> None:
    restarted = ended(cause="machine_restart", exit_code=None)
    given(*RUNNING).when(restarted).then(DeploymentStopped(attempt=1, cause="machine_restart"))
    given(*RUNNING_ON).when(restarted).then(
        DeploymentAttemptEnded(attempt=1, cause="machine_restart", reason="退出码 1")
    )


# restart and removal


def test_a_restart_is_asked_for_once_and_comes_before_any_policy() -> None:
    restart = RestartDeployment(deployment_id=ID)
    given(*RUNNING).when(restart).then(DeploymentRestartRequested())
    given(*RUNNING, DeploymentRestartRequested()).when(restart).then()
    given(*RUNNING, DeploymentRestartRequested()).when(ended(reason="")).then(
        DeploymentAttemptEnded(attempt=1, cause="restart", reason="", exit_code=1)
    )
    failed = DeploymentFailed(attempt=1, cause="exit", reason="退出码 1", exit_code=1)
    given(*RUNNING, failed).when(restart).then(DeploymentRestartRequested())
    given(*RUNNING, failed, DeploymentRestartRequested()).when(place(2)).then(placed(2))
    given(*RUNNING, DeploymentStopRequested()).when(restart).then_refused("deployment_stopping")
    given().when(restart).then_refused("deployment_not_found")


def test_what_runs_is_removed_once_nothing_of_it_is_left() -> None:
    given(*RUNNING).when(REMOVE).then(DeploymentStopRequested())
    stopping = (*RUNNING, DeploymentStopRequested())
    given(*stopping).when(REMOVE).then()
    given(*stopping).when(replace(REMOVE, force=True)).then(DeploymentStopRequested(force=True))
    given(*stopping, DeploymentStopRequested(force=True)).when(replace(REMOVE, force=True)).then()
    gone = (DeploymentStopped(attempt=1, cause="asked", exit_code=143), DeploymentRemoved())
    given(*stopping).when(ended(cause="signal", exit_code=143)).then(*gone)
    given(*stopping, *gone).when(REMOVE).then_refused("deployment_not_found")
    given(*stopping, *gone).when(ended(cause="signal", exit_code=143)).then()


def test_what_has_ended_is_removed_at_once() -> None:
    failed = DeploymentFailed(attempt=1, cause="exit", reason="退出码 1", exit_code=1)
    given(*RUNNING, failed).when(REMOVE).then(DeploymentRemoved())
    given().when(REMOVE).then_refused("deployment_not_found")


def test_what_waits_for_its_next_attempt_is_removed_without_one() -> None:
    waiting = (*RUNNING_ON, again(1, 1.0), DeploymentStopRequested())
    given(*waiting).when(place(2)).then()
    given(*waiting).when(ReportDeploymentStopped(deployment_id=ID)).then(
        DeploymentStopped(attempt=1, cause="asked"), DeploymentRemoved()
    )


def test_survivors_are_recorded_once() -> None:
    report = ReportDeploymentStopUnconfirmed(deployment_id=ID, attempt=1, pids=(7, 8))
    unconfirmed = DeploymentStopUnconfirmed(attempt=1, pids=(7, 8))
    given(*RUNNING, DeploymentStopRequested()).when(report).then(unconfirmed)
    given(*RUNNING, DeploymentStopRequested(), unconfirmed).when(report).then()
    given(*RUNNING, DeploymentFailed(attempt=1, cause="lost", reason="")).when(report).then()


# a service that is not heard of


LOST = ReportDeploymentLost(deployment_id=ID, service=SERVICE, node="gpu-1", silent_seconds=301.0)
FAILED_LOST = DeploymentFailed(
    attempt=1,
    cause="lost",
    reason="节点 gpu-1 的部署服务已 301 秒没有心跳，视为失联，服务进程的下落不明；节点恢复后会停止其残留进程",
)


def test_what_a_lost_service_served_has_failed() -> None:
    for facts in ((REQUESTED, placed()), RUNNING, RUNNING_ON):
        given(*facts).when(LOST).then(FAILED_LOST)
    never_placed = DeploymentFailed(
        attempt=0, cause="lost", reason="节点 gpu-1 的部署服务已 301 秒没有心跳，视为失联；服务尚未启动"
    )
    given(REQUESTED).when(LOST).then(never_placed)


def test_one_whose_removal_was_asked_for_leaves_the_list_with_its_loss() -> None:
    given(*RUNNING, DeploymentStopRequested()).when(LOST).then(FAILED_LOST, DeploymentRemoved())
    given(*RUNNING, FAILED_LOST).when(REMOVE).then(DeploymentRemoved())


def test_what_has_ended_or_is_another_services_is_not_lost() -> None:
    given(*RUNNING, FAILED_LOST).when(LOST).then()
    given(*RUNNING).when(replace(LOST, service=OTHER_SERVICE)).then()
    given(REQUESTED).when(replace(LOST, node="gpu-2")).then()
    given().when(LOST).then()


def test_a_loss_is_final_whatever_its_node_reports_later() -> None:
    given(*RUNNING, FAILED_LOST).when(ended()).then()
    given(*RUNNING, FAILED_LOST).when(ReportDeploymentStarted(deployment_id=ID, attempt=1)).then()
