"""Decisions on access tokens."""

from __future__ import annotations

from uuid import UUID

import pytest
from msgspec.structs import replace

from contracts.tokens import IssueToken, RevokeToken
from events.tokens import TokenIssued, TokenRevoked
from services.handlers.tokens import Gathered
from tests.given import given

ALICE = UUID("aaaaaaaa-0000-4000-8000-000000000001")
DIGEST = "0f" * 32
ISSUED = TokenIssued(owner=ALICE, role="operator", digest=DIGEST)
REVOKE = RevokeToken(token_id=ALICE)


def test_a_token_is_issued_to_a_person() -> None:
    given().when(IssueToken(owner="alice", role="operator", digest=DIGEST), Gathered(owner=ALICE)).then(ISSUED)


@pytest.mark.parametrize("owner", ["", " alice", "a\nb", "\x1b[2J", "x" * 201, "service:training", "Service:x"])
def test_a_name_that_nobody_can_have_gets_no_token(owner: str) -> None:
    command = IssueToken(owner=owner, role="operator", digest=DIGEST)
    refused = given().when(command, Gathered(owner=ALICE)).then_refused("invalid_body")
    assert [wrong.pointer for wrong in refused.wrongs] == ["/owner"]


def test_no_role_includes_that_originals_may_be_told() -> None:
    command = IssueToken(owner="alice", role="admin", digest=DIGEST)
    given().when(command, Gathered(owner=ALICE)).then(TokenIssued(owner=ALICE, role="admin", digest=DIGEST))
    revealing = replace(command, may_reveal=True)
    issued = TokenIssued(owner=ALICE, role="admin", digest=DIGEST, may_reveal=True)
    given().when(revealing, Gathered(owner=ALICE)).then(issued)


def test_a_reader_who_cannot_ask_for_originals_is_not_told_them() -> None:
    command = IssueToken(owner="alice", role="reader", digest=DIGEST, may_reveal=True)
    refused = given().when(command, Gathered(owner=ALICE)).then_refused("invalid_body")
    assert [wrong.pointer for wrong in refused.wrongs] == ["/may_reveal"]


def test_a_token_is_revoked_once() -> None:
    given(ISSUED).when(REVOKE).then(TokenRevoked())
    given(ISSUED, TokenRevoked()).when(REVOKE).then()
    given().when(REVOKE).then_refused("token_not_found")
