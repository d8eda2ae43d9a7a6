"""Decisions on de-identification jobs, and on what is recorded of texts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
import pytest
from msgspec.structs import replace

from contracts.deid import (
    AssignDeidentification,
    CancelDeidentification,
    DeidentifyDataset,
    ReportDeidentificationCanceled,
    ReportDeidentificationFailed,
    ReportDeidentificationLost,
    ReportDeidentified,
)
from contracts.deid_texts import RecordTextsDeidentified
from events.datasets import Dataset, DatasetFile, DatasetVersion
from events.deid import (
    DeidentificationAssigned,
    DeidentificationCanceled,
    DeidentificationCancelRequested,
    DeidentificationCompleted,
    DeidentificationFailed,
    DeidentificationRequested,
    DeidentifiedFile,
    SourceFile,
)
from events.deid_texts import TextsDeidentified
from services.handlers.deid import DeidentifyGathered, FrozenPolicy
from tests.given import given

DATASET = UUID("dddddddd-0000-4000-8000-000000000001")
JOB = UUID("eeeeeeee-0000-4000-8000-000000000001")
UPLOAD = UUID("ffffffff-0000-4000-8000-000000000001")
FILE = DatasetFile(
    upload_id=UPLOAD,
    name="train.jsonl",
    stored_name=f"{UPLOAD}_train.jsonl",
    bytes=7,
    sha256="ab" * 32,
    uploaded_at=datetime(2026, 1, 1, tzinfo=UTC),
)
VERSION = DatasetVersion(number=1, sha256="cd" * 32, files=(FILE,))
GATHERED = DeidentifyGathered(
    dataset=Dataset(name="d", files=(FILE,), versions=(VERSION,)),
    policy=FrozenPolicy(id="zh-pii", version="1", content="id: zh-pii\n"),
    sealed_seed="sealed",
)
ASK = DeidentifyDataset(dataset_id=DATASET, policy_id="zh-pii")
SOURCE = SourceFile(name=FILE.name, stored_name=FILE.stored_name, bytes=FILE.bytes, sha256=FILE.sha256)
REQUESTED = DeidentificationRequested(
    dataset_id=DATASET,
    dataset_version=1,
    dataset_sha256=VERSION.sha256,
    files=(SOURCE,),
    policy_id="zh-pii",
    policy_version="1",
    policy="id: zh-pii\n",
    sealed_seed="sealed",
    seeded=False,
)
ASSIGNED = DeidentificationAssigned(node="box")
CANCEL = CancelDeidentification(job_id=JOB)
DONE = DeidentifiedFile(
    name="train.jsonl",
    stored_name="out",
    bytes=7,
    records=3,
    input_sha256="ab" * 32,
    output_sha256="ef" * 32,
    counts={"NUMBER": 2, "EMAIL": 1},
)
REPORT = ReportDeidentified(job_id=JOB, output_version=2, files=(DONE, DONE))
COMPLETED = DeidentificationCompleted(output_version=2, files=(DONE, DONE), records=6, counts={"EMAIL": 2, "NUMBER": 4})


def with_dataset(**fields: object) -> DeidentifyGathered:
    return replace(GATHERED, dataset=replace(GATHERED.dataset, **fields))


def test_a_job_freezes_everything_that_its_output_depends_on() -> None:
    given().when(ASK, GATHERED).then(REQUESTED)
    chosen = replace(ASK, seed=42, version=1, fields=("text",))
    given().when(chosen, GATHERED).then(replace(REQUESTED, seeded=True, fields=("text",)))


def test_no_seed_stands_in_a_fact() -> None:
    decided = given().when(replace(ASK, seed=424242), GATHERED)
    assert b"424242" not in msgspec.json.encode(decided._facts)


@pytest.mark.parametrize(
    ("code", "gathered", "version"),
    [
        ("dataset_not_found", with_dataset(name=""), None),
        ("dataset_not_found", with_dataset(deleted=True), None),
        ("dataset_version_not_found", GATHERED, 2),
        ("dataset_without_files", with_dataset(versions=()), None),
        ("dataset_without_files", with_dataset(versions=(replace(VERSION, files=()),)), 1),
        ("dataset_file_gone", with_dataset(files=(), removed=frozenset({UPLOAD})), 1),
        ("file_format_unknown", with_dataset(versions=(replace(VERSION, files=(replace(FILE, name="a.zip"),)),)), 1),
    ],
)
def test_jobs_that_cannot_be(code: str, gathered: DeidentifyGathered, version: int | None) -> None:
    given().when(replace(ASK, version=version), gathered).then_refused(code)


def test_what_is_data_is_no_name_of_a_field() -> None:
    """Names stay on record."""
    for field in (
        "13812345678",
        "zhang@example.com",
        "users.110105199003071234.name",
        "京A12345",
        "１３８-1234-5678",
        "微信zs_1988",
        "www.a.cn",
    ):
        given().when(replace(ASK, fields=("text", field)), GATHERED).then_refused("invalid_body")
    named = ("q_20240101", "手机", "微信openid2", "口令2023", "www.url")
    given().when(replace(ASK, fields=named), GATHERED).then(replace(REQUESTED, fields=named))


def test_one_node_takes_a_job() -> None:
    take = AssignDeidentification(job_id=JOB, node="box")
    given(REQUESTED).when(take).then(ASSIGNED)
    given(REQUESTED, ASSIGNED).when(replace(take, node="other")).then()
    given(REQUESTED, DeidentificationCanceled()).when(take).then()


def test_a_job_completes_once() -> None:
    given(REQUESTED, ASSIGNED).when(REPORT).then(COMPLETED)
    given(REQUESTED, ASSIGNED, COMPLETED).when(REPORT).then()
    given(REQUESTED).when(REPORT).then()


def test_a_job_that_nobody_took_is_canceled_at_once() -> None:
    given(REQUESTED).when(CANCEL).then(DeidentificationCanceled())
    given().when(CANCEL).then_refused("deid_job_not_found")


def test_a_job_at_work_is_canceled_by_its_node() -> None:
    asked, report = DeidentificationCancelRequested(), ReportDeidentificationCanceled(job_id=JOB)
    given(REQUESTED, ASSIGNED).when(CANCEL).then(asked)
    given(REQUESTED, ASSIGNED, asked).when(CANCEL).then()
    given(REQUESTED, ASSIGNED).when(report).then()
    given(REQUESTED, ASSIGNED, asked).when(report).then(DeidentificationCanceled())
    given(REQUESTED, ASSIGNED, asked, DeidentificationCanceled()).when(CANCEL).then_refused("deid_job_ended")


def test_a_cancellation_that_comes_too_late_changes_nothing() -> None:
    given(REQUESTED, ASSIGNED, DeidentificationCancelRequested()).when(REPORT).then(COMPLETED)
    given(REQUESTED, ASSIGNED, COMPLETED).when(CANCEL).then_refused("deid_job_ended")


def test_a_job_fails_once_with_its_line() -> None:
    report = ReportDeidentificationFailed(job_id=JOB, cause="input", reason="坏", reason_en="bad", file="f", line=7)
    failed = DeidentificationFailed(cause="input", reason="坏", reason_en="bad", file="f", line=7)
    given(REQUESTED, ASSIGNED).when(report).then(failed)
    given(REQUESTED, ASSIGNED, failed).when(report).then()


def test_a_job_is_lost_with_its_node() -> None:
    report = ReportDeidentificationLost(job_id=JOB, node="box", silent_seconds=300.4)
    zh = "节点 box 的去标识化服务已 300 秒没有心跳，视为失联；以相同的 seed 重新提交，结果相同"
    en = (
        "the de-identification service of node box is lost: not heard of for 300 s; with the same seed, a new job has "
        "the same outcome"
    )
    lost = DeidentificationFailed(cause="lost", reason=zh, reason_en=en)
    given(REQUESTED, ASSIGNED).when(report).then(lost)
    given(REQUESTED, ASSIGNED, DeidentificationCancelRequested()).when(report).then(lost)
    given(REQUESTED, ASSIGNED).when(replace(report, node="other")).then()
    given(REQUESTED).when(report).then()
    given(REQUESTED, ASSIGNED, COMPLETED).when(report).then()
    given(REQUESTED, ASSIGNED, lost).when(REPORT).then()


def test_texts_are_recorded_once() -> None:
    fields: dict[str, Any] = {"policy_id": "default", "policy_version": "1", "texts": 2, "counts": {"NUMBER": 1}}
    options: dict[str, Any] = {"locale": "zh-CN", "format": "text", "seeded": True, "mapping_given": False}
    command = RecordTextsDeidentified(**fields, **options)
    fact = TextsDeidentified(**fields, **options)
    given().when(command).then(fact)
    given(fact).when(command).then()
