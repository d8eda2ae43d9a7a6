"""Decisions on projects."""

from __future__ import annotations

import unicodedata
from typing import Any
from uuid import UUID

import pytest

from contracts.projects import (
    ArchiveProject,
    CreateProject,
    ProjectChanges,
    ReviseProject,
    UnarchiveProject,
    project_id,
)
from events.projects import ProjectArchived, ProjectCreated, ProjectRevised, ProjectUnarchived
from services.handlers.projects import Gathered
from tests.given import given

ALICE = UUID("aaaaaaaa-0000-4000-8000-000000000001")
BOB = UUID("bbbbbbbb-0000-4000-8000-000000000002")
CREATED = ProjectCreated(
    name="qwen-finetune", owner=ALICE, dataset_name="datasets/qwen_demo.jsonl", training_yaml_name="configs/a.yaml"
)


def create(name: str = "qwen-finetune", **fields: str) -> CreateProject:
    assets = {"dataset_name": "datasets/qwen_demo.jsonl", "training_yaml_name": "configs/a.yaml"}
    given_fields: dict[str, Any] = {"owner": "alice"} | assets | fields
    return CreateProject(name=name, **given_fields)


def revise(**changes: Any) -> ReviseProject:
    return ReviseProject(project="qwen-finetune", changes=ProjectChanges(**changes))


def test_a_project_is_created_with_its_owner_as_an_id() -> None:
    given().when(create(), Gathered(owner=ALICE)).then(CREATED)


def test_a_name_is_taken_once() -> None:
    given(CREATED).when(create(), Gathered(owner=ALICE)).then_refused("project_exists")


@pytest.mark.parametrize(
    "name",
    [
        "客服 模型",
        "100%",
        "🦙-tune",
        "a?b#c",
        "...",
        "é" * 200,
        "e\u0301" * 200,
        "👩\u200d🔬",
        "❤\ufe0f",
        "می\u200cخواهم",
        "क्\u200dष",
        "葛\U000e0100",
        "🏴\U000e0067\U000e0062\U000e007f",
    ],
)
def test_names_that_a_path_can_address_are_taken(name: str) -> None:
    assert given().when(create(name), Gathered(owner=ALICE)).refused is None


@pytest.mark.parametrize(
    "name",
    [
        "a/b",
        ".",
        "..",
        "a\nb",
        "\x7f",
        "",
        "x" * 201,
        unicodedata.lookup("HEBREW LETTER SHIN WITH DAGESH AND SHIN DOT") * 67,  # three times as long in NFC
        " ",
        " a",
        "a ",
        "a\u2028b",
        "\ud800",
        "6f8c7d52-33c4-4d76-9371-5dfd5fcd521a",
        "6F8C7D5233C44D7693715DFD5FCD521A",
        "{6f8c7d52-33c4-4d76-9371-5dfd5fcd521a}",
        "urn:uuid:6f8c7d52-33c4-4d76-9371-5dfd5fcd521a",
        *"\u00ad\u115f\u1160\u200b\u200c\u200d\u200e\u202e\u2060\u2066\u2800\u3164\ufe0f\ufeff\uffa0",
        "\u202eabc",
        "a\u200bb",
        "a\u2800",
        "a\u061cb",
        "a\U000e0041b",
        "ab\ufeff",
        "\u200dab",
    ],
)
def test_names_that_no_path_can_address_are_refused(name: str) -> None:
    refused = given().when(create(name), Gathered(owner=ALICE)).then_refused("invalid_body")
    assert [wrong.pointer for wrong in refused.wrongs] == ["/name"]


def test_an_owner_is_to_be_seen() -> None:
    for command in (create(owner="\u200b"), revise(owner="a\u202eb")):
        refused = given(CREATED).when(command, Gathered(owner=ALICE)).then_refused("invalid_body")
        assert [wrong.pointer for wrong in refused.wrongs] == ["/owner"]


def test_names_are_the_same_in_every_unicode_spelling() -> None:
    decomposed = unicodedata.normalize("NFD", "café")
    assert decomposed != "café"
    assert project_id(decomposed) == project_id("café")


def test_nobody_has_the_name_of_a_service() -> None:
    for command in (
        create(owner="service:training"),
        revise(owner="service:training"),
        create(owner="s\u200dervice:x"),
        create(owner="\uff33ervice:x"),
    ):
        refused = given(CREATED).when(command, Gathered(owner=ALICE)).then_refused("invalid_body")
        assert [wrong.pointer for wrong in refused.wrongs] == ["/owner"]


