"""Decisions on nodes, and on runs of a node that is lost."""

from __future__ import annotations

from uuid import uuid4

import pytest

from contracts.nodes import DeclareNodeLost, ForgetNode, RegisterNode
from contracts.runs import ReportRunEnded, ReportRunLost
from events.nodes import NodeForgotten, NodeLost, NodeRegistered
from events.runs import RunAssigned, RunCancelRequested, RunCompleted, RunFailed, RunRequested, RunStarted
from tests.given import given

REGISTERED = NodeRegistered(
    name="gpu-1", labels={"gpu": "a100"}, executor="docker", training_directory="/data1/qwen2.5-14b"
)
REGISTER = RegisterNode(
    name="gpu-1", labels={"gpu": "a100"}, executor="docker", training_directory="/data1/qwen2.5-14b"
)
DECLARE_LOST = DeclareNodeLost(name="gpu-1", silent_seconds=301.0)
LOST = NodeLost(silent_seconds=301.0)


def test_a_node_is_registered_once() -> None:
    given().when(REGISTER).then(REGISTERED)
    given(REGISTERED).when(REGISTER).then()


def test_a_node_that_changed_or_returned_is_registered_again() -> None:
    given(NodeRegistered(name="gpu-1", labels={}, executor="local", training_directory="/x")).when(REGISTER).then(
        REGISTERED
    )
    given(REGISTERED, LOST).when(REGISTER).then(REGISTERED)


def test_only_a_lost_node_can_be_forgotten_and_it_may_come_back() -> None:
    forget = ForgetNode(name="gpu-1")
    given(REGISTERED, LOST).when(forget).then(NodeForgotten())
    given(REGISTERED).when(forget).then_refused("node_not_lost")
    for history in ((), (REGISTERED, LOST, NodeForgotten())):
        given(*history).when(forget).then_refused("node_not_found")
    given(REGISTERED, LOST, NodeForgotten()).when(REGISTER).then(REGISTERED)


def test_a_node_is_lost_once() -> None:
    given(REGISTERED).when(DECLARE_LOST).then(LOST)
    given(REGISTERED, LOST).when(DECLARE_LOST).then()
    given(REGISTERED, LOST, REGISTERED).when(DECLARE_LOST).then(LOST)
    given().when(DECLARE_LOST).then()


RUN_ID = uuid4()
REQUESTED = RunRequested(
    project_id=uuid4(), node="gpu-1", dataset="data.jsonl", training_yaml="run.yaml", argv=("bash", "go.sh")
)
ASSIGNED = RunAssigned(attempt=1, node="gpu-1", executor="local")
STARTED = RunStarted(attempt=1)
RUN_LOST = ReportRunLost(run_id=RUN_ID, node="gpu-1", silent_seconds=301.0)
LAUNCHED_REASON = "节点 gpu-1 已 301 秒没有心跳，视为失联，训练进程的下落不明；节点恢复后会停止其残留进程"
LAUNCHED_REASON_EN = (
    "node gpu-1 has been silent for 301 s and counts as lost; nobody knows what became of the training, and the node"
    " stops what is left of it when it is back"
)
FAILED = RunFailed(attempt=1, cause="lost", exit_code=None, reason=LAUNCHED_REASON, reason_en=LAUNCHED_REASON_EN)


@pytest.mark.parametrize("before", [(ASSIGNED,), (ASSIGNED, STARTED), (ASSIGNED, STARTED, RunCancelRequested())])
def test_a_run_of_a_lost_node_fails(before: tuple[RunAssigned, ...]) -> None:
    given(REQUESTED, *before).when(RUN_LOST).then(FAILED)


def test_a_run_that_was_never_launched_fails_too_and_says_so() -> None:
    reason = "节点 gpu-1 已 301 秒没有心跳，视为失联；训练尚未启动"
    reason_en = "node gpu-1 has been silent for 301 s and counts as lost; the training had not been launched"
    given(REQUESTED).when(RUN_LOST).then(
        RunFailed(attempt=0, cause="lost", exit_code=None, reason=reason, reason_en=reason_en)
    )


def test_what_is_over_or_elsewhere_is_not_lost() -> None:
    given(REQUESTED, ASSIGNED, STARTED, RunCompleted(attempt=1, output_bytes=0, output_sha256=None)).when(
        RUN_LOST
    ).then()
    given(REQUESTED, RunAssigned(attempt=1, node="gpu-2", executor="local")).when(RUN_LOST).then()
    given(REQUESTED, ASSIGNED, STARTED, FAILED).when(RUN_LOST).then()


def test_a_lost_run_stays_lost_whatever_its_node_reports_later() -> None:
    given(REQUESTED, ASSIGNED, STARTED, FAILED).when(ReportRunEnded(run_id=RUN_ID, attempt=1, exit_code=0)).then()
