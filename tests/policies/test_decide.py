"""Decisions on policies of de-identification."""

from __future__ import annotations

from msgspec.structs import replace

from contracts.policies import DeletePolicy, UploadPolicy
from events.policies import PolicyDeleted, PolicyUploaded
from services.handlers.policies import DeleteGathered, UploadGathered
from tests.given import given

FIRST = PolicyUploaded(policy_id="corpus", version="1", content="a", sha256="aa" * 32)
SECOND = PolicyUploaded(policy_id="corpus", version="2", content="b", sha256="bb" * 32)
DELETE = DeletePolicy(policy_id="corpus")


def upload(fact: PolicyUploaded) -> tuple[UploadPolicy, UploadGathered]:
    command = UploadPolicy(policy_id=fact.policy_id, content=fact.content)
    return command, UploadGathered(version=fact.version, sha256=fact.sha256, built_in=False)


def test_each_content_is_a_version_of_its_own() -> None:
    given().when(*upload(FIRST)).then(FIRST)
    given(FIRST).when(*upload(SECOND)).then(SECOND)
    given(FIRST, SECOND).when(*upload(SECOND)).then()
    given(FIRST).when(*upload(replace(SECOND, version="1"))).then_refused("policy_version_exists")


def test_an_older_version_can_become_the_current_one_again() -> None:
    given(FIRST, SECOND).when(*upload(FIRST)).then(FIRST)
    given(FIRST, SECOND, FIRST).when(*upload(FIRST)).then()


def test_a_deleted_policy_can_be_uploaded_again() -> None:
    given(FIRST).when(DELETE, DeleteGathered(built_in=False)).then(PolicyDeleted())
    given(FIRST, PolicyDeleted()).when(*upload(FIRST)).then(FIRST)
    given(FIRST, PolicyDeleted()).when(*upload(replace(FIRST, sha256="cc" * 32))).then_refused("policy_version_exists")


def test_what_cannot_be_deleted() -> None:
    given().when(DELETE, DeleteGathered(built_in=False)).then_refused("policy_not_found")
    given(FIRST, PolicyDeleted()).when(DELETE, DeleteGathered(built_in=False)).then_refused("policy_not_found")
    given().when(DELETE, DeleteGathered(built_in=True)).then_refused("policy_built_in")


def test_a_built_in_policy_stays_what_it_is() -> None:
    command, gathered = upload(FIRST)
    given().when(command, replace(gathered, built_in=True)).then_refused("policy_built_in")