@pytest.mark.parametrize("field", ["dataset_name", "training_yaml_name"])
@pytest.mark.parametrize(
    "asset",
    ["a.yaml; rm -rf /", "../../etc/passwd", "/etc/passwd", "a/../../b", "$(id)", "-c", "a b", "a\x00b", "`id`"],
)
def test_assets_that_are_no_relative_path_or_hold_shell_syntax_are_refused(field: str, asset: str) -> None:
    for command in (create(**{field: asset}), revise(**{field: asset})):
        refused = given(CREATED).when(command, Gathered(owner=ALICE)).then_refused("invalid_body")
        assert [wrong.pointer for wrong in refused.wrongs] == [f"/{field}"]


def test_chinese_asset_names_are_taken() -> None:
    assert given().when(create(dataset_name="数据/客服_对话.jsonl"), Gathered(owner=ALICE)).refused is None


@pytest.mark.parametrize(
    ("field", "name"),
    [
        ("dataset_name", f"dataset:{ALICE}"),
        ("dataset_name", f"dataset:{ALICE}@12/客服 对话 (1).jsonl"),
        ("dataset_name", f"{ALICE}_train.jsonl"),
        ("training_yaml_name", "train-config"),
        ("training_yaml_name", "train-config:7"),
    ],
)
def test_what_was_uploaded_can_be_named(field: str, name: str) -> None:
    for command in (create(**{field: name}), revise(**{field: name})):
        assert (
            given(*(() if isinstance(command, CreateProject) else (CREATED,)))
            .when(command, Gathered(owner=ALICE))
            .refused
            is None
        )


@pytest.mark.parametrize(
    ("field", "name"),
    [
        ("dataset_name", "dataset:"),
        ("dataset_name", "dataset:pairs"),
        ("dataset_name", f"dataset:{ALICE}@0"),
        ("dataset_name", f"dataset:{ALICE}@latest"),
        ("dataset_name", f"dataset:{ALICE}/a/b"),
        ("dataset_name", f"dataset:{ALICE}/a\nb"),
        ("dataset_name", f"dataset:{ALICE}/{'x' * 256}"),
        ("training_yaml_name", "train-config:"),
        ("training_yaml_name", "train-config:0"),
        ("training_yaml_name", "train-config:-1"),
        ("training_yaml_name", "train-config:1; id"),
        ("training_yaml_name", "train-config:../a"),
    ],
)
def test_half_a_reference_is_refused(field: str, name: str) -> None:
    refused = given().when(create(**{field: name}), Gathered(owner=ALICE)).then_refused("invalid_body")
    assert [wrong.pointer for wrong in refused.wrongs] == [f"/{field}"]


def test_a_revision_records_only_what_changed() -> None:
    command = revise(description="new", owner="bob", dataset_name=CREATED.dataset_name)
    given(CREATED).when(command, Gathered(owner=BOB)).then(ProjectRevised(description="new", owner=BOB))


def test_a_revision_can_clear_the_description() -> None:
    described = ProjectRevised(description="old")
    given(CREATED, described).when(revise(description=None), Gathered()).then(ProjectRevised(description=None))


def test_a_revision_that_changes_nothing_records_nothing() -> None:
    given(CREATED).when(revise(owner="alice", tags=()), Gathered(owner=ALICE)).then()


def test_a_project_comes_to_require_deidentified_data() -> None:
    given(CREATED).when(revise(require_deidentified=True), Gathered()).then(ProjectRevised(require_deidentified=True))
    required = ProjectRevised(require_deidentified=True)
    given(CREATED, required).when(revise(require_deidentified=True), Gathered()).then()
    given(CREATED, required).when(revise(require_deidentified=False), Gathered()).then(
        ProjectRevised(require_deidentified=False)
    )


def test_an_unknown_project_takes_nothing() -> None:
    for command in (
        revise(description="x"),
        ArchiveProject(project="qwen-finetune"),
        UnarchiveProject(project="qwen-finetune"),
    ):
        given().when(command, Gathered()).then_refused("project_not_found")


def test_archiving_and_back() -> None:
    archive, unarchive = ArchiveProject(project="qwen-finetune"), UnarchiveProject(project="qwen-finetune")
    given(CREATED).when(archive, Gathered()).then(ProjectArchived())
    given(CREATED, ProjectArchived()).when(archive, Gathered()).then_refused("project_already_archived")
    given(CREATED, ProjectArchived()).when(revise(description="x"), Gathered()).then_refused("project_archived")
    given(CREATED, ProjectArchived()).when(unarchive, Gathered()).then(ProjectUnarchived())
    given(CREATED).when(unarchive, Gathered()).then_refused("project_not_archived")
