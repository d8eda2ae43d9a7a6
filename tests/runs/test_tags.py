"""Tags of artifacts: decided once each, and shown."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4, uuid5

import pytest

from contracts.command import Command
from contracts.projects import project_id
from contracts.runs import TagArtifact, UntagArtifact
from events.runs import RunArtifactRecorded, RunArtifactTagged, RunArtifactUntagged, RunRequested
from tests.given import given

RUN = UUID("22222222-2222-4222-8222-222222222222")
ARTIFACT = uuid5(RUN, "/d/checkpoint-5")
REQUESTED = RunRequested(
    project_id=project_id("p"), node="n1", dataset="d.jsonl", training_yaml="c.yaml", argv=("bash", "t.sh")
)
RECORDED = RunArtifactRecorded(
    artifact_id=ARTIFACT, name="checkpoint-5", type="checkpoint", path="/d/checkpoint-5", size=9
)
TAGGED = RunArtifactTagged(artifact_id=ARTIFACT, tag="最佳")
UNTAGGED = RunArtifactUntagged(artifact_id=ARTIFACT, tag="最佳")


def tag(text: str = "最佳", **changes: Any) -> TagArtifact:
    fields: dict[str, Any] = {"project": "p", "run_id": RUN, "artifact_id": ARTIFACT, "tag": text}
    return TagArtifact(**fields | changes)


def untag(text: str = "最佳") -> UntagArtifact:
    return UntagArtifact(project="p", run_id=RUN, artifact_id=ARTIFACT, tag=text)


def test_a_tag_is_added_once_and_taken_off_once() -> None:
    given(REQUESTED, RECORDED).when(tag()).then(TAGGED)
    given(REQUESTED, RECORDED, TAGGED).when(tag()).then()
    given(REQUESTED, RECORDED, TAGGED).when(untag()).then(UNTAGGED)
    given(REQUESTED, RECORDED).when(untag()).then()
    given(REQUESTED, RECORDED, TAGGED, UNTAGGED).when(untag()).then()
    given(REQUESTED, RECORDED, TAGGED, UNTAGGED).when(tag()).then(TAGGED)


def test_only_an_artifact_of_this_run_and_project_is_tagged() -> None:
    given().when(tag()).then_refused("run_not_found")
    given(REQUESTED, RECORDED).when(tag(project="other")).then_refused("run_not_found")
    given(REQUESTED, RECORDED).when(tag(artifact_id=uuid4())).then_refused("artifact_not_found")
    given(REQUESTED).when(untag()).then_refused("artifact_not_found")


@pytest.mark.parametrize("command", [tag(" a"), tag("a\n"), tag("a\0b"), untag("\N{LINE SEPARATOR}a")])
def test_a_tag_is_one_line_of_text(command: Command) -> None:
    given(REQUESTED, RECORDED).when(command).then_refused("invalid_body")


def test_an_artifact_has_a_bounded_number_of_tags() -> None:
    many = [RunArtifactTagged(artifact_id=ARTIFACT, tag=str(number)) for number in range(100)]
    given(REQUESTED, RECORDED, *many).when(tag()).then_refused("too_many_tags")
    given(REQUESTED, RECORDED, *many).when(tag("99")).then()
    given(REQUESTED, RECORDED, *many[1:]).when(tag()).then(TAGGED)
